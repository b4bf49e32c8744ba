import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { compress, compressions, type Compression } from './compression.ts'
import { batchHeaderBytes, checkBatch, placeBatch, readBatchHeader, stampAppendTime, writeBatchHeader } from './record-batch.ts'
import { decodeBatch, encodeBatch, type NewRecord } from './records.ts'

const time = 1_700_000_000_000
const plain: NewRecord = { key: null, value: Buffer.from('abc'), headers: [], timestampMs: time }

const cases: [name: string, records: readonly NewRecord[], recordsHex: string][] = [
  ['a value', [plain], '12 00 00 00 01 06616263 00'],
  ['a key', [{ ...plain, key: Buffer.from('k') }], '14 00 00 00 026b 06616263 00'],
  ['nothing', [{ ...plain, value: null }], '0c 00 00 00 01 01 00'],
  ['an empty key and value', [{ ...plain, key: Buffer.alloc(0), value: Buffer.alloc(0) }], '0c 00 00 00 00 00 00'],
  [
    'headers: null, empty, twice the same, beyond ASCII',
    [
      {
        ...plain,
        headers: [
          { key: 'a', value: null },
          { key: '', value: Buffer.alloc(0) },
          { key: 'ß', value: Buffer.from('1') },
          { key: 'ß', value: Buffer.from('2') },
        ],
      },
    ],
    '30 00 00 00 01 06616263 08 0261 01 00 00 04c39f 0231 04c39f 0232',
  ],
  [
    'times that rise and fall',
    [plain, { ...plain, timestampMs: time + 86_400_000 * 60 }, { ...plain, timestampMs: time - 1 }],
    '12 00 00 00 01 06616263 00  1a 00 80c0eccf26 02 01 06616263 00  12 00 01 04 01 06616263 00',
  ],
  ['a long value', [{ ...plain, value: Buffer.alloc(300, 0x7a) }], `e604 00 00 00 01 d804 ${'7a'.repeat(300)} 00`],
]

for (const [name, records, recordsHex] of cases) {
  test(`records: ${name}`, () => {
    const batch = encodeBatch(records)
    assert.equal(batch.toString('hex', batchHeaderBytes), recordsHex.replaceAll(' ', ''))
    assert.deepEqual(
      decodeBatch(batch),
      records.map((record, offset) => ({ ...record, offset })),
    )
  })
}

test('the header follows from the records', () => {
  const records = [plain, { ...plain, timestampMs: time + 5 }, { ...plain, timestampMs: time - 5 }]
  const batch = encodeBatch(records, { producer: { id: 4001, epoch: 3, baseSequence: 42 } })
  const header = readBatchHeader(batch)
  checkBatch(batch, header)
  const { crc, ...others } = header
  assert.notEqual(crc, 0)
  assert.deepEqual(others, {
    baseOffset: 0,
    sizeBytes: batch.length,
    leaderEpoch: -1,
    attributes: 0,
    lastOffsetDelta: 2,
    baseTimestampMs: time,
    maxTimestampMs: time + 5,
    producerId: 4001,
    producerEpoch: 3,
    baseSequence: 42,
    recordCount: 3,
  })
})

test('without a producer there is none in the header', () => {
  const { producerId, producerEpoch, baseSequence } = readBatchHeader(encodeBatch([plain]))
  assert.deepEqual({ producerId, producerEpoch, baseSequence }, { producerId: -1, producerEpoch: -1, baseSequence: -1 })
})

test('a batch without records is refused', () => {
  for (const compression of compressions) assert.throws(() => encodeBatch([], { compression }), { code: 'RECORD_BATCH_INVALID' })
})

test('any records come back from any compression, at their offsets', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  const header = fc.record(
    { key: fc.string({ unit: 'binary', maxLength: 20 }), value: fc.option(bytes) },
    { noNullPrototype: true },
  )
  const headers = fc.array(header, { maxLength: 4 })
  const timestampMs = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER - 1 })
  const record = fc.record({ key: fc.option(bytes), value: fc.option(bytes), headers, timestampMs }, { noNullPrototype: true })
  const property = fc.property(
    fc.array(record, { minLength: 1, maxLength: 40 }),
    fc.constantFrom(...compressions),
    fc.maxSafeNat().map((offset) => Math.floor(offset / 2)),
    (records, compression, baseOffset) => {
      const batch = encodeBatch(records, { compression })
      placeBatch(batch, { baseOffset, leaderEpoch: 0 })
      assert.deepEqual(
        decodeBatch(batch),
        records.map((record, i) => ({ ...record, offset: baseOffset + i })),
      )
    },
  )
  fc.assert(property, { numRuns: 300 })
})

test('keys and values of an uncompressed batch are views into it', () => {
  const batch = encodeBatch([{ ...plain, key: Buffer.from('k') }])
  const [record] = decodeBatch(batch)
  assert.equal(record?.key?.buffer, batch.buffer)
  assert.equal(record.value?.buffer, batch.buffer)
})

test('with the time of the append, all records have it', () => {
  const batch = encodeBatch([plain, { ...plain, timestampMs: time + 5 }])
  stampAppendTime(batch, time + 1000)
  assert.deepEqual(
    decodeBatch(batch).map(({ timestampMs }) => timestampMs),
    [time + 1000, time + 1000],
  )
})

for (const [options, offsets] of [
  [{ fromOffset: 0 }, [100, 101, 102, 103]],
  [{ fromOffset: 102 }, [102, 103]],
  [{ fromOffset: 104 }, []],
  [{ maxRecords: 2 }, [100, 101]],
  [{ fromOffset: 101, maxRecords: 2 }, [101, 102]],
  [{ maxRecords: 0 }, []],
] as const) {
  test(`of offsets 100 to 103, ${JSON.stringify(options)} gives [${offsets.join(', ')}]`, () => {
    const batch = encodeBatch([plain, plain, plain, plain], { compression: 'zstd' })
    placeBatch(batch, { baseOffset: 100, leaderEpoch: 0 })
    assert.deepEqual(
      decodeBatch(batch, options).map(({ offset }) => offset),
      offsets,
    )
  })
}

const broken: [name: string, recordsHex: string, count: number, message: RegExp][] = [
  ['fewer records than announced', '12 00 00 00 01 06616263 00', 2, /2 records in 10 bytes/],
  ['a record cut by the end', '12 00 00 00 01 06616263', 1, /record 0 .*need a byte/],
  ['more records than announced', '0c 00 00 00 01 01 00 0c 00 00 02 01 01 00', 1, /7 bytes follow/],
  ['a record longer than its fields', '0e 00 00 00 01 01 00 00', 1, /has 7 bytes, its fields end at 6/],
  ['a record shorter than its fields', '0a 00 00 00 01 01 00', 1, /has 5 bytes, its fields end at 6/],
  ['a record of negative length', '0b 00 00 00 01 01 00', 1, /has -6 bytes/],
  ['a value beyond the end', '0c 00 00 00 01 7e 00', 1, /need 63 bytes/],
  ['more headers than there is room for', '0c 00 00 00 01 01 7e', 1, /63 headers in 0 bytes/],
  ['a negative number of headers', '0c 00 00 00 01 01 01', 1, /-1 headers/],
  ['a header without a name', '12 00 00 00 01 01 02 01 00 00', 1, /need -1 bytes/],
  [
    'a second record with the offset of the first',
    '0c 00 00 00 01 01 00 0c 00 00 00 01 01 00',
    2,
    /record 1 .*offset delta is 0/,
  ],
  ['a time that is no exact number', '1e 00 feffffffffffffffff01 00 01 01 00', 1, /beyond 2\^53/],
]

for (const [name, recordsHex, count, message] of broken) {
  test(`not decoded: ${name}`, () => {
    for (const compression of compressions) {
      const batch = batchOf(Buffer.from(recordsHex.replaceAll(' ', ''), 'hex'), count, compression)
      assert.throws(() => decodeBatch(batch), { code: 'RECORD_BATCH_INVALID', message })
    }
  })
}

test('a batch that fails its checks is not decoded', () => {
  const batch = encodeBatch([plain])
  assert.throws(() => decodeBatch(batch.subarray(0, -1)), { code: 'TRUNCATED' })
  batch[65] = 0x77
  assert.throws(() => decodeBatch(batch), { code: 'RECORD_BATCH_CORRUPT' })
})

test('a batch that announces billions of records is refused before any is made', () => {
  const batch = batchOf(Buffer.alloc(1000), 2 ** 31 - 1, 'none')
  assert.throws(() => decodeBatch(batch), { code: 'RECORD_BATCH_INVALID' })
})

test('records above the limit are refused', () => {
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const batch = encodeBatch([{ ...plain, value: Buffer.alloc(100_000) }], { compression })
    assert.throws(() => decodeBatch(batch, { maxBytes: 100_000 }), { code: 'LIMIT_EXCEEDED' })
    assert.equal(decodeBatch(batch, { maxBytes: 100_100 }).length, 1)
  }
})

for (const compression of compressions) {
  const batches = cases.map(([, records]) => encodeBatch(records, { compression }))
  const damaged = broken.map(([, hex, count]) => batchOf(Buffer.from(hex.replaceAll(' ', ''), 'hex'), count, compression))
  fuzzBytes(`a batch of records, ${compression}`, [...batches, ...damaged], (input) => {
    if (input.length < batchHeaderBytes) return decodeBatch(input)
    return decodeBatch(sealed(Buffer.from(input)), { maxBytes: 1 << 20 })
  })
}

function batchOf(records: Buffer, recordCount: number, compression: Compression): Buffer {
  const batch = Buffer.concat([Buffer.alloc(batchHeaderBytes), compress(compression, records)])
  writeBatchHeader(batch, {
    compression,
    recordCount,
    baseTimestampMs: time,
    maxTimestampMs: time,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
  })
  return batch
}

/** With length, count and checksum that fit, so that the fuzzer gets behind the checks. */
function sealed(batch: Buffer): Buffer {
  const recordCount = 1 + (batch.readUInt32BE(57) % 8)
  const compression = compressions[batch.readUInt16BE(21) % compressions.length] ?? 'none'
  writeBatchHeader(batch, {
    ...readBatchHeader(withLength(batch)),
    compression,
    recordCount,
    baseTimestampMs: 0,
    maxTimestampMs: 0,
    producerId: -1,
  })
  return batch
}

function withLength(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - 12, 8)
  batch[16] = 2
  return batch
}
