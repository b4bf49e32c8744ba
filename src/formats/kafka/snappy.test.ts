import assert from 'node:assert/strict'
import { test } from 'node:test'
import { snappyCompress } from '@platformatic/wasm-utils'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { decompressSnappy } from './snappy.ts'

const limit = 1 << 20
const streamHeader = '82534e41505059 00 00000001 00000001'

const cases: [name: string, hex: string, plain: string][] = [
  ['nothing', '00', ''],
  ['a literal', '03 08 616263', 'abc'],
  ['a literal whose length takes a byte', '03 f0 02 616263', 'abc'],
  ['a literal whose length takes four bytes', '03 fc 02000000 616263', 'abc'],
  ['a short repetition', '07 08 616263 01 03', 'abcabca'],
  ['a repetition with an offset of two bytes', '06 08 616263 0a 0300', 'abcabc'],
  ['a repetition with an offset of four bytes', '06 08 616263 0b 03000000', 'abcabc'],
  ['a repetition that feeds itself', '41 00 61 fe 0100', 'a'.repeat(65)],
  ['a stream without blocks', streamHeader, ''],
  ['a stream of two blocks', `${streamHeader} 00000005 03 08 616263 00000007 07 08 646566 01 03`, 'abcdefdefd'],
]

const broken: [name: string, hex: string, code: string][] = [
  ['no length', '', 'TRUNCATED'],
  ['a length without elements', '03', 'MALFORMED'],
  ['4 GiB announced in six bytes', 'ffffffff0f 00', 'MALFORMED'],
  ['more announced than is allowed', 'ffff7f 00'.padEnd(240_000, '0'), 'LIMIT_EXCEEDED'],
  ['a literal that is cut', '03 08 6162', 'MALFORMED'],
  ['a literal length that is cut', '03 fc 0200', 'MALFORMED'],
  ['a literal above the announced length', '02 08 616263', 'MALFORMED'],
  ['a repetition of nothing', '04 01 01', 'MALFORMED'],
  ['a repetition from before the beginning', '07 08 616263 01 04', 'MALFORMED'],
  ['a repetition at distance 0', '07 08 616263 01 00', 'MALFORMED'],
  ['a repetition above the announced length', '06 08 616263 01 03', 'MALFORMED'],
  ['a repetition that is cut', '06 08 616263 0a 03', 'MALFORMED'],
  ['a stream whose block is cut', `${streamHeader} 00000009 03 08 616263`, 'TRUNCATED'],
  ['a stream whose second block repeats the first', `${streamHeader} 00000005 03 08 616263 00000003 04 01 03`, 'MALFORMED'],
]

for (const [name, hex, plain] of cases) {
  test(`Snappy: ${name}`, () => {
    assert.equal(decompressSnappy(fromHex(hex), limit).toString(), plain)
  })
}

for (const [name, hex, code] of broken) {
  test(`Snappy is refused: ${name}`, () => {
    assert.throws(() => decompressSnappy(fromHex(hex), limit), { code })
  })
}

for (const [name, plain] of [
  ['text', Buffer.from(Array.from({ length: 5000 }, (_, i) => `line ${i * 7919} of a text; `).join(''))],
  ['zeros', Buffer.alloc(300_000)],
  ['noise', Buffer.from(Array.from({ length: 100_000 }, (_, i) => (Math.imul(i, 0x9e37_79b1) >>> 13) & 0xff))],
] as const) {
  test(`${name} from the reference encoder comes back`, () => {
    const packed = snappyCompress(plain)
    assert.deepEqual(decompressSnappy(packed, plain.length), plain)
    assert.throws(() => decompressSnappy(packed, plain.length - 1), { code: 'LIMIT_EXCEEDED' })
  })
}

fuzzBytes(
  'Snappy',
  [...cases, ...broken.filter(([, hex]) => hex.length < 1000)].map(([, hex]) => fromHex(hex)),
  (input) => decompressSnappy(input, limit),
)

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
