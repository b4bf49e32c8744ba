import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertGrowing } from '../support/growing.ts'
import { countFrames, onlyTrack } from '../support/peers/play-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { videoSampleTimes } from '../support/recorded-samples.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher, type MaterialUnit } from '../support/unit-publisher.ts'
import { until } from '../support/until.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const kills = 10
/** Frames that are sent before a kill, at least and at most; 25 a second. */
const [fewestFrames, mostFrames] = [15, 60]
/** Less is no gap in the timeline. */
const shortestGapMs = 2000
const recorded = ['file/plain', 'file/changed', 'made-by-api'] as const
const config = `
[recordings]
flushMilliseconds = 100
[streamDefaults]
hls = "off"
[streams."file/plain"]
recording.enabled = true
[streams."file/changed"]
`

test(`killed ${kills} times while it records, the program comes back with all that was written and said (seed ${seed})`, async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', gopFrames: 12, seconds: 1 })
  await declare(api)

  let state = seed
  const written = new Map<string, number>()
  for (let kill = 1; kill <= kills; kill++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    await recordAndKill(millrace, { material, written, frames: fewestFrames + ((state >>> 8) % (mostFrames - fewestFrames)) })
    const killedAtMs = performance.now()
    if (kill === 1) await until(() => performance.now() > killedAtMs + 1.5 * shortestGapMs, { what: 'a gap worth telling' })
    await millrace.start()
    await checkDeclared(api)
    for (const stream of recorded) await checkIndex(api, stream, kill)
  }
  const files = await recordedFiles(millrace)
  assert.equal(files.length, kills * recorded.length)
  const frames = new Map<string, number>()
  for (const path of files) frames.set(path, await checkFile(path, written.get(path) ?? 0))
  for (const stream of recorded) {
    const ofStream = [...frames].filter(([path]) => path.includes(`/${stream}/`))
    const total = ofStream.reduce((sum, [, count]) => sum + count, 0)
    await checkExport(millrace, api, stream, total)
    t.diagnostic(`${stream}: ${ofStream.length} files, ${total} frames`)
  }
  const lost = [...written].map(([path, count]) => count - (frames.get(path) ?? 0))
  t.diagnostic(
    `${[...written.values()].reduce((sum, count) => sum + count, 0)} frames were on the disk at the kills, ${Math.max(...lost)} lost`,
  )
})

/** What somebody set up by API, and expects to find again. */
async function declare(api: TestApi): Promise<void> {
  await api.change('file/changed', { recording: { enabled: true, segmentSeconds: 77 } })
  await api.create({ name: 'made-by-api', recording: { enabled: true } })
  await api.create({ name: 'paused', recording: { enabled: true } })
  await api.act('paused', 'recording/pause')
  await api.create({ name: 'stopped' })
  await api.act('stopped', 'stop')
  await api.create({ name: 'switched-on' })
  await api.act('switched-on', 'recording/start')
}

async function checkDeclared(api: TestApi): Promise<void> {
  const [changed, made, paused, stopped, on] = await Promise.all(
    ['file/changed', 'made-by-api', 'paused', 'stopped', 'switched-on'].map((name) => api.stream(name)),
  )
  assert.equal(changed?.origin, 'file+api')
  assert.deepEqual(changed.overrides, { recording: { enabled: true, segmentSeconds: 77 } })
  assert.equal(changed.spec.recording.segmentSeconds, 77)
  assert.deepEqual([made?.origin, made?.spec.recording.enabled], ['api', true])
  assert.deepEqual([paused?.isEnabled, paused?.recording.state], [true, 'paused'])
  assert.deepEqual([stopped?.isEnabled, stopped?.state], [false, 'stopped'])
  assert.deepEqual([on?.spec.recording.enabled, on?.recording.state], [false, 'waiting'])
}

/** Records all streams until so many frames were sent, notes what is on the disk, and kills. */
async function recordAndKill(
  millrace: Millrace,
  { material, written, frames }: { material: readonly MaterialUnit[]; written: Map<string, number>; frames: number },
): Promise<void> {
  await using publishers = new AsyncDisposableStack()
  const [first] = material
  assert.ok(first)
  const all = await Promise.all([...recorded, 'paused'].map((name) => UnitPublisher.open(millrace, name, first.track)))
  for (const publisher of all) publishers.use(publisher).loop(material)
  const known = new Set(written.keys())
  const fresh = async () => (await recordedFiles(millrace)).filter((path) => !known.has(path))
  await until(() => all.every(({ sentUnits }) => sentUnits >= frames), { what: `${frames} frames to be sent` })
  await until(async () => (await fresh()).length === recorded.length, { what: 'all streams to be recorded' })
  for (const path of await fresh()) written.set(path, (await videoSampleTimes(path).catch(() => [])).length)
  await millrace.kill('SIGKILL')
}

/** One file for each life of the program, all closed, and the timeline has the gaps between them. */
async function checkIndex(api: TestApi, stream: string, lives: number): Promise<void> {
  const recordings = await api.recordings(stream)
  assert.deepEqual(
    recordings.map(({ state }) => state),
    Array.from({ length: lives }, () => 'closed'),
  )
  assert.ok(recordings.every(({ durationMs, sizeBytes }) => durationMs > 0 && sizeBytes > 0))
  const files = recordings.map(({ startedAt, endedAt = startedAt }) => [Date.parse(startedAt), Date.parse(endedAt)] as const)
  const sorted = files.toSorted(([a], [b]) => a - b)
  assertGrowing(sorted.flat(), 'starts and ends of files')
  const gaps = sorted.filter(([start], index) => index > 0 && start - (sorted[index - 1]?.[1] ?? start) > shortestGapMs)
  assert.ok(lives < 2 || gaps.length > 0, 'at least the first restart took its time')
  const ranges = await api.timeline(stream)
  assert.deepEqual(
    ranges.slice(1).map(({ startedAt }) => Date.parse(startedAt)),
    gaps.map(([start]) => start),
  )
  assert.equal(
    ranges.reduce((sum, { segmentCount }) => sum + segmentCount, 0),
    lives,
  )
}

/** Every frame decodes, and nothing that was on the disk is lost. Gives the frames. */
async function checkFile(path: string, writtenFrames: number): Promise<number> {
  const times = await videoSampleTimes(path)
  assertGrowing(times, `decode times of ${path}`)
  assert.ok(times.length >= writtenFrames, `${times.length} frames of ${writtenFrames} that were written to ${path}`)
  const video = onlyTrack(await countFrames(path), 'video')
  assert.deepEqual([video.packets, video.frames, video.decodeErrors], [times.length, times.length, 0])
  return times.length
}

/** All lives together are one MP4 that plays from end to end. */
async function checkExport(millrace: Millrace, api: TestApi, stream: string, frames: number): Promise<void> {
  const path = join(millrace.directory, 'export.mp4')
  await writeFile(path, await api.bytes(`/streams/${encodeURIComponent(stream)}/export.mp4`))
  const video = onlyTrack(await countFrames(path), 'video')
  assert.deepEqual([video.frames, video.decodeErrors, video.corruptPackets], [frames, 0, 0])
  assertGrowing(video.ptsSeconds, 'times of the export')
}

async function recordedFiles({ directory }: Millrace): Promise<string[]> {
  const entries = await readdir(join(directory, 'data/recordings'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}
