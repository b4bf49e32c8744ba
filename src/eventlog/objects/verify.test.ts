import assert from 'node:assert/strict'
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { systemClock } from '#lib/clock.ts'
import { startS3 } from '../../../test/support/s3.ts'
import type { TopicRow } from '../metadata/log-metadata.ts'
import { sqlObjectExtents } from '../metadata/sql-object-extents.ts'
import { FixtureLog, makeBatches, silentLog } from './objects.fixture.ts'
import { verifyLog, type VerifyFinding, type VerifyStep } from './verify.ts'

async function verify(log: FixtureLog, objects: ObjectStore = log.objects) {
  const metadata = { ...log.metadata, ...sqlObjectExtents(log.database) }
  const steps: VerifyStep[] = await Array.fromAsync(verifyLog({ metadata, objects }))
  const findings: VerifyFinding[] = steps.flatMap((step) => (step.kind === 'finding' ? [step.finding] : []))
  return { findings, last: steps.at(-1) }
}

/** Two topics over three objects, with runs large enough for sparse points; what is in which object comes back. */
async function fill(log: FixtureLog): Promise<{ topic: TopicRow; keys: string[]; firstRunBytes: number }> {
  const topic = await log.createTopic('orders', { partitionCount: 2 })
  const other = await log.createTopic('payments')
  const sizes = (index: number) => ({ records: 2, valueBytes: 20_000, timestampMs: index })
  const first = await log.commit([
    { topic, batches: makeBatches(10, sizes) },
    { topic, partition: 1, batches: makeBatches(4, sizes) },
    { topic: other, batches: makeBatches(2, sizes) },
  ])
  const second = await log.commit([{ topic, batches: makeBatches(3, sizes, 20) }])
  const third = await log.commit([{ topic, batches: makeBatches(3, sizes, 26) }])
  return { topic, keys: [first.key, second.key, third.key], firstRunBytes: first.encoded.runs[0]?.lengthBytes ?? 0 }
}

function kindsOf(findings: readonly VerifyFinding[]): string[] {
  return findings.map(({ kind }) => kind)
}

test('a sound log has no findings, and everything was looked at', async () => {
  await using log = await FixtureLog.open()
  await fill(log)
  const { findings, last } = await verify(log)
  assert.deepEqual(findings, [])
  const bytes = (await log.metadata.loadTopics())
    .flatMap(({ partitions }) => partitions)
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  assert.deepEqual(last, { kind: 'progress', objects: 3, batches: 22, bytes })
})

test('the same in S3, after retention has deleted the start of a run and another run', async () => {
  await using server = await startS3({ hasConditionalPuts: true })
  await using objects = await openObjectStore(await server.createBucket(), {
    dataDirectory: '',
    clock: systemClock,
    log: silentLog,
  })
  await using log = await FixtureLog.open(objects)
  const { topic } = await fill(log)
  const [first, second] = topic.partitions
  await log.metadata.advanceLogStart({ partitionId: first?.partitionId ?? 0, offset: 5, nowMs: 1 })
  await log.metadata.advanceLogStart({ partitionId: second?.partitionId ?? 0, offset: 8, nowMs: 1 })
  assert.deepEqual((await verify(log)).findings, [])
})

type Change = (at: { path: string; bytes: Buffer; log: FixtureLog; keys: string[]; firstRunBytes: number }) => Promise<unknown>
const flip = (bytes: Buffer, position: number): Buffer => {
  bytes.writeUInt8(bytes.readUInt8(position) ^ 1, position)
  return bytes
}
const damages: [string, Change, Partial<VerifyFinding>[]][] = [
  ['an object that is gone', ({ log, keys }) => log.objects.delete(keys[0] ?? ''), [{ kind: 'missing', extents: 3 }]],
  ['an object that was cut', ({ path, bytes }) => truncate(path, bytes.length - 1), [{ kind: 'size' }, { kind: 'index' }]],
  [
    'an object that lost its batches too',
    ({ path }) => truncate(path, 1000),
    [{ kind: 'size', storedBytes: 1000 }, { kind: 'index' }],
  ],
  ['a changed footer', ({ path, bytes }) => writeFile(path, flip(bytes, bytes.length - 1)), [{ kind: 'index' }]],
  [
    'a changed byte in a batch',
    ({ path, bytes }) => writeFile(path, flip(bytes, 100)),
    [{ kind: 'damaged', positionBytes: 0, baseOffset: 0, lastOffset: 19, message: 'the batch does not fit its checksum' }],
  ],
  [
    'a changed base offset',
    ({ path, bytes, firstRunBytes }) => writeFile(path, flip(bytes, firstRunBytes + 7)),
    // The next batch does not follow it either.
    [{ kind: 'damaged', message: 'the batch has offset 1 where 0 comes next' }, { kind: 'damaged' }],
  ],
  [
    'a changed length',
    ({ path, bytes, firstRunBytes }) => writeFile(path, flip(bytes, firstRunBytes + 8)),
    [{ kind: 'damaged', message: 'no batch begins here; the rest of the run cannot be read' }],
  ],
  [
    'an extent that is missing from the database',
    ({ log }) => sql`delete from extents where base_offset = 20`.execute(log.database.db),
    [{ kind: 'gap', topic: 'orders', partition: 0, fromOffset: 20, toOffset: 26 }],
  ],
  [
    'an end that has no extent',
    ({ log }) => sql`delete from extents where base_offset = 26`.execute(log.database.db),
    [{ kind: 'gap', topic: 'orders', partition: 0, fromOffset: 26, toOffset: 32 }],
  ],
  [
    'extents that overlap',
    ({ log }) => sql`update extents set base_offset = 18 where base_offset = 20`.execute(log.database.db),
    // The points of the sparse index are stored as differences to the base offset.
    [{ kind: 'overlap', fromOffset: 18, toOffset: 20 }, { kind: 'index' }, { kind: 'damaged' }, { kind: 'damaged' }],
  ],
  [
    'an extent that says something else than the object',
    ({ log }) => sql`update extents set max_timestamp_ms = 99 where base_offset = 26`.execute(log.database.db),
    [{ kind: 'index' }, { kind: 'damaged', message: 'the batches have maxTimestampMs 3, the database says 99' }],
  ],
  [
    'a run of another partition',
    ({ log }) => sql`update partitions set partition_index = 7 where id = 2`.execute(log.database.db),
    [{ kind: 'index' }],
  ],
]
for (const [name, change, expected] of damages) {
  test(`found: ${name}`, async () => {
    await using log = await FixtureLog.open()
    const { keys, firstRunBytes } = await fill(log)
    const path = join(log.path, keys[0] ?? '')
    await change({ path, bytes: await readFile(path), log, keys, firstRunBytes })
    const { findings } = await verify(log)
    assert.deepEqual(
      kindsOf(findings),
      expected.map(({ kind }) => kind),
    )
    for (const [index, part] of expected.entries()) assert.partialDeepStrictEqual(findings[index], part)
  })
}

test('objects that the store fails to give are told; when it gives nothing any more, that ends the verification', async () => {
  await using log = await FixtureLog.open()
  const { topic } = await fill(log)
  const unmounted = `${log.path}.unmounted`
  await rename(log.path, unmounted)
  assert.deepEqual(kindsOf((await verify(log)).findings), ['unreadable', 'unreadable', 'unreadable'])
  await rename(unmounted, log.path)
  for (const base of [32, 33]) await log.commit([{ topic, batches: makeBatches(1, () => ({}), base) }])
  await rename(log.path, unmounted)
  await assert.rejects(verify(log), { code: 'OBJECTS_UNAVAILABLE' })
  await rename(unmounted, log.path)
})

test('a fired signal ends it', async () => {
  await using log = await FixtureLog.open()
  await fill(log)
  const metadata = { ...log.metadata, ...sqlObjectExtents(log.database) }
  const steps = verifyLog({ metadata, objects: log.objects, signal: AbortSignal.abort(new Error('enough')) })
  await assert.rejects(Array.fromAsync(steps), /enough/)
})
