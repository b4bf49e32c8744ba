import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { checkObjectKey } from '#store/objects/object-key.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { encodeObject, objectKeyFor, type ObjectRun } from './object-format.ts'
import { decodeFooter, decodeObjectIndex, footerBytes, sealIndex, type ObjectIndex } from './object-index.ts'
import { makeBatch, makeBatches, makeRun } from './objects.fixture.ts'

function bytesOf(objectId: string, runs: readonly ObjectRun[]): Buffer {
  const { chunks, sizeBytes } = encodeObject(objectId, runs)
  const bytes = Buffer.concat([...chunks])
  assert.equal(bytes.length, sizeBytes)
  return bytes
}

const orders = makeBatches(3, (index) => ({ records: 2, timestampMs: 5_000 - index }), 40)
const payments = [makeBatch({ baseOffset: 2 ** 40, timestampMs: -1 })]
const runs = [
  makeRun(orders),
  makeRun(payments, { partitionId: 7, topicId: 'b', topicName: 'païements', partition: 12, epoch: 2 ** 33 }),
]

test('an object is the batches as they are, one after the other, and its index says what lies where', () => {
  const bytes = bytesOf('object-1', runs)
  const batches = Buffer.concat([...orders, ...payments])
  assert.deepEqual(bytes.subarray(0, batches.length), batches)
  const lengthBytes = Buffer.concat(orders).length
  assert.deepEqual(decodeObjectIndex(bytes, bytes.length), {
    objectId: 'object-1',
    runs: [
      {
        topicId: '11111111-1111-4111-8111-111111111111',
        topicName: 'orders',
        partition: 0,
        row: {
          partitionId: 1,
          epoch: 1,
          baseOffset: 40,
          lastOffset: 45,
          positionBytes: 0,
          lengthBytes,
          minTimestampMs: 4_998,
          maxTimestampMs: 5_001,
          batchCount: 3,
          sparse: [],
        },
        producers: [],
      },
      {
        topicId: 'b',
        topicName: 'païements',
        partition: 12,
        row: {
          partitionId: 7,
          epoch: 2 ** 33,
          baseOffset: 2 ** 40,
          lastOffset: 2 ** 40,
          positionBytes: lengthBytes,
          lengthBytes: payments[0]?.length,
          minTimestampMs: -1,
          maxTimestampMs: -1,
          batchCount: 1,
          sparse: [],
        },
        producers: [],
      },
    ],
  })
})

test('an object without runs is an index without runs', () => {
  const bytes = bytesOf('empty', [])
  assert.deepEqual(decodeObjectIndex(bytes, bytes.length), { objectId: 'empty', runs: [] })
})

test('sparse points are about 64 KiB apart and tell the latest time before them', () => {
  const batches = makeBatches(40, (index) => ({ records: 3, valueBytes: 3_000, timestampMs: 1_000 * (40 - index) }))
  const { runs: rows } = encodeObject('a', [makeRun(batches)])
  const points = rows[0]?.sparse ?? []
  assert.equal(points.length, 4)
  let before = 0
  for (const { offset, positionBytes, maxTimestampMs } of points) {
    const bytes = Buffer.concat(batches).subarray(positionBytes)
    assert.equal(readBatchHeader(bytes).baseOffset, offset)
    assert(positionBytes - before >= 65_536 && positionBytes - before < 65_536 + 10_000)
    assert.equal(maxTimestampMs, 40_002)
    before = positionBytes
  }
})

test('the index keeps the last five batches of each idempotent producer, of its newest epoch', () => {
  const batch = (index: number, id: number, epoch: number, baseSequence: number): Buffer =>
    makeBatch({ baseOffset: index * 2, records: 2, timestampMs: index, producer: { id, epoch, baseSequence } })
  const batches = [
    batch(0, 9, 0, 0),
    batch(1, 8, 0, 0),
    ...[2, 3, 4, 5, 6, 7].map((index) => batch(index, 9, 1, (index - 2) * 2)),
    batch(8, 8, 0, 2 ** 31 - 1),
  ]
  const bytes = bytesOf('a', [makeRun(batches)])
  const [run] = decodeObjectIndex(bytes, bytes.length).runs
  const [nine, eight] = run?.producers ?? []
  assert.deepEqual(
    [nine?.producerId, nine?.producerEpoch, nine?.batches.map((one) => one.firstSequence)],
    [9, 1, [2, 4, 6, 8, 10]],
  )
  assert.deepEqual(nine?.batches[0], { firstSequence: 2, lastSequence: 3, baseOffset: 6, lastOffset: 7, timestampMs: 4 })
  assert.deepEqual(
    eight?.batches.map(({ firstSequence, lastSequence }) => [firstSequence, lastSequence]),
    [
      [0, 1],
      [2 ** 31 - 1, 0],
    ],
  )
})

test('a run must have batches, and each must follow the one before', () => {
  const batches = [makeBatch({ baseOffset: 0, records: 2 }), makeBatch({ baseOffset: 3 })]
  assert.throws(() => encodeObject('a', [makeRun(batches)]), { code: 'INTERNAL', message: /has offset 3 where 2 comes next/ })
  assert.throws(() => encodeObject('a', [makeRun([])]), { code: 'INTERNAL' })
})

test('keys spread over 256 prefixes, name the agent and can be in any store', () => {
  const keys = Array.from({ length: 2_000 }, (_, index) => objectKeyFor(`id${index}`, '0123456789'))
  keys.forEach(checkObjectKey)
  assert.equal(new Set(keys.map((key) => key.slice(0, 10))).size, 256)
  assert.match(objectKeyFor('01hx', '0123456789'), /^data\/v1\/[0-9a-f]{2}\/01234567\/01hx\.log$/)
})

test('whatever is encoded comes back', () => {
  const anyBatch = fc.record({
    records: fc.integer({ min: 1, max: 4 }),
    valueBytes: fc.integer({ min: 0, max: 40_000 }),
    timestampMs: fc.nat(),
  })
  const anyRun = fc.record({
    batches: fc.array(anyBatch, { minLength: 1, maxLength: 6 }),
    partitionId: fc.nat(),
    topicName: fc.string({ unit: 'grapheme', maxLength: 60 }),
    epoch: fc.maxSafeNat(),
    baseOffset: fc.integer({ min: 0, max: 2 ** 50 }),
  })
  const property = fc.property(fc.array(anyRun, { maxLength: 5 }), (specs) => {
    const given = specs.map(({ batches, baseOffset, ...rest }) =>
      makeRun(
        makeBatches(batches.length, (index) => batches[index] ?? {}, baseOffset),
        rest,
      ),
    )
    const encoded = encodeObject('x', given)
    const bytes = Buffer.concat([...encoded.chunks])
    const decoded = decodeObjectIndex(bytes, bytes.length)
    assert.deepEqual(
      decoded.runs.map(({ row }) => row),
      encoded.runs,
    )
    for (const [index, { row, ...names }] of decoded.runs.entries()) {
      const { spans, partitionId: _, epoch: __, ...expected } = given[index] ?? makeRun([])
      assert.deepEqual({ ...names, producers: [] }, { ...expected, producers: [] })
      assert.deepEqual(
        bytes.subarray(row.positionBytes, row.positionBytes + row.lengthBytes),
        Buffer.concat(spans.map((span) => span.bytes)),
      )
    }
  })
  fc.assert(property, { numRuns: 100 })
})

const whole = bytesOf('object-1', runs)
const place = decodeFooter(whole, whole.length)
const index = whole.subarray(place.positionBytes, -footerBytes)

const damages: [string, Buffer, number, string][] = [
  ['nothing', Buffer.alloc(0), 0, 'LOG_DAMAGED'],
  ['a footer cut short', whole.subarray(0, -1), whole.length - 1, 'LOG_DAMAGED'],
  ['another size of object', whole, whole.length + 1, 'LOG_DAMAGED'],
  ['a tail that begins within the index', whole.subarray(place.positionBytes + 1), whole.length, 'TRUNCATED'],
  ['a changed byte of the index', flipped(whole, place.positionBytes + 9), whole.length, 'LOG_DAMAGED'],
  ['a changed length in the footer', flipped(whole, whole.length - 9), whole.length, 'LOG_DAMAGED'],
  ['a newer version', sealed(Buffer.concat([Buffer.of(0, 2), index.subarray(2)])), whole.length, 'UNSUPPORTED'],
  ['an index that ends early', sealed(index.subarray(0, -3)), whole.length - 3, 'TRUNCATED'],
  ['bytes behind the last run', sealed(Buffer.concat([index, Buffer.of(0)])), whole.length + 1, 'LOG_DAMAGED'],
]
for (const [name, bytes, sizeBytes, code] of damages) {
  test(`refused: ${name}`, () => assert.throws(() => decodeObjectIndex(bytes, sizeBytes), { code }))
}

function sealed(changed: Buffer): Buffer {
  return Buffer.concat([whole.subarray(0, place.positionBytes), sealIndex(changed, place.positionBytes)])
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

fuzzBytes('the end of an object', [whole], (input) => decodeObjectIndex(input, input.length))
// With a footer that fits, so that what is behind the checksum is met too.
fuzzBytes('the index of an object', [index], (input) => {
  const bytes = sealIndex(input, place.positionBytes)
  const decoded: ObjectIndex = decodeObjectIndex(bytes, place.positionBytes + bytes.length)
  for (const { row } of decoded.runs) assert(row.positionBytes + row.lengthBytes <= place.positionBytes)
})
