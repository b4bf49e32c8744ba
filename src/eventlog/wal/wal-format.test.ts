import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { EntryMarks } from './entry-marks.ts'
import { findSegments, segmentFileName } from './segment-files.ts'
import {
  areBatchesIntact,
  encodeSeal,
  encodeSegmentHeader,
  entriesStart,
  entryBytes,
  entryHeaderBytes,
  parseEntryHeader,
  parseSegmentHeader,
  type EntryFields,
} from './wal-format.ts'
import { GroupLayout } from './wal-group.ts'
import { testBatch } from './wal.fixture.ts'

const seed = 0x1234_5678
const segment = 9
const fileBytes = 2 ** 20

const entries: [string, EntryFields, number][] = [
  ['the smallest batch', { partitionId: 1, epoch: 1, baseOffset: 0, recordCount: 1 }, 61],
  [
    'numbers up to 2^53',
    { partitionId: 2 ** 53 - 1, epoch: 2 ** 32 - 1, baseOffset: 2 ** 53 - 1, recordCount: 2 ** 31 - 1 },
    100,
  ],
  ['a batch that is not copied', { partitionId: 5, epoch: 2, baseOffset: 77, recordCount: 1000 }, 150_000],
]

for (const [name, fields, sizeBytes] of entries) {
  test(`an entry is read as it was written: ${name}`, () => {
    const batch = testBatch(3, sizeBytes)
    const group = new GroupLayout().layOut([{ ...fields, batches: batch }], { seed, segment, start: entriesStart })
    const bytes = Buffer.concat(group.chunks)
    assert.equal(bytes.length, group.sizeBytes)
    assert.equal(bytes.length, entryBytes(sizeBytes))
    const place = { seed, segment, position: entriesStart, fileBytes }
    const parsed = parseEntryHeader(bytes, place)
    assert.deepEqual(parsed, { ...fields, groupStart: entriesStart, lengthBytes: sizeBytes })
    assert.deepEqual(bytes.subarray(entryHeaderBytes, entryHeaderBytes + sizeBytes), batch)
    assert.ok(bytes.subarray(entryHeaderBytes + sizeBytes).every((byte) => byte === 0))
    for (let at = 0; at < 69; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.equal(parseEntryHeader(changed, place), undefined, `byte ${at}`)
    }
    for (const wrong of [{ seed: 1 }, { segment: 8 }, { position: entriesStart + 64 }, { fileBytes: entriesStart + sizeBytes }]) {
      assert.equal(parseEntryHeader(bytes, { ...place, ...wrong }), undefined)
    }
  })
}

test('batches of one entry vouch for each other: any changed byte is noticed', () => {
  const batches = Buffer.concat([testBatch(70, 90), testBatch(71, 61), testBatch(72, 100)])
  const fields = { partitionId: 1, epoch: 1, baseOffset: 70, recordCount: 3 }
  const group = new GroupLayout().layOut([{ ...fields, batches }], { seed, segment, start: entriesStart })
  const bytes = Buffer.concat(group.chunks)
  const isIntact = (entry: Buffer): boolean => {
    const header = parseEntryHeader(entry, { seed, segment, position: entriesStart, fileBytes })
    return (
      header !== undefined && areBatchesIntact(entry.subarray(entryHeaderBytes, entryHeaderBytes + header.lengthBytes), header)
    )
  }
  assert.ok(isIntact(bytes))
  for (let at = 0; at < entryHeaderBytes + batches.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    assert.ok(!isIntact(changed), `byte ${at}`)
  }
})

test('a group lays small and large batches one behind the other', () => {
  const sizes = [61, 20_000, 64, 8192, 8193, 70, 9000, 9001]
  const batches = sizes.map((size, index) => testBatch(index, size))
  const group = new GroupLayout().layOut(
    batches.map((batch, index) => ({ partitionId: index, epoch: 1, baseOffset: index, recordCount: 1, batches: batch })),
    { seed, segment, start: 8192 },
  )
  const bytes = Buffer.concat(group.chunks)
  assert.equal(bytes.length, group.sizeBytes)
  for (const [index, position] of group.positions.entries()) {
    const at = position - 8192
    const parsed = parseEntryHeader(bytes.subarray(at), { seed, segment, position, fileBytes })
    assert.deepEqual([parsed?.partitionId, parsed?.groupStart], [index, 8192])
    assert.deepEqual(bytes.subarray(at + entryHeaderBytes, at + entryHeaderBytes + (sizes[index] ?? 0)), batches[index])
  }
})

test('a seal is an entry without a batch that proves all before it', () => {
  const seal = encodeSeal({ seed, segment, position: 8192 })
  assert.equal(seal.length, 64)
  const parsed = parseEntryHeader(seal, { seed, segment, position: 8192, fileBytes: 8192 + 64 })
  assert.deepEqual([parsed?.lengthBytes, parsed?.groupStart], [0, 8192])
})

test('a segment header is read as it was written, from either copy', () => {
  const header = { walId: 'w'.repeat(255), number: 2 ** 32 - 1, life: 'l'.repeat(255) }
  const { bytes, seed: ownSeed } = encodeSegmentHeader(header)
  assert.equal(bytes.length, entriesStart)
  assert.deepEqual(parseSegmentHeader(bytes), { ...header, seed: ownSeed })
  bytes.fill(0xff, 0, 2048)
  assert.deepEqual(parseSegmentHeader(bytes), { ...header, seed: ownSeed })
  bytes.fill(0xff, 2048)
  assert.equal(parseSegmentHeader(bytes), undefined)
})

const aHeader = encodeSegmentHeader({ walId: 'wal', number: 1, life: 'life' }).bytes
fuzzBytes('a segment header', [aHeader, aHeader.subarray(0, 40), Buffer.alloc(0)], parseSegmentHeader)
fuzzBytes(
  'an entry header',
  [
    encodeSeal({ seed, segment, position: entriesStart }),
    Buffer.concat(
      new GroupLayout().layOut([{ partitionId: 1, epoch: 1, baseOffset: 1, recordCount: 1, batches: testBatch(1, 99) }], {
        seed,
        segment,
        start: entriesStart,
      }).chunks,
    ),
  ],
  (bytes) => parseEntryHeader(bytes, { seed, segment, position: entriesStart, fileBytes }),
)

test('segments are found by their names, in order; two files of one number are refused', () => {
  const names = ['lock', '2.tmp', segmentFileName(10, 'wal'), segmentFileName(2, 'damaged'), 'wal.id', '12.wal']
  assert.deepEqual(
    findSegments(names).map(({ number, isDamaged }) => [number, isDamaged]),
    [
      [2, true],
      [10, false],
    ],
  )
  assert.throws(() => findSegments([...names, segmentFileName(10, 'damaged')]), { code: 'LOG_DAMAGED' })
})

test('marks count each entry once', () => {
  const marks = new EntryMarks()
  const positions = [4096, 4096 + 64, 70_400, 1_000_000 * 64]
  for (const position of [...positions, ...positions]) marks.add(position)
  assert.equal(marks.count, 4)
  assert.equal(marks.remove(70_400), true)
  assert.equal(marks.remove(70_400), false)
  assert.equal(marks.remove(2 ** 32), false)
  marks.removeFrom(4096 + 64)
  assert.equal(marks.count, 1)
  assert.equal(marks.remove(4096), true)
})
