import assert from 'node:assert/strict'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { EventSink } from '../events.ts'
import { deleteRecording } from './delete-segment.ts'
import type { RecordingSegment } from './recording-index.ts'
import { epochMs, eventList, openArchive, openIndex, silentLog } from './recording.fixture.ts'
import { Retention, type RetentionOptions, type RetentionPolicy } from './retention.ts'
import { absolutePath, segmentPath } from './segment-path.ts'

const hourMs = 3_600_000
const keepAll: RetentionPolicy = { retentionHours: 0, retentionMegabytes: 0, archive: false, archiveRetentionHours: 0 }

async function bench(options: Partial<RetentionOptions> = {}) {
  const stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory()).path
  const { index } = stack.use(await openIndex())
  const { archive, objectsDirectory } = await openArchive(directory)
  stack.defer(() => rm(objectsDirectory, { recursive: true }))
  const events = eventList()
  const told: boolean[] = []
  const retention = stack.use(
    new Retention({
      directory,
      index,
      settings: { maxMegabytes: 0, minFreeMegabytes: 0 },
      policyOf: () => keepAll,
      onDiskFull: (isFull) => void told.push(isFull),
      events,
      clock: new ManualClock(epochMs),
      log: silentLog,
      freeBytes: async () => 1e12,
      ...options,
    }),
  )
  return {
    directory,
    index,
    archive,
    events,
    told,
    retention,
    /** A file of `megabytes` in the index (its file is small) that ended `hours` ago. */
    async put(
      stream: string,
      hours: number,
      { megabytes = 1, state = 'closed' }: { megabytes?: number; state?: 'open' | 'closed' } = {},
    ) {
      const startedAtMs = epochMs - hours * hourMs - 60_000
      const id = newId(startedAtMs)
      const path = segmentPath({ stream, startedAtMs, id })
      const ended = state === 'closed' ? { endedAtMs: startedAtMs + 60_000 } : {}
      const rest = { durationMs: 60_000, sizeBytes: megabytes * 1e6, initSizeBytes: 700, isDiscontinuity: false, isOnDisk: true }
      const segment: RecordingSegment = { id, stream, sessionId: 's', path, startedAtMs, ...ended, ...rest, state }
      await mkdir(dirname(absolutePath(directory, path)), { recursive: true })
      await writeFile(absolutePath(directory, path), 'x')
      await index.save([segment])
      return segment
    },
    deleted: () =>
      events.events.flatMap((event) => (event.type === 'recording.deleted' ? [[event.segmentId, event.reason]] : [])),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

test('by age: what ended before the limit goes, with its file and the directories it leaves empty', async () => {
  await using b = await bench({ policyOf: (stream) => ({ ...keepAll, retentionHours: stream === 'a/b' ? 24 : 0 }) })
  const old = await b.put('a/b', 25)
  const young = await b.put('c', 25)
  const report = await b.retention.run()
  assert.deepEqual(b.deleted(), [[old.id, 'age']])
  assert.deepEqual(report.deleted, { age: 1, size: 0, 'free-space': 0 })
  assert.deepEqual(await b.index.list({ limit: 10 }), [young])
  assert.deepEqual(await readdir(b.directory), ['c'])
})

test('by size: the oldest of the stream go until it fits, and open ones count but stay', async () => {
  await using b = await bench({ policyOf: (stream) => ({ ...keepAll, retentionMegabytes: stream === 'a' ? 25 : 0 }) })
  const open = await b.put('a', 9, { megabytes: 10, state: 'open' })
  const [first, second, third] = [
    await b.put('a', 8, { megabytes: 10 }),
    await b.put('a', 7, { megabytes: 10 }),
    await b.put('a', 6, { megabytes: 10 }),
  ]
  await b.put('b', 9, { megabytes: 100 })
  await b.retention.run()
  assert.deepEqual(b.deleted(), [
    [first.id, 'size'],
    [second.id, 'size'],
  ])
  assert.deepEqual(await b.index.list({ stream: 'a', limit: 10 }), [open, third])
})

test('by size of all together: the oldest of any stream, also of one that nobody declares', async () => {
  await using b = await bench({ settings: { maxMegabytes: 15, minFreeMegabytes: 0 }, policyOf: () => undefined })
  const [a, c, d] = [
    await b.put('a', 3, { megabytes: 10 }),
    await b.put('c', 2, { megabytes: 10 }),
    await b.put('a', 1, { megabytes: 5 }),
  ]
  await b.retention.run()
  assert.deepEqual(b.deleted(), [[a.id, 'size']])
  assert.deepEqual(await b.index.list({ limit: 10 }), [c, d])
})

test('by free space: as many of the oldest as are missing', async () => {
  let free = 75e6
  // The disk gives back what is deleted.
  const events: EventSink = {
    emit(event) {
      if (event.type === 'recording.deleted') free += event.sizeBytes
      b.events.emit(event)
    },
  }
  await using b = await bench({ settings: { maxMegabytes: 0, minFreeMegabytes: 100 }, freeBytes: async () => free, events })
  const segments = []
  for (const hours of [5, 4, 3, 2, 1]) segments.push(await b.put('a', hours, { megabytes: 10 }))
  const report = await b.retention.run()
  assert.deepEqual(
    b.deleted(),
    segments.slice(0, 3).map(({ id }) => [id, 'free-space']),
  )
  assert.deepEqual([report.isDiskFull, report.freeBytes], [false, 105e6])
  assert.deepEqual(b.told, [false])
})

const archiving: RetentionPolicy = { ...keepAll, archive: true }

test('by age and size, of a stream that is archived: what the archive has leaves the disk, the rest waits', async () => {
  for (const limit of [{ retentionHours: 1 }, { retentionMegabytes: 1 }]) {
    await using b = await bench({ policyOf: () => ({ ...archiving, ...limit }) })
    const waiting = await b.put('a/b', 6, { megabytes: 10 })
    const archived = await b.put('a/b', 5, { megabytes: 10 })
    await b.put('a/b', 4, { megabytes: 10 })
    await b.index.markArchived(archived.id, epochMs)
    const report = await b.retention.run()
    assert.deepEqual(b.deleted(), [])
    assert.deepEqual([report.archived, report.deletedBytes], [1, 10e6])
    assert.deepEqual(
      (await b.index.list({ limit: 10 })).map(({ isOnDisk }) => isOnDisk),
      [true, false, true],
    )
    await assert.rejects(stat(absolutePath(b.directory, archived.path)))
    assert.equal((await stat(absolutePath(b.directory, waiting.path))).isFile(), true)
    // What is freed counts no more.
    assert.equal((await b.retention.run()).deletedBytes, 0)
  }
})

test('what is too old for the archive does not wait for it', async () => {
  await using b = await bench({ policyOf: () => ({ ...archiving, retentionHours: 1, archiveRetentionHours: 5 }) })
  const old = await b.put('a', 6)
  const waiting = await b.put('a', 4)
  await b.retention.run()
  assert.deepEqual(b.deleted(), [[old.id, 'age']])
  assert.deepEqual(await b.index.list({ limit: 10 }), [waiting])
})

test('by free space and size of all together: what the archive has goes first, then also what waits, with a warning', async () => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  await using b = await bench({ settings: { maxMegabytes: 15, minFreeMegabytes: 0 }, policyOf: () => archiving, log })
  const oldest = await b.put('a', 5, { megabytes: 10 })
  const archived = await b.put('a', 4, { megabytes: 10 })
  const young = await b.put('a', 3, { megabytes: 10 })
  await b.index.markArchived(archived.id, epochMs)
  await b.retention.run()
  assert.deepEqual(b.deleted(), [[oldest.id, 'size']])
  assert.deepEqual(
    b.events.events.map(({ type }) => type),
    ['recording.freed', 'recording.deleted'],
  )
  assert.deepEqual(
    (await b.index.list({ limit: 10 })).map(({ id, isOnDisk }) => [id, isOnDisk]),
    [
      [archived.id, false],
      [young.id, true],
    ],
  )
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', new RegExp(`"segmentId":"${oldest.id}".*before it was archived`))
})

test('a full disk with nothing to delete is told to the recorders, and so is room', async () => {
  let free = 0
  await using b = await bench({ settings: { maxMegabytes: 0, minFreeMegabytes: 100 }, freeBytes: async () => free })
  const open = await b.put('a', 5, { state: 'open' })
  assert.equal((await b.retention.run()).isDiskFull, true)
  free = 200e6
  assert.equal((await b.retention.run()).isDiskFull, false)
  assert.deepEqual(b.told, [true, false])
  assert.deepEqual(await b.index.list({ limit: 10 }), [open])
})

test('between the runs, it runs when the disk is found below its floor', async () => {
  let free = 200e6
  await using b = await bench({ settings: { maxMegabytes: 0, minFreeMegabytes: 100 }, freeBytes: async () => free })
  const oldest = await b.put('a', 5)
  await b.retention.checkSpace()
  assert.deepEqual([b.deleted(), b.told], [[], []])
  free = 50e6
  await b.retention.checkSpace()
  assert.deepEqual([b.deleted(), b.told], [[[oldest.id, 'free-space']], [true]])
})

test('a file that is gone already is no error, one that cannot be deleted does not hold up the others', async () => {
  await using b = await bench({ policyOf: () => ({ ...keepAll, retentionHours: 1 }) })
  const gone = await b.put('a', 5)
  const stuck = await b.put('a', 4)
  const last = await b.put('a', 3)
  await rm(absolutePath(b.directory, gone.path))
  // A directory in place of the file cannot be unlinked.
  await rm(absolutePath(b.directory, stuck.path))
  await mkdir(join(absolutePath(b.directory, stuck.path), 'inside'), { recursive: true })
  const report = await b.retention.run()
  assert.deepEqual(b.deleted(), [
    [gone.id, 'age'],
    [last.id, 'age'],
  ])
  assert.equal(report.failed, 1)
})

test('it runs at once and again after each interval', async () => {
  await using b = await bench({ intervalMs: 20 })
  b.retention.start()
  await until(() => b.told.length >= 3)
})

test('on request: unknown ids and open files are refused', async () => {
  await using b = await bench()
  const open = await b.put('a', 1, { state: 'open' })
  const closed = await b.put('a', 2)
  await assert.rejects(deleteRecording(b, 'nope'), { code: 'RECORDING_NOT_FOUND' })
  await assert.rejects(deleteRecording(b, open.id), { code: 'RECORDING_OPEN' })
  await deleteRecording(b, closed.id)
  assert.deepEqual(b.deleted(), [[closed.id, 'request']])
  await assert.rejects(stat(absolutePath(b.directory, closed.path)))
})
