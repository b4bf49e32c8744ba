import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { crc32c } from './crc32c.ts'
import {
  checkBatch,
  compressionOf,
  isBatchIntact,
  placeBatch,
  readBatchHeader,
  splitBatches,
  stampAppendTime,
  writeBatchHeader,
  type BatchHeader,
} from './record-batch.ts'

/** One record, value "abc", by an idempotent producer, compressed with gzip as far as its header says. */
const hex = [
  '0000000000000007', // baseOffset
  '0000003b', // batchLength
  '00000005', // partitionLeaderEpoch
  '02', // magic
  'f7074d59', // crc
  '0001', // attributes
  '00000000', // lastOffsetDelta
  '0000018bcfe56800', // baseTimestamp
  '0000018bcfe56801', // maxTimestamp
  '0000000000000fa1', // producerId
  '0003', // producerEpoch
  '0000002a', // baseSequence
  '00000001', // recordsCount
  '12000000010661626300', // the record
].join('')

const header: BatchHeader = {
  baseOffset: 7,
  sizeBytes: 71,
  leaderEpoch: 5,
  crc: 0xf707_4d59,
  attributes: 1,
  lastOffsetDelta: 0,
  baseTimestampMs: 1_700_000_000_000,
  maxTimestampMs: 1_700_000_000_001,
  producerId: 4001,
  producerEpoch: 3,
  baseSequence: 42,
  recordCount: 1,
}

const batch = () => Buffer.from(hex, 'hex')

test('a header is read field by field, anywhere in a buffer', () => {
  assert.deepEqual(readBatchHeader(batch()), header)
  assert.deepEqual(readBatchHeader(Buffer.concat([Buffer.alloc(5, 0xee), batch()]), 5), header)
})

test('a header is enough to read a header', () => {
  assert.deepEqual(readBatchHeader(batch().subarray(0, 61)), header)
})

test('a written header is the one that was read, in a place of its own', () => {
  const bytes = Buffer.alloc(71, 0xee)
  batch().copy(bytes, 61, 61)
  writeBatchHeader(bytes, { ...header, compression: 'gzip' })
  placeBatch(bytes, { baseOffset: 7, leaderEpoch: 5 })
  assert.equal(bytes.toString('hex'), hex)
})

const unreadable: [name: string, edit: (bytes: Buffer) => Buffer, code: string][] = [
  ['nothing', () => Buffer.alloc(0), 'TRUNCATED'],
  ['60 bytes', (bytes) => bytes.subarray(0, 60), 'TRUNCATED'],
  ['format 1', (bytes) => withByte(bytes, 16, 1), 'RECORD_BATCH_INVALID'],
  ['a short message of format 0', (bytes) => withByte(bytes, 16, 0).subarray(0, 30), 'RECORD_BATCH_INVALID'],
  ['a length below that of the header', (bytes) => withByte(bytes, 11, 48), 'RECORD_BATCH_INVALID'],
  ['a negative length', (bytes) => withByte(bytes, 8, 0xff), 'RECORD_BATCH_INVALID'],
]

for (const [name, edit, code] of unreadable) {
  test(`no header: ${name}`, () => {
    assert.throws(() => readBatchHeader(edit(batch())), { code })
  })
}

test('a sound batch passes', () => {
  checkBatch(batch(), header)
})

const refused: [name: string, edit: (bytes: Buffer) => Buffer, code: string][] = [
  ['a truncated batch', (bytes) => bytes.subarray(0, 70), 'TRUNCATED'],
  ['two batches', (bytes) => Buffer.concat([bytes, bytes]), 'RECORD_BATCH_INVALID'],
  ['a changed record', (bytes) => withByte(bytes, 67, 0x7a), 'RECORD_BATCH_CORRUPT'],
  ['a changed checksum', (bytes) => withByte(bytes, 20, 1), 'RECORD_BATCH_CORRUPT'],
  ['a changed header', (bytes) => withByte(bytes, 60, 2), 'RECORD_BATCH_CORRUPT'],
  ['an unknown compression', (bytes) => sealed(withByte(bytes, 22, 5)), 'RECORD_BATCH_INVALID'],
  ['a control batch', (bytes) => sealed(withByte(bytes, 22, 0x20)), 'RECORD_BATCH_INVALID'],
  ['a transactional batch', (bytes) => sealed(withByte(bytes, 22, 0x10)), 'RECORD_BATCH_INVALID'],
  ['a last offset that does not fit the count', (bytes) => sealed(withByte(bytes, 26, 1)), 'RECORD_BATCH_INVALID'],
  ['no records', (bytes) => sealed(withByte(withBytes(bytes, 23, 'ffffffff'), 60, 0)), 'RECORD_BATCH_INVALID'],
  [
    'fewer than no records',
    (bytes) => sealed(withBytes(withBytes(bytes, 23, 'fffffffe'), 57, 'ffffffff')),
    'RECORD_BATCH_INVALID',
  ],
  ['a time that is no exact number', (bytes) => sealed(withByte(bytes, 35, 0x7f)), 'RECORD_BATCH_INVALID'],
  ['a producer id that is no exact number', (bytes) => sealed(withByte(bytes, 43, 0x7f)), 'RECORD_BATCH_INVALID'],
]

for (const [name, edit, code] of refused) {
  test(`not taken: ${name}`, () => {
    const bytes = edit(batch())
    assert.throws(() => checkBatch(bytes, readBatchHeader(bytes)), { code })
  })
}

test('only a whole, unchanged batch is intact; what follows does not matter', () => {
  assert.ok(isBatchIntact(Buffer.concat([batch(), batch()]), header))
  assert.ok(!isBatchIntact(batch().subarray(0, 70), header))
  for (let at = 21; at < 71; at++) assert.ok(!isBatchIntact(withByte(batch(), at, 0xaa), header), `byte ${at}`)
})

for (const [baseOffset, leaderEpoch] of [
  [0, 0],
  [2 ** 32 + 5, -1],
  [Number.MAX_SAFE_INTEGER, 2 ** 31 - 1],
] as const) {
  test(`a batch placed at ${baseOffset}, epoch ${leaderEpoch}, is still intact`, () => {
    const bytes = batch()
    placeBatch(bytes, { baseOffset, leaderEpoch })
    assert.deepEqual(readBatchHeader(bytes), { ...header, baseOffset, leaderEpoch })
    checkBatch(bytes, readBatchHeader(bytes))
    assert.equal(bytes.toString('hex', 16), hex.slice(32))
  })
}

test('the time of the append takes the place of the largest time', () => {
  const bytes = batch()
  stampAppendTime(bytes, 1_800_000_000_123)
  const stamped = readBatchHeader(bytes)
  assert.deepEqual(stamped, { ...header, attributes: 1 + 8, maxTimestampMs: 1_800_000_000_123, crc: stamped.crc })
  checkBatch(bytes, stamped)
})

test('the compression is in three bits of the attributes', () => {
  const found = [0, 1, 2, 3, 4, 8, 9].map((attributes) => compressionOf({ ...header, attributes }))
  assert.deepEqual(found, ['none', 'gzip', 'snappy', 'lz4', 'zstd', 'none', 'gzip'])
  assert.throws(() => compressionOf({ ...header, attributes: 7 }), { code: 'RECORD_BATCH_INVALID' })
})

test('consecutive batches are taken apart, without a truncated last one', () => {
  const three = Buffer.concat([batch(), batch(), batch()])
  for (const [lengthBytes, count] of [
    [0, 0],
    [70, 0],
    [71, 1],
    [72, 1],
    [141, 1],
    [142, 2],
    [212, 2],
    [213, 3],
  ] as const) {
    const batches = splitBatches(three.subarray(0, lengthBytes))
    assert.deepEqual(batches, Array.from({ length: count }, batch), `${lengthBytes} bytes`)
  }
  const [first] = splitBatches(three)
  assert.equal(first?.buffer, three.buffer)
  assert.throws(() => splitBatches(Buffer.concat([batch(), Buffer.alloc(100)])), { code: 'RECORD_BATCH_INVALID' })
})

const cases = [batch(), ...refused.map(([, edit]) => edit(batch())), ...unreadable.map(([, edit]) => edit(batch()))]
fuzzBytes('a record batch', cases, (input) => {
  const bytes = input.length < 61 ? input : sealed(Buffer.from(input))
  splitBatches(bytes)
  checkBatch(bytes, readBatchHeader(bytes))
})

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value
  return bytes
}

function withBytes(bytes: Buffer, at: number, value: string): Buffer {
  bytes.write(value, at, 'hex')
  return bytes
}

/** With the checksum that fits. */
function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return bytes
}
