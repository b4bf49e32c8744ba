import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Backoff } from '#lib/backoff.ts'
import { ManualClock, systemClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { PackagerListener, Part } from '../packager/cmaf.ts'
import { openFileSource } from './file-source.ts'
import { IndexWriter } from './index-writer.ts'
import { readRecordedHead } from './recorded-file.ts'
import { Recorder, type RecorderOptions } from './recorder.ts'
import { nodeDisk, type RecordingDisk } from './recording-disk.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import {
  audioTrack,
  changedTrack,
  videoTrack,
  epochMs,
  eventList,
  media,
  openIndex,
  packageInto,
  packager,
  silentLog,
} from './recording.fixture.ts'
import { absolutePath } from './segment-path.ts'

const run = promisify(execFile)

type Bench = AsyncDisposable & {
  readonly directory: string
  readonly index: RecordingIndex
  readonly rows: IndexWriter
  readonly parts: Part[]
  readonly tap: PackagerListener
  readonly events: ReturnType<typeof eventList>
  recorder(options?: Partial<RecorderOptions>): Recorder
  /** The rows, once all files are closed and all rows written. */
  segments(): Promise<RecordingSegment[]>
}

async function bench(): Promise<Bench> {
  const directory = await temporaryDirectory()
  const database = await openIndex()
  const rows = new IndexWriter({ index: database.index, log: silentLog })
  const events = eventList()
  const parts: Part[] = []
  const recorders: Recorder[] = []
  return {
    directory: directory.path,
    index: database.index,
    rows,
    parts,
    events,
    tap: { segmentStarted() {}, partAdded: (part) => void parts.push(part), segmentEnded() {}, ended() {} },
    recorder(options = {}) {
      const settings = { directory: directory.path, flushMilliseconds: 50, sync: 'none' } as const
      const deps = { rows, events, clock: systemClock, log: silentLog }
      const recorder = new Recorder({ stream: 'site/gate', segmentSeconds: 300, settings, ...deps, ...options })
      recorders.push(recorder)
      return recorder
    },
    async segments() {
      for (const recorder of recorders) await recorder[Symbol.asyncDispose]()
      await until(() => rows.pendingRows === 0, { what: 'rows written' })
      return await database.index.list({ limit: 1000 })
    },
    async [Symbol.asyncDispose]() {
      for (const recorder of recorders) await recorder[Symbol.asyncDispose]()
      await rows[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}

/** The bytes behind the head of each recorded file. */
async function recordedMedia(directory: string, segments: readonly RecordingSegment[]): Promise<Buffer[]> {
  const files: Buffer[] = []
  for (const { path } of segments) {
    const file = absolutePath(directory, path)
    await using source = await openFileSource(file)
    const { mediaOffset } = await readRecordedHead(source)
    files.push((await readFile(file)).subarray(mediaOffset))
  }
  return files
}

test('a file is the init segment, the identity, and the very parts of the packager', async () => {
  await using b = await bench()
  const recorder = b.recorder()
  recorder.start()
  packageInto([b.tap, recorder], { seconds: 4 })
  const [segment, ...others] = await b.segments()
  assert.ok(segment)
  assert.deepEqual(others, [])
  assert.match(segment.path, /^site\/gate\/2026-01-31\/13-05-19-123Z-[0-9a-z]{22}\.mp4$/)
  const bytes = await readFile(absolutePath(b.directory, segment.path))
  const init = b.parts[0]?.init.bytes ?? Buffer.alloc(0)
  assert.deepEqual(bytes.subarray(0, segment.initSizeBytes), init)
  await using source = await openFileSource(absolutePath(b.directory, segment.path))
  const { id, stream, sessionId, startedAtMs } = segment
  assert.deepEqual((await readRecordedHead(source)).identity, { id, stream, sessionId, startedAtMs, isDiscontinuity: false })
  assert.deepEqual(await recordedMedia(b.directory, [segment]), [Buffer.concat(b.parts.flatMap((part) => part.chunks))])
  assert.equal(segment.startedAtMs, epochMs + 10_000)
  assert.equal(segment.durationMs, 4000)
  assert.equal(segment.endedAtMs, epochMs + 14_000)
  assert.equal(segment.sizeBytes, bytes.length)
  assert.equal(segment.state, 'closed')
  assert.deepEqual(b.events.events.map(({ type }) => type).toSorted(), [
    'recording.segment-closed',
    'recording.started',
    'recording.stopped',
  ])
})

test('a new file starts at the first segment after segmentSeconds and nothing is lost between', async () => {
  await using b = await bench()
  const recorder = b.recorder({ segmentSeconds: 2 })
  recorder.start()
  packageInto([b.tap, recorder], { seconds: 7 })
  const segments = await b.segments()
  assert.deepEqual(
    segments.map(({ durationMs }) => durationMs),
    [2000, 2000, 2000, 1000],
  )
  assert.ok(segments.every(({ isDiscontinuity, sessionId }) => !isDiscontinuity && sessionId === segments[0]?.sessionId))
  assert.deepEqual(
    Buffer.concat(await recordedMedia(b.directory, segments)),
    Buffer.concat(b.parts.flatMap((part) => part.chunks)),
  )
})

test('each part says where it is in the files as soon as it is written, and not before', async () => {
  await using b = await bench()
  const recorder = b.recorder({ segmentSeconds: 2 })
  recorder.start()
  packageInto([b.tap, recorder], { seconds: 5 })
  assert.ok(b.parts.every(({ stored }) => stored.range === undefined))
  await b.segments()
  const paths = new Set(b.parts.map(({ stored }) => stored.range?.path))
  assert.equal(paths.size, 3)
  for (const { chunks, stored } of b.parts) {
    assert.ok(stored.range)
    const { path, offset, sizeBytes } = stored.range
    assert.deepEqual((await readFile(path)).subarray(offset, offset + sizeBytes), Buffer.concat(chunks))
  }
})

test('new parameters start a new file', async () => {
  await using b = await bench()
  const recorder = b.recorder()
  recorder.start()
  const made = packager()
  made.addListener(recorder)
  for (const unit of media({ seconds: 2 })) made.write(unit)
  for (const unit of media({ seconds: 2, fromMs: 12_000, video: changedTrack })) made.write(unit)
  made.close()
  const segments = await b.segments()
  assert.equal(segments.length, 2)
  assert.deepEqual(
    segments.map(({ isDiscontinuity }) => isDiscontinuity),
    [false, true],
  )
})

test('pause ends the file behind the last part, resume begins with the next keyframe; the stream goes on', async () => {
  await using b = await bench()
  const recorder = b.recorder()
  recorder.start()
  const made = packager()
  made.addListener(b.tap)
  made.addListener(recorder)
  let pausedAt = 0
  let resumedAt = 0
  for (const unit of media({ seconds: 9 })) {
    made.write(unit)
    if (unit.dtsTicks === 12_480 * 90) {
      recorder.pause()
      pausedAt = b.parts.length
      assert.equal(recorder.status.state, 'paused')
    }
    if (unit.dtsTicks === 14_480 * 90) {
      recorder.resume()
      resumedAt = b.parts.length
      assert.equal(recorder.status.state, 'waiting')
    }
  }
  made.close()
  const segments = await b.segments()
  const next = b.parts.findIndex((part, i) => i >= resumedAt && part.isIndependent)
  const kept = [...b.parts.slice(0, pausedAt), ...b.parts.slice(next)]
  assert.deepEqual(Buffer.concat(await recordedMedia(b.directory, segments)), Buffer.concat(kept.flatMap((part) => part.chunks)))
  assert.deepEqual(
    segments.map(({ isDiscontinuity }) => isDiscontinuity),
    [false, true],
  )
  const types = b.events.events.map(({ type }) => type).filter((type) => type !== 'recording.segment-closed')
  assert.deepEqual(types.slice(0, 3), ['recording.started', 'recording.paused', 'recording.resumed'])
})

test('parts gather until the flush time and then go out in one write', async () => {
  await using b = await bench()
  const writes: number[] = []
  const disk: RecordingDisk = {
    ...nodeDisk,
    async create(path) {
      const file = await nodeDisk.create(path)
      return { ...file, writev: (buffers, position) => (writes.push(buffers.length), file.writev(buffers, position)) }
    },
  }
  const recorder = b.recorder({ disk, settings: { directory: b.directory, flushMilliseconds: 60_000, sync: 'flush' } })
  recorder.start()
  const made = packager()
  made.addListener(b.tap)
  made.addListener(recorder)
  for (const unit of media({ seconds: 1, gop: 100 })) made.write(unit)
  assert.deepEqual(writes, [])
  const gathered = b.parts.reduce((sum, part) => sum + part.chunks.length, 0)
  recorder.segmentEnded()
  await until(() => writes.length === 1)
  assert.deepEqual(writes, [gathered + 2])
  made.close()
})

test('a disk that hangs costs whole parts, bounded memory, and no call that waits; then recording goes on', async () => {
  await using b = await bench()
  const gate = Promise.withResolvers<void>()
  let isSlow = true
  const disk: RecordingDisk = {
    ...nodeDisk,
    async create(path) {
      const file = await nodeDisk.create(path)
      return {
        ...file,
        async writev(buffers, position) {
          if (isSlow) await gate.promise
          return await file.writev(buffers, position)
        },
      }
    },
  }
  const recorder = b.recorder({ disk, maxQueuedBytes: 20_000, segmentSeconds: 2 })
  recorder.start()
  const made = packager()
  made.addListener(b.tap)
  made.addListener(recorder)
  let mostBytes = 0
  for (const unit of media({ seconds: 8 })) {
    made.write(unit)
    mostBytes = Math.max(mostBytes, recorder.unwrittenBytes)
  }
  assert.ok(mostBytes > 10_000 && mostBytes <= 20_000, `${mostBytes} bytes queued`)
  assert.equal(recorder.status.state, 'failed')
  assert.match(recorder.status.error ?? '', /^DISK_SLOW/)
  const dropped = recorder.droppedParts
  assert.ok(dropped > 0)
  isSlow = false
  gate.resolve()
  await until(() => recorder.unwrittenBytes === 0)
  for (const unit of media({ fromMs: 18_000, seconds: 1 })) made.write(unit)
  assert.equal(recorder.status.state, 'recording')
  made.close()
  const segments = await b.segments()
  assert.equal(segments.at(-1)?.isDiscontinuity, true)
  const kept = Buffer.concat(await recordedMedia(b.directory, segments))
  const lost = b.parts.filter((part) => !kept.includes(Buffer.concat(part.chunks)))
  assert.equal(lost.length, recorder.droppedParts)
  const recovered = b.events.events.find(({ type }) => type === 'recording.recovered')
  assert.equal(recovered && 'droppedParts' in recovered && recovered.droppedParts, recorder.droppedParts)
})

test('a refused file fails with a code, is tried again with backoff, and leaves no row', async () => {
  await using b = await bench()
  const clock = new ManualClock()
  let isBroken = true
  const broken = Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' })
  const disk: RecordingDisk = { ...nodeDisk, create: (path) => (isBroken ? Promise.reject(broken) : nodeDisk.create(path)) }
  const recorder = b.recorder({ disk, clock, backoff: new Backoff({ firstMs: 1000, maxMs: 30_000, random: () => 1 }) })
  recorder.start()
  const made = packager()
  made.addListener(recorder)
  const units = media({ seconds: 20 })
  const write = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const next = units.next()
      if (!next.done) made.write(next.value)
    }
  }
  write(100)
  await until(() => recorder.status.state === 'failed')
  assert.match(recorder.status.error ?? '', /^DISK_FAILED/)
  write(100)
  assert.equal(recorder.status.state, 'failed', 'not tried before the wait is over')
  isBroken = false
  clock.advance(1000)
  write(300)
  assert.equal(recorder.status.state, 'recording')
  made.close()
  const segments = await b.segments()
  assert.equal(segments.length, 1)
})

test('told that the disk is full, it stops and counts; told that there is room, it records again', async () => {
  await using b = await bench()
  const clock = new ManualClock()
  const recorder = b.recorder({ clock })
  recorder.start()
  const made = packager()
  made.addListener(recorder)
  for (const unit of media({ seconds: 2 })) made.write(unit)
  recorder.setDiskFull(true)
  assert.match(recorder.status.error ?? '', /^DISK_FULL/)
  clock.advance(3_600_000)
  for (const unit of media({ seconds: 2, fromMs: 12_000 })) made.write(unit)
  assert.equal(recorder.status.state, 'failed')
  assert.ok(recorder.droppedParts > 5)
  recorder.setDiskFull(false)
  for (const unit of media({ seconds: 2, fromMs: 14_000 })) made.write(unit)
  assert.equal(recorder.status.state, 'recording')
  made.close()
  assert.equal((await b.segments()).length, 2)
})

test('a disk that is really full: whole parts are kept, the rest is cut, and space freed is used', async (t) => {
  await using b = await bench()
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', b.directory])
  } catch {
    t.skip('no right to mount a small disk')
    return
  }
  try {
    const clock = new ManualClock()
    const recorder = b.recorder({ clock, segmentSeconds: 2 })
    recorder.start()
    const made = packager()
    made.addListener(recorder)
    const units = media({ seconds: 40, frameBytes: 4000 })
    for (const unit of units) {
      made.write(unit)
      // Lets the disk take what is queued.
      if (unit.isKeyframe && unit.track === videoTrack) await until(() => recorder.unwrittenBytes < 200_000)
      if (recorder.status.state === 'failed') break
    }
    assert.match(recorder.status.error ?? '', /^DISK_FULL/)
    await until(() => recorder.unwrittenBytes === 0)
    await until(() => b.rows.pendingRows === 0)
    const first = (await until(async () => (await b.index.list({ limit: 1000 })).filter(({ state }) => state === 'closed')))[0]
    assert.ok(first)
    await nodeDisk.remove(absolutePath(b.directory, first.path))
    clock.advance(60_000)
    for (const unit of media({ seconds: 2, fromMs: 60_000, frameBytes: 400 })) made.write(unit)
    assert.equal(recorder.status.state, 'recording')
    made.close()
    const segments = await b.segments()
    for (const { path, sizeBytes, id } of segments) {
      if (id !== first.id) assert.equal((await stat(absolutePath(b.directory, path))).size, sizeBytes)
    }
  } finally {
    await run('umount', [b.directory])
  }
})

test('with only sound, every part is a place to start', async () => {
  await using b = await bench()
  const recorder = b.recorder({ segmentSeconds: 2 })
  recorder.start()
  const made = packager([audioTrack])
  made.addListener(recorder)
  for (const unit of media({ seconds: 5 })) if (unit.track === audioTrack) made.write(unit)
  made.close()
  assert.ok((await b.segments()).length >= 2)
})

test('a wall time that no calendar has is replaced by our own', async () => {
  await using b = await bench()
  const clock = new ManualClock(epochMs)
  const recorder = b.recorder({ clock })
  recorder.start()
  const made = packager()
  made.addListener({
    segmentStarted() {},
    partAdded: (part, segment) => recorder.partAdded({ ...part, ntpMs: part.index % 2 === 0 ? Number.NaN : 1e300 }, segment),
    segmentEnded() {},
    ended: () => recorder.ended(),
  })
  for (const unit of media({ seconds: 2 })) made.write(unit)
  made.close()
  assert.deepEqual(
    (await b.segments()).map(({ startedAtMs, durationMs }) => [startedAtMs, durationMs]),
    [[epochMs, 2000]],
  )
})

test('nothing is written and no file appears while it is off', async () => {
  await using b = await bench()
  const recorder = b.recorder()
  packageInto([recorder], { seconds: 2 })
  assert.deepEqual(await readdir(b.directory), [])
  assert.deepEqual(recorder.status, { state: 'off' })
})
