import assert from 'node:assert/strict'
import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { PackagerListener, Part } from '../packager/cmaf.ts'
import { healRecordings } from './heal.ts'
import { writeIdentityBox } from './identity-box.ts'
import { IndexWriter } from './index-writer.ts'
import { Recorder } from './recorder.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import { epochMs, eventList, openIndex, packageInto, silentLog } from './recording.fixture.ts'
import { absolutePath, segmentPath } from './segment-path.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)

const parts: Part[] = []
const tap: PackagerListener = { segmentStarted() {}, partAdded: (part) => void parts.push(part), segmentEnded() {}, ended() {} }
packageInto([tap], { seconds: 2 })

/** A whole file as the recorder writes it, and where its parts end. */
function wholeFile(segment: Pick<RecordingSegment, 'id' | 'stream' | 'sessionId' | 'startedAtMs' | 'isDiscontinuity'>): {
  bytes: Buffer
  headBytes: number
  ends: { sizeBytes: number; durationMs: number }[]
  initSizeBytes: number
} {
  const init = parts[0]?.init.bytes ?? Buffer.alloc(0)
  const head = Buffer.concat([init, writeIdentityBox(segment)])
  const ends: { sizeBytes: number; durationMs: number }[] = []
  let sizeBytes = head.length
  let durationMs = 0
  for (const part of parts) {
    sizeBytes += part.sizeBytes
    durationMs += part.durationMs
    ends.push({ sizeBytes, durationMs: Math.round(durationMs) })
  }
  return {
    bytes: Buffer.concat([head, ...parts.flatMap((part) => part.chunks)]),
    headBytes: head.length,
    ends,
    initSizeBytes: init.length,
  }
}

function openRow(at = epochMs): RecordingSegment {
  const id = newId(at)
  return {
    id,
    stream: 'gate',
    sessionId: 'session',
    path: segmentPath({ stream: 'gate', startedAtMs: at, id }),
    startedAtMs: at,
    durationMs: 0,
    sizeBytes: 0,
    state: 'open',
    initSizeBytes: 0,
    isDiscontinuity: false,
    isOnDisk: true,
  }
}

async function put(directory: string, path: string, bytes: Buffer): Promise<void> {
  const file = absolutePath(directory, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
}

function noise(length: number, next: () => number): Buffer {
  return Buffer.from(Array.from({ length }, () => 1 + (next() % 255)))
}

function randomly(from: number): () => number {
  let state = from
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
}

test(`torn at any byte, with any tail, a file is cut behind its last whole part (seed ${seed})`, async () => {
  await using directory = await temporaryDirectory()
  await using database = await openIndex()
  const { index } = database
  const next = randomly(seed)
  const cases: { row: RecordingSegment; cut: number; ends: ReturnType<typeof wholeFile>['ends']; bytes: Buffer }[] = []
  const { bytes: sample, headBytes, ends: sampleEnds } = wholeFile(openRow())
  const third = sampleEnds[2]?.sizeBytes ?? 0
  const cuts = [
    ...Array.from({ length: headBytes + 40 }, (_, i) => i),
    ...Array.from({ length: 700 }, (_, i) => third - 60 + i),
    ...Array.from({ length: 200 }, () => next() % (sample.length + 1)),
    sample.length,
  ]
  // Garbage behind a torn part does not fill it up: inside media nothing tells garbage from media.
  const borders = [{ sizeBytes: headBytes }, ...sampleEnds]
  const missing = (cut: number): number => (borders.find(({ sizeBytes }) => sizeBytes >= cut)?.sizeBytes ?? cut) - cut
  const tails = [
    () => Buffer.alloc(0),
    () => Buffer.alloc(5000),
    (cut: number) => noise(next() % (missing(cut) === 0 ? 3000 : missing(cut)), next),
  ]
  for (const cut of cuts) {
    // In the head one kind of tail at each place is enough; among parts every kind at every place.
    for (const tail of cut < headBytes ? [tails[cut % 3] ?? tails[0]] : tails) {
      if (!tail) continue
      const row = openRow()
      const { bytes, ends } = wholeFile(row)
      await put(directory.path, row.path, Buffer.concat([bytes.subarray(0, cut), tail(cut)]))
      cases.push({ row, cut, ends, bytes })
    }
  }
  for (let at = 0; at < cases.length; at += 500) await index.save(cases.slice(at, at + 500).map(({ row }) => row))
  const report = await healRecordings({ directory: directory.path, index, log: silentLog })
  assert.equal(report.failed, 0)
  assert.equal(report.rows, cases.length)
  for (const { row, cut, ends, bytes } of cases) {
    const whole = ends.findLast(({ sizeBytes }) => sizeBytes <= cut)
    const healed = await index.find(row.id)
    if (!whole) {
      assert.equal(healed, undefined, `cut at ${cut}`)
      await assert.rejects(stat(absolutePath(directory.path, row.path)))
      continue
    }
    assert.deepEqual(
      { state: healed?.state, sizeBytes: healed?.sizeBytes, durationMs: healed?.durationMs },
      { state: 'closed', ...whole },
      `cut at ${cut}`,
    )
    assert.deepEqual(await readFile(absolutePath(directory.path, row.path)), bytes.subarray(0, whole.sizeBytes), `cut at ${cut}`)
  }
  const second = await healRecordings({ directory: directory.path, index, log: silentLog })
  assert.deepEqual([second.healed, second.adopted, second.removedRows, second.removedFiles, second.cutBytes], [0, 0, 0, 0, 0])
})

test('the index is rebuilt from files alone', async () => {
  await using directory = await temporaryDirectory()
  await using database = await openIndex()
  await record(directory.path, database.index)
  const before = await database.index.list({ limit: 100 })
  assert.equal(before.length, 3)
  await database.index.remove(before.map(({ id }) => id))
  await put(directory.path, 'site/gate/holiday.mp4', Buffer.from('not ours'))
  const report = await healRecordings({ directory: directory.path, index: database.index, log: silentLog })
  assert.equal(report.adopted, 3)
  assert.deepEqual(await database.index.list({ limit: 100 }), before)
  assert.equal((await readFile(absolutePath(directory.path, 'site/gate/holiday.mp4'))).toString(), 'not ours')
})

test('rows without a file go, and a closed file that lost its end is cut and told shorter', async () => {
  await using directory = await temporaryDirectory()
  await using database = await openIndex()
  await record(directory.path, database.index)
  const [first, second, third] = await database.index.list({ limit: 100 })
  assert.ok(first && second && third)
  await rm(absolutePath(directory.path, first.path))
  await truncate(absolutePath(directory.path, second.path), second.sizeBytes - 10)
  const report = await healRecordings({ directory: directory.path, index: database.index, log: silentLog })
  assert.deepEqual([report.removedRows, report.healed], [1, 1])
  const [shorter, same] = await database.index.list({ limit: 100 })
  assert.ok(
    shorter && shorter.id === second.id && shorter.sizeBytes < second.sizeBytes - 10 && shorter.durationMs < second.durationMs,
  )
  assert.deepEqual(same, third)
})

test('of what the archive has, rows stay whatever has become of their files', async () => {
  await using directory = await temporaryDirectory()
  await using database = await openIndex()
  const { index } = database
  await record(directory.path, index)
  const [freed, torn, whole] = await index.list({ limit: 100 })
  assert.ok(freed && torn && whole)
  for (const { id } of [freed, torn, whole]) await index.markArchived(id, epochMs)
  // Killed between the deleting of the file and the telling of the index.
  await rm(absolutePath(directory.path, freed.path))
  await truncate(absolutePath(directory.path, torn.path), torn.sizeBytes - 10)
  const heal = () => healRecordings({ directory: directory.path, index, log: silentLog })
  const { freed: count, healed, removedRows, adopted, rows } = await heal()
  assert.deepEqual([count, healed, removedRows, adopted, rows], [2, 0, 0, 0, 3])
  const archived = { archivedAtMs: epochMs }
  assert.deepEqual(await index.list({ limit: 100 }), [
    { ...freed, ...archived, isOnDisk: false },
    { ...torn, ...archived, isOnDisk: false },
    { ...whole, ...archived },
  ])
  await assert.rejects(stat(absolutePath(directory.path, torn.path)))
  assert.deepEqual([(await heal()).rows, (await index.list({ limit: 100 })).length], [1, 3])
})

test('10,000 closed files are checked without opening one', async (t) => {
  await using directory = await temporaryDirectory()
  await using database = await openIndex()
  const { index } = database
  const content = Buffer.from('whatever: a closed file of the right size is not read')
  const rows: RecordingSegment[] = []
  for (let i = 0; i < 10_000; i++) {
    const row = openRow(epochMs + i * 60_000)
    rows.push({ ...row, state: 'closed', endedAtMs: row.startedAtMs + 60_000, durationMs: 60_000, sizeBytes: content.length })
  }
  const days = new Set(rows.map(({ path }) => dirname(absolutePath(directory.path, path))))
  for (const day of days) await mkdir(day, { recursive: true })
  for (const { path } of rows) await writeFile(absolutePath(directory.path, path), content)
  await index.save(rows)
  const startedAt = performance.now()
  const report = await healRecordings({ directory: directory.path, index, log: silentLog })
  const tookMs = performance.now() - startedAt
  t.diagnostic(`${Math.round(tookMs)} ms`)
  assert.deepEqual([report.rows, report.files, report.healed, report.adopted, report.failed], [10_000, 10_000, 0, 0, 0])
  assert.ok(tookMs < 10_000, `${tookMs} ms`)
})

/** Three closed files of two seconds. */
async function record(directory: string, index: RecordingIndex): Promise<void> {
  const rows = new IndexWriter({ index, log: silentLog })
  const settings = { directory, flushMilliseconds: 50, sync: 'none' } as const
  const deps = { rows, events: eventList(), clock: systemClock, log: silentLog }
  const recorder = new Recorder({ stream: 'site/gate', segmentSeconds: 2, settings, ...deps })
  recorder.start()
  packageInto([recorder], { seconds: 6 })
  await recorder[Symbol.asyncDispose]()
  await until(() => rows.pendingRows === 0)
  await rows[Symbol.asyncDispose]()
}
