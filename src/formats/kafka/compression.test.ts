import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { compress, compressions, decompress } from './compression.ts'

const limit = 1 << 20
const plain = Buffer.from('one record, another record, a third record; '.repeat(50))
const compressed = compressions.filter((compression) => compression !== 'none')

for (const compression of compressions) {
  test(`${compression}: what is compressed comes back`, () => {
    for (const bytes of [plain, Buffer.from('x'), Buffer.alloc(500_000)]) {
      const packed = compress(compression, bytes)
      assert.deepEqual(decompress(compression, packed, bytes.length), bytes)
      if (compression !== 'none' && bytes.length > 1) assert.ok(packed.length < bytes.length / 5)
    }
  })
}

for (const compression of compressed) {
  test(`${compression}: more than the limit is refused`, () => {
    const packed = compress(compression, plain)
    assert.throws(() => decompress(compression, packed, plain.length - 1), { code: 'LIMIT_EXCEEDED' })
    assert.deepEqual(decompress(compression, packed, plain.length), plain)
  })

  test(`${compression}: what is something else is refused`, () => {
    const packed = compress(compression, plain)
    for (const bytes of [Buffer.alloc(0), Buffer.from('no such data at all'), packed.subarray(0, -1), packed.subarray(0, 5)]) {
      assert.throws(() => decompress(compression, bytes, limit), {
        code: 'RECORD_BATCH_INVALID',
        message: new RegExp(compression),
      })
    }
  })
}

const bombs: Record<(typeof compressed)[number], (zeros: Buffer) => Buffer> = {
  gzip: (zeros) => gzipSync(zeros, { level: 9 }),
  snappy: snappyCompress,
  lz4: lz4Compress,
  zstd: (zeros) => zstdCompressSync(zeros, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
}

for (const compression of compressed) {
  test(`${compression}: a bomb takes little more memory than the limit`, () => {
    const bomb = bombs[compression](Buffer.alloc(64 << 20))
    const before = process.memoryUsage().rss
    assert.throws(() => decompress(compression, bomb, limit), { code: 'LIMIT_EXCEEDED' })
    assert.ok(process.memoryUsage().rss - before < 32 << 20)
    assert.deepEqual(decompress(compression, compress(compression, plain), limit), plain)
  })
}

test('snappy is written as one bare block', () => {
  assert.equal(compress('snappy', Buffer.from('abc')).toString('hex'), '0308616263')
})

test('lz4 is written as one frame of independent blocks', () => {
  const packed = compress('lz4', Buffer.alloc(500_000))
  assert.equal(packed.readUInt32LE(0), 0x184d_2204)
  assert.equal((packed[4] ?? 0) & 0xe0, 0x60)
})

test('zstd with a window above 128 MiB is refused', () => {
  const [magic, singleSegmentOff, window2Gib] = ['28b52ffd', '00', 'a8']
  const frame = Buffer.from(`${magic}${singleSegmentOff}${window2Gib}0900000001`, 'hex')
  assert.throws(() => decompress('zstd', frame, limit), { code: 'RECORD_BATCH_INVALID', message: /memory/ })
})

for (const compression of compressed) {
  const packed = compress(compression, plain)
  fuzzBytes(`${compression} data`, [packed, compress(compression, Buffer.from('x'))], (input) =>
    decompress(compression, input, limit),
  )
}
