import assert from 'node:assert/strict'
import { after, before, suite, test, type TestContext } from 'node:test'
import type { JobView } from '#api/job-contract.ts'
import { runCommand } from '../support/command-line.ts'
import { startFileServer } from '../support/file-server.ts'
import { FleetApi, startControl, startWorker } from '../support/fleet.ts'
import {
  makeAudioOnly,
  makeHdr10,
  makeInterlaced,
  makeMp4,
  makeTransportStream,
  makeVariableRate,
  makeWatermark,
  makeWebm,
} from '../support/job-files.ts'
import { audioVideoSkewMs, onlyTrack, playStream } from '../support/peers/play-stream.ts'
import { publishTestStream } from '../support/peers/publish-test-stream.ts'
import { onlyFilmTrack, readFilm, type Film, type FilmTrack } from '../support/peers/read-film.ts'
import { showOutputOnFailure, type Millrace } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const mostSkewMs = 40
const pq = 16
const aac = { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false }
const quick = {
  h264: { codec: 'h264', rate: { mode: 'crf', crf: 23 }, preset: 'ultrafast' },
  h265: { codec: 'h265', rate: { mode: 'crf', crf: 28 }, preset: 'ultrafast' },
  av1: { codec: 'av1', rate: { mode: 'crf', crf: 40 }, preset: '12' },
  vp9: { codec: 'vp9', rate: { mode: 'crf', crf: 40 }, preset: '8' },
}
const small = { name: '180p', height: 180 }
const base = { audio: aac, chunkSeconds: 2, gopSeconds: 1, segmentSeconds: 2, pictures: false }

const scenarios = [
  {
    ...base,
    name: 'ladder',
    pictures: true,
    renditions: [small, { name: '90p', height: 90 }].map((rung) => ({ ...rung, ...quick.h264 })),
  },
  { ...base, name: 'small-h264', renditions: [{ ...small, ...quick.h264 }] },
  { ...base, name: 'small-h265', renditions: [{ ...small, ...quick.h265 }] },
  { ...base, name: 'small-av1', renditions: [{ ...small, ...quick.av1 }], audio: { ...aac, codec: 'opus' } },
  { ...base, name: 'small-vp9', renditions: [{ ...small, ...quick.vp9 }], audio: { ...aac, codec: 'opus' } },
  { ...base, name: 'small-mp4', format: 'mp4', renditions: [{ ...small, ...quick.h264 }] },
  { ...base, name: 'small-hdr', renditions: [{ ...small, ...quick.h265, bitDepth: 10 }] },
  { ...base, name: 'small-average', renditions: [{ ...small, ...quick.h264, rate: averageRate() }] },
]

function averageRate() {
  return { mode: 'average', bitsPerSecond: 300_000, maxBitsPerSecond: 400_000, bufferMs: 1000 }
}

const settings = `
[streamDefaults.recording]
enabled = true

[[scenarios]]
name = "from-the-file"
chunkSeconds = 0
pictures = false

[[scenarios.renditions]]
name = "90p"
height = 90
codec = "h264"
preset = "ultrafast"
rate = { mode = "crf", crf = 25 }
`

type Wanted = {
  /** Of the numbers in the corner of the source's pictures. */
  readonly sourceFps: number
  readonly frames: number
  readonly fps: number
  /** Where the clip begins in the source. */
  readonly fromSeconds?: number
  readonly hasSound?: boolean
}

/** All frames are there, evenly, and each shows what the source shows at its time; beeps are at full seconds of the source. */
function assertWhole(film: Film, { sourceFps, frames, fps, fromSeconds = 0, hasSound = true }: Wanted): void {
  for (const track of film.tracks) assert.equal(track.decodeErrors, 0, track.codec)
  for (const { pictures, size } of film.tracks.filter(({ kind }) => kind === 'video')) {
    assert.equal(pictures.length, frames, size)
    for (const [index, { ptsSeconds, sourceFrame }] of pictures.entries()) {
      assert.ok(Math.abs(ptsSeconds - index / fps) < 0.0005, `frame ${index} of ${size} is at ${ptsSeconds} s`)
      const shownSeconds = sourceFrame / sourceFps - fromSeconds
      const isInTime = Math.abs(ptsSeconds - shownSeconds) * 1000 <= mostSkewMs
      assert.ok(isInTime, `frame ${index} of ${size} at ${ptsSeconds} s shows what was at ${shownSeconds} s`)
    }
  }
  if (!hasSound) return
  const { beepSeconds, seconds } = onlyFilmTrack(film, 'audio')
  const filmSeconds = frames / fps
  assert.ok(Math.abs(seconds - filmSeconds) < 0.1, `${seconds} s of sound`)
  const wholeSeconds = Array.from({ length: Math.ceil(filmSeconds) }, (_, index) => Math.ceil(fromSeconds) - fromSeconds + index)
  const expected = wholeSeconds.filter((second) => second < filmSeconds - 0.1)
  assert.equal(beepSeconds.length, expected.length, `beeps at ${beepSeconds.join()}`)
  for (const [index, second] of expected.entries()) {
    const skewMs = Math.abs((beepSeconds[index] ?? Infinity) - second) * 1000
    assert.ok(skewMs <= mostSkewMs, `beep ${index} is at ${beepSeconds[index]} s instead of ${second}`)
  }
}

function video(film: Film): FilmTrack {
  return onlyFilmTrack(film, 'video')
}

suite('jobs of every kind, from the command line to the player', { concurrency: 2 }, () => {
  const stack = new AsyncDisposableStack()
  let control: Millrace
  let worker: Millrace
  let api: FleetApi
  let files: Awaited<ReturnType<typeof temporaryDirectory>>

  before(async () => {
    files = stack.use(await temporaryDirectory())
    control = stack.use(await startControl({ config: settings }))
    worker = stack.use(await startWorker([control.url]))
    api = new FleetApi(control)
    await api.untilWorking()
    for (const scenario of scenarios) await api.addScenario(scenario)
  })
  after(() => stack.disposeAsync())

  /** Submits as a user does, and waits as a user does. */
  async function submit(t: TestContext, source: string, scenario: string, ...more: readonly string[]): Promise<JobView> {
    showOutputOnFailure(t, control)
    showOutputOnFailure(t, worker)
    const argv = ['jobs', 'submit', source, '--scenario', scenario, '--watch', '--json', '--interval-seconds', '0.3', ...more]
    const { code, output, errors } = await runCommand(control, argv)
    assert.equal(code, 0, errors)
    const last: { id: string; state: string; progress: number } = JSON.parse(output.trim().split('\n').at(-1) ?? '')
    assert.equal(last.state, 'completed')
    assert.equal(last.progress, 1)
    return await api.job(last.id)
  }

  const playerUrl = ({ result }: JobView): string => `${control.url}${result?.entryUrl}`
  const play = (job: JobView, options: { points?: [number, number][]; numberWidth?: number } = {}): Promise<Film> =>
    readFilm({ url: playerUrl(job), numberWidth: 320, ...options })

  async function textOf(job: JobView, name: string): Promise<string> {
    const response = await fetch(`${control.url}/api/v1/jobs/${job.id}/files/${name}`)
    assert.equal(response.status, 200, name)
    return await response.text()
  }

  test('a ladder: both rungs with all frames and the sound in time, poster, thumbnails and storyboard', async (t) => {
    const job = await submit(t, await makeMp4(files.path, { name: 'ladder', seconds: 6 }), 'ladder', '--label', 'Ladder')
    const film = await play(job)
    assertWhole(film, { sourceFps: 25, frames: 150, fps: 25 })
    assert.deepEqual(film.tracks.map(({ codec, size }) => `${codec} ${size}`.trim()).toSorted(), [
      'aac',
      'h264 160x90',
      'h264 320x180',
    ])
    assert.deepEqual(
      job.plan?.renditions.map(({ name, chunkCount }) => [name, chunkCount]),
      [
        ['180p', 3],
        ['90p', 3],
      ],
    )
    assert.equal(job.plan.singlePiece, undefined)
    assert.equal(job.label, 'Ladder')
    const dash = await readFilm({ url: `${control.url}/api/v1/jobs/${job.id}/files/manifest.mpd`, numberWidth: 320 })
    assertWhole(dash, { sourceFps: 25, frames: 150, fps: 25 })
    assert.match(await textOf(job, 'storyboard.vtt'), /^WEBVTT\n\n(.*\n)*?00:00:00\.000 --> .*\nthumbnails-000\.jpg#xywh=0,0,/)
    for (const name of ['poster.jpg', 'thumbnails-000.jpg']) {
      const { tracks } = await readFilm({ url: `${control.url}/api/v1/jobs/${job.id}/files/${name}` })
      assert.equal(tracks[0]?.codec, 'mjpeg', name)
      assert.equal(tracks[0].decodeErrors, 0, name)
    }
  })

  for (const [codec, name] of [
    ['h265', 'hevc'],
    ['av1', 'av1'],
    ['vp9', 'vp9'],
  ] as const) {
    test(`${codec}, in chunks`, async (t) => {
      const job = await submit(t, await makeMp4(files.path, { name: `for-${codec}`, seconds: 4 }), `small-${codec}`)
      const film = await play(job)
      assertWhole(film, { sourceFps: 25, frames: 100, fps: 25 })
      assert.equal(video(film).codec, name)
      assert.equal(job.plan?.renditions[0]?.chunkCount, 2)
    })
  }

  test('one MP4 from WebM at 29.97 frames a second', async (t) => {
    const job = await submit(t, await makeWebm(files.path, { fps: '30000/1001', seconds: 4 }), 'small-mp4')
    const fps = 30_000 / 1001
    assertWhole(await play(job), { sourceFps: fps, frames: 120, fps })
    assert.equal(job.result?.entry, 'video.mp4')
  })

  test('sound alone', async (t) => {
    const job = await submit(t, await makeAudioOnly(files.path), 'audio-only')
    const film = await play(job)
    assert.equal(film.tracks.length, 1)
    const { beepSeconds, seconds, decodeErrors } = onlyFilmTrack(film, 'audio')
    assert.equal(decodeErrors, 0)
    assert.ok(Math.abs(seconds - 4) < 0.1, `${seconds} s`)
    assert.deepEqual(
      beepSeconds.map((second) => Math.round(second * 25)),
      [0, 25, 50, 75],
    )
  })

  test('HDR10 stays HDR10 with ten bits, and becomes SDR with eight', async (t) => {
    const source = await makeHdr10(files.path, { seconds: 4 })
    const kept = await play(await submit(t, source, 'small-hdr'))
    assertWhole(kept, { sourceFps: 25, frames: 100, fps: 25 })
    assert.partialDeepStrictEqual(video(kept), {
      bitDepth: 10,
      transfer: pq,
      hasMasteringDisplay: true,
      hasContentLight: true,
    })
    const mapped = video(await play(await submit(t, source, 'small-h264')))
    assert.partialDeepStrictEqual(mapped, { bitDepth: 8, hasMasteringDisplay: false, hasContentLight: false })
    assert.notEqual(mapped.transfer, pq)
  })

  test('interlaced pictures become whole ones', async (t) => {
    const job = await submit(t, await makeInterlaced(files.path), 'small-h264')
    assert.equal(job.plan?.renditions[0]?.picture.deinterlace, true)
    const film = await play(job)
    assert.equal(video(film).isInterlaced, false)
    assertWhole(film, { sourceFps: 50, frames: 100, fps: 25 })
  })

  test('a clip, cropped, under a watermark', async (t) => {
    const source = await makeMp4(files.path, { name: 'to-cut', seconds: 6 })
    const watermark = await makeWatermark(files.path)
    const cut = ['--clip-from', '1200ms', '--clip-to', '4s', '--crop', '240x180+0+0'] as const
    const job = await submit(t, source, 'small-h264', ...cut, '--watermark', watermark, '--watermark-corner', 'bottom-left')
    // 12 % of the width, 3 % from the edges.
    const film = await play(job, {
      numberWidth: 240,
      points: [
        [0.09, 1 - (0.09 * 240) / 180],
        [0.5, 0.5],
      ],
    })
    assertWhole(film, { sourceFps: 25, frames: 70, fps: 25, fromSeconds: 1.2 })
    assert.equal(video(film).size, '240x180')
    for (const { luma } of video(film).pictures) assert.ok((luma[0] ?? 0) > 200, `the watermark is ${luma[0]} bright`)
  })

  test('a source of changing rate gets an even one', async (t) => {
    const job = await submit(t, await makeVariableRate(files.path), 'small-h264')
    assert.equal(job.plan?.probe.video?.isVariableRate, true)
    const { frameRate, frameCount } = job.plan.renditions[0]?.timeline ?? assert.fail('no rendition')
    const fps = frameRate.num / frameRate.den
    assert.ok(Math.abs(frameCount / fps - 4) < 0.1, `${frameCount} frames at ${fps}`)
    assertWhole(await play(job), { sourceFps: 100, frames: frameCount, fps })
  })

  test('a recording of a stream', async (t) => {
    showOutputOnFailure(t, control)
    const stream = await publishTestStream({ url: `${control.rtspUrl}/site/gate`, video: 'h264', audio: 'aac', seconds: 5 })
    await stream.finished
    const isKept = async () =>
      (await (await fetch(`${control.url}/api/v1/recordings?stream=site%2Fgate`)).text()).includes('"duration')
    await until(isKept, { what: 'the recording' })
    const job = await submit(t, 'site/gate', 'small-h264', '--last', '1m')
    await using player = playStream({ url: playerUrl(job), format: 'hls', isFromStart: true, decode: true })
    const film = await player.result
    const pictures = onlyTrack(film, 'video')
    assert.equal(pictures.frames, job.plan?.renditions[0]?.timeline.frameCount)
    assert.ok(pictures.frames >= 115 && pictures.frames <= 126, `${pictures.frames} frames`)
    assert.equal(pictures.decodeErrors, 0)
    assert.ok(Math.abs(audioVideoSkewMs(film)) <= mostSkewMs, `${audioVideoSkewMs(film)} ms`)
  })

  test('an address as the source, in one piece where one must not begin in the middle', async (t) => {
    await using server = await startFileServer(files.path)
    await makeTransportStream(files.path, { name: 'far' })
    const job = await submit(t, `${server.url}/far.ts`, 'small-h264')
    assertWhole(await play(job), { sourceFps: 25, frames: 100, fps: 25 })
    const average = await submit(t, `${server.url}/far.ts`, 'small-average')
    assertWhole(await play(average), { sourceFps: 25, frames: 100, fps: 25 })
    assert.match(average.plan?.singlePiece ?? '', /^"180p": an average rate is kept over the whole film/)
    assert.equal(average.plan?.renditions[0]?.chunkCount, 1)
    const { output } = await runCommand(control, ['jobs', 'show', average.id])
    assert.match(output, /^one piece\s+"180p": an average rate/m)
  })

  test('a scenario of the configuration file', async (t) => {
    const job = await submit(t, await makeMp4(files.path, { name: 'for-file' }), 'from-the-file')
    const film = await play(job)
    assertWhole(film, { sourceFps: 25, frames: 100, fps: 25, hasSound: false })
    assert.deepEqual(
      film.tracks.map(({ size }) => size),
      ['160x90'],
    )
    assert.equal(job.plan?.renditions[0]?.chunkCount, 1)
    assert.equal(job.plan.singlePiece, undefined)
    const { output } = await runCommand(control, ['scenarios', 'list'])
    assert.match(output, /from-the-file.*file/)
    assert.match(output, /small-h264.*api/)
  })

  test('what cannot become a film fails with its reason, and exit code 1', async (t) => {
    showOutputOnFailure(t, control)
    const sound = await makeAudioOnly(files.path, { name: 'no-film' })
    const { code, errors } = await runCommand(control, ['jobs', 'submit', sound, '--scenario', 'small-h264', '--watch'])
    assert.equal(code, 1)
    assert.match(
      errors,
      /^error JOB_FAILED: job \S+ was rejected: UNSUPPORTED: scenario "small-h264" needs pictures, but the source has sound/m,
    )
  })
})
