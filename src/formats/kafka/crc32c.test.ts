import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

/** RFC 3720 appendix B.4, and the check value of the catalogue of CRCs. */
const cases: [name: string, bytes: Buffer, checksum: number][] = [
  ['nothing', Buffer.alloc(0), 0],
  ['32 bytes of zeros', Buffer.alloc(32), 0x8a91_36aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8_ab43],
  ['32 bytes rising', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd_794e],
  ['32 bytes falling', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113f_db5c],
  ['the digits', Buffer.from('123456789'), 0xe306_9283],
]

for (const [name, bytes, checksum] of cases) {
  test(`CRC-32C of ${name}`, () => {
    assert.equal(crc32c(bytes), checksum)
    for (let cut = 0; cut <= bytes.length; cut++)
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), checksum)
  })
}
