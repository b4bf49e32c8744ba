import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parseMediaPlaylist } from '#formats/hls/parse-media-playlist.ts'
import { readProgressive } from '#formats/mp4/progressive.fixture.ts'
import { systemClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { segmentOpener } from '../archive/open-segment.ts'
import { IndexWriter } from '../recorder/index-writer.ts'
import { Recorder } from '../recorder/recorder.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import {
  changedTrack,
  videoTrack,
  epochMs,
  eventList,
  media,
  type MediaOptions,
  openArchive,
  openIndex,
  packager,
  silentLog,
} from '../recorder/recording.fixture.ts'
import { absolutePath } from '../recorder/segment-path.ts'
import type { RecordedMedia } from './media-stretch.ts'
import { Playback } from './playback.ts'

const stream = 'site/gate'
const mediaUrl = (id: string): string => `/media/${id}.mp4`

/** Records stretches of media, each by a packager of its own, into files of `segmentSeconds`. */
async function bench(stretches: readonly MediaOptions[], { segmentSeconds = 4 } = {}) {
  const stack = new AsyncDisposableStack()
  const directory = stack.use(await temporaryDirectory()).path
  const { index } = stack.use(await openIndex())
  const { archive, objectsDirectory } = await openArchive(directory)
  stack.defer(() => rm(objectsDirectory, { recursive: true }))
  const openSegment = segmentOpener({ directory, index, archive })
  const rows = stack.use(new IndexWriter({ index, log: silentLog }))
  const settings = { directory, flushMilliseconds: 50, sync: 'none' } as const
  const recorder = stack.use(
    new Recorder({ stream, segmentSeconds, settings, rows, events: eventList(), clock: systemClock, log: silentLog }),
  )
  recorder.start()
  const units = []
  for (const stretch of stretches) {
    const made = packager()
    made.addListener(recorder)
    for (const unit of media(stretch)) {
      made.write(unit)
      units.push(unit)
    }
    made.close()
  }
  const rowsOf = async (): Promise<RecordingSegment[]> => await index.list({ limit: 1000 })
  await until(
    async () =>
      recorder.unwrittenBytes === 0 && rows.pendingRows === 0 && (await rowsOf()).every(({ state }) => state === 'closed'),
  )
  return {
    directory,
    index,
    rows,
    recorder,
    units,
    segments: await rowsOf(),
    playback: new Playback({ index, openSegment, log: silentLog }),
    openSegment,

    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function bytesOf(recorded: RecordedMedia, start = 0, end = recorded.sizeBytes): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(recorded.read({ start, end })))
}

test('the timeline merges files that follow each other and shows gaps', async () => {
  await using b = await bench([{ seconds: 10 }, { fromMs: 60_000, seconds: 6 }])
  const stretches = await b.playback.timeline({ stream })
  assert.deepEqual(
    stretches.map(({ startedAtMs, endedAtMs, segmentCount }) => [startedAtMs - epochMs, endedAtMs - epochMs, segmentCount]),
    [
      [10_000, 20_000, 3],
      [60_000, 66_000, 2],
    ],
  )
  assert.equal(
    stretches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    b.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  )
  assert.deepEqual(await b.playback.timeline({ stream, fromMs: epochMs + 30_000, toMs: epochMs + 50_000 }), [])
  assert.deepEqual(await b.playback.timeline({ stream: 'other' }), [])
})

test('the playlist covers the range by keyframe-aligned byte ranges, with a discontinuity only where time does not go on', async () => {
  await using b = await bench([{ seconds: 20 }, { fromMs: 60_000, seconds: 8 }], { segmentSeconds: 10 })
  const text = await b.playback.playlist({ stream }, { mediaUrl })
  const lines = text.split('\n')
  const durations = lines.filter((line) => line.startsWith('#EXTINF')).map((line) => Number.parseFloat(line.slice(8)))
  assert.deepEqual(durations, [6, 4, 6, 4, 6, 2])
  assert.equal(lines.filter((line) => line === '#EXT-X-DISCONTINUITY').length, 1)
  assert.equal(lines.filter((line) => line.startsWith('#EXT-X-MAP')).length, 3)
  assert.ok(lines.includes(`#EXT-X-PROGRAM-DATE-TIME:${new Date(epochMs + 16_000).toISOString()}`), text)
  assert.ok(text.endsWith('#EXT-X-ENDLIST\n'))
  // The byte ranges of a file join without a hole from its first part to its end.
  for (const { id, path } of b.segments) {
    const file = await readFile(absolutePath(b.directory, path))
    const ranges = lines.flatMap((line, i) =>
      line === mediaUrl(id) ? [lines[i - 1]?.split(/[:@]/).slice(1).map(Number) ?? []] : [],
    )
    assert.equal((ranges.at(-1)?.[0] ?? 0) + (ranges.at(-1)?.[1] ?? 0), file.length)
    for (const [i, [length = 0, offset = 0]] of ranges.entries()) {
      assert.equal(file.toString('latin1', offset + 4, offset + 8), 'moof')
      assert.equal(ranges[i + 1]?.[1] ?? file.length, offset + length)
    }
  }
})

test('a playlist of a short range has the entries around it, and is one that a parser takes', async () => {
  await using b = await bench([{ seconds: 30 }], { segmentSeconds: 30 })
  const range = { stream, fromMs: epochMs + 10_000 + 13_000, toMs: epochMs + 10_000 + 14_000 }
  const text = await b.playback.playlist(range, { mediaUrl })
  assert.equal(text.match(/#EXTINF/g)?.length, 1)
  assert.ok(text.includes(new Date(epochMs + 22_000).toISOString()), text)
  assert.ok(parseMediaPlaylist(text))
  await assert.rejects(b.playback.playlist({ stream, fromMs: epochMs + 100_000 }, { mediaUrl }), { code: 'RECORDING_NOT_FOUND' })
})

test('changed parameters and lost files are discontinuities, not errors', async () => {
  await using b = await bench([
    { seconds: 4 },
    { fromMs: 14_000, seconds: 4, video: changedTrack },
    { fromMs: 18_000, seconds: 4, video: changedTrack },
  ])
  const [, middle] = b.segments
  assert.ok(middle)
  await rm(absolutePath(b.directory, middle.path))
  const text = await b.playback.playlist({ stream }, { mediaUrl })
  assert.equal(text.match(/#EXTINF/g)?.length, 2)
  assert.equal(text.match(/#EXT-X-DISCONTINUITY\n/g)?.length, 1)
})

test('one file: its size, any range of it, and a name', async () => {
  await using b = await bench([{ seconds: 4 }])
  const [segment] = b.segments
  assert.ok(segment)
  const file = await readFile(absolutePath(b.directory, segment.path))
  await using recorded = await b.playback.openMedia(segment.id)
  assert.equal(recorded.sizeBytes, file.length)
  assert.deepEqual(await bytesOf(recorded), file)
  assert.deepEqual(await bytesOf(recorded, 100, 1000), file.subarray(100, 1000))
  assert.equal(recorded.fileName, 'site-gate-2026-01-31T13-05-19-123Z.mp4')
  await assert.rejects(b.playback.openMedia('unknown'), { code: 'RECORDING_NOT_FOUND' })
})

test('an export has every frame of the range across files, bit by bit', async () => {
  await using b = await bench([{ seconds: 10, compositionMs: 80 }])
  await using whole = await b.playback.openExport({ stream })
  const [picture, sound] = readProgressive(await bytesOf(whole))
  assert.ok(picture && sound)
  const of = (kind: string): Buffer[] => b.units.filter(({ track }) => track.kind === kind).map(({ data }) => data)
  assert.deepEqual(
    picture.samples.map(({ data }) => data),
    of('video'),
  )
  assert.deepEqual(
    picture.samples.map(({ dtsTicks, ctoTicks }) => [dtsTicks, ctoTicks]),
    of('video').map((_, i) => [i * 3600, 7200]),
  )
  // Sound that starts behind the last cut of the picture is not packaged.
  assert.deepEqual(
    sound.samples.map(({ data }) => data),
    of('audio').slice(0, sound.samples.length),
  )
  assert.ok(of('audio').length - sound.samples.length <= 2)
})

test('an export begins at the keyframe before its range and ends with it', async () => {
  await using b = await bench([{ seconds: 10 }])
  await using some = await b.playback.openExport({ stream, fromMs: epochMs + 13_500, toMs: epochMs + 15_500 })
  const [picture, sound] = readProgressive(await bytesOf(some))
  assert.ok(picture && sound)
  const frames = b.units.filter(
    ({ track, dtsTicks }) => track === videoTrack && dtsTicks >= 13_000 * 90 && dtsTicks < 15_500 * 90,
  )
  assert.deepEqual(
    picture.samples.map(({ data }) => data),
    frames.map(({ data }) => data),
  )
  assert.equal(picture.samples[0]?.isKeyframe, true)
  assert.ok(sound.samples.length > 110 && sound.samples.length < 120)
  await assert.rejects(b.playback.openExport({ stream, fromMs: epochMs + 30_000 }), { code: 'RECORDING_NOT_FOUND' })
})

test('an export closes gaps up and carries several sample descriptions', async () => {
  await using b = await bench([{ seconds: 4 }, { fromMs: 500_000, seconds: 4, video: changedTrack }])
  await using whole = await b.playback.openExport({ stream })
  const [picture, sound] = readProgressive(await bytesOf(whole))
  assert.ok(picture && sound)
  assert.equal(picture.entries, 2)
  assert.equal(picture.samples.length, 200)
  assert.equal(picture.samples[100]?.entryIndex, 2)
  const secondsOf = (ticks: number, rateHz: number): number => ticks / rateHz
  const picturesAt = secondsOf(picture.samples[100].dtsTicks, 90_000)
  const firstSound = sound.samples.findIndex(({ data }) =>
    data.equals(b.units.find((u) => u.track.kind === 'audio' && u.ntpMs >= epochMs + 500_000)?.data ?? Buffer.alloc(0)),
  )
  const soundAt = secondsOf(sound.samples[firstSound]?.dtsTicks ?? 0, 48_000)
  assert.ok(picturesAt >= 4 && picturesAt < 4.05, `${picturesAt}`)
  assert.ok(Math.abs(picturesAt - soundAt) < 0.001, `${picturesAt} and ${soundAt}`)
})

test('any range of an export is the same bytes, whoever asks first', async () => {
  await using b = await bench([{ seconds: 10 }, { fromMs: 60_000, seconds: 5 }])
  await using whole = await b.playback.openExport({ stream })
  const bytes = await bytesOf(whole)
  assert.equal(bytes.length, whole.sizeBytes)
  const fresh = new Playback({ index: b.index, openSegment: b.openSegment, log: silentLog })
  await using again = await fresh.openExport({ stream })
  assert.deepEqual([again.etag, again.sizeBytes], [whole.etag, whole.sizeBytes])
  for (let start = 0; start < bytes.length; start += 997) {
    const end = Math.min(bytes.length, start + 1 + ((start * 7) % 5000))
    assert.deepEqual(await bytesOf(again, start, end), bytes.subarray(start, end), `${start} to ${end}`)
  }
})

test('the file that is being written plays up to its last flushed part, and further once more is flushed', async () => {
  await using b = await bench([], { segmentSeconds: 300 })
  const made = packager()
  made.addListener(b.recorder)
  for (const unit of media({ seconds: 5 })) made.write(unit)
  await until(() => b.recorder.unwrittenBytes === 0 && b.rows.pendingRows === 0)
  const [open] = await b.index.list({ limit: 10 })
  assert.ok(open)
  assert.equal(open.state, 'open')
  const { id } = open
  {
    // A write that is under way: half a part at the end.
    const file = absolutePath(b.directory, open.path)
    const whole = await readFile(file)
    await using recorded = await b.playback.openMedia(id)
    assert.equal(recorded.sizeBytes, whole.length)
    const [picture] = readProgressive(await bytesOf(await b.playback.openExport({ stream })))
    assert.ok(picture)
    assert.ok(picture.samples.length > 90)
    await writeFile(file, whole.subarray(-300, -100), { flag: 'a' })
    await using same = await b.playback.openMedia(id)
    assert.equal(same.sizeBytes, whole.length)
    await writeFile(file, whole)
  }
  const before = await b.playback.playlist({ stream }, { mediaUrl })
  for (const unit of media({ seconds: 10 })) if (unit.dtsTicks / unit.track.clockRateHz >= 15) made.write(unit)
  await until(() => b.recorder.unwrittenBytes === 0)
  const after = await b.playback.playlist({ stream }, { mediaUrl })
  assert.notEqual(after, before)
  made.close()
})
