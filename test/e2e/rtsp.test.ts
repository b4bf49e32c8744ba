import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { audioVideoSkewMs, onlyTrack, playStream, type PlayResult } from '../support/peers/play-stream.ts'
import {
  publishTestStream,
  type SentTrack,
  type TestAudio,
  type TestStreamOptions,
  type TestVideo,
} from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { until } from '../support/until.ts'

const transports = ['tcp', 'udp'] as const
const videos: readonly TestVideo[] = ['h264', 'h264-bframes', 'h265']
const audios: readonly TestAudio[] = ['aac', 'opus', 'pcma', 'pcmu']
const ffmpegNames = {
  h264: 'h264',
  'h264-bframes': 'h264',
  h265: 'hevc',
  aac: 'aac',
  opus: 'opus',
  pcma: 'pcm_alaw',
  pcmu: 'pcm_mulaw',
} as const

/** Libav's RTP muxer keeps up to this many AAC frames for a next packet, and forgets them at the end. */
const heldAudioPackets = 5

/** One keyframe only: then a reader that comes late is given the stream from its start. */
const oneGop = { gopFrames: 100_000, seconds: 3 } as const

suite('RTSP with libav at both ends', { concurrency: 4 }, () => {
  let millrace: Millrace
  before(async () => {
    millrace = await startMillrace()
  })
  after(() => millrace[Symbol.asyncDispose]())

  for (const [videoIndex, video] of videos.entries()) {
    for (const [audioIndex, audio] of audios.entries()) {
      // Each codec is published over both transports; each pair is read over both.
      const transport = (videoIndex + audioIndex) % 2 === 0 ? 'tcp' : 'udp'
      test(`${video} and ${audio}, published over ${transport}, arrive whole`, async (t) => {
        showOutputOnFailure(t, millrace)
        const name = `codecs/${video}-${audio}`
        const { sent, results } = await relay(millrace, name, { video, audio, transport, ...oneGop })
        for (const result of results) {
          assertSameVideo(result, sent)
          const sound = onlyTrack(result, 'audio')
          assert.equal(onlyTrack(result, 'video').codec, ffmpegNames[video])
          assert.equal(sound.codec, ffmpegNames[audio])
          assertNear(sound.packets, packetsOf(sent, 'audio'), heldAudioPackets)
          assert.equal(sound.decodeErrors, 0)
          assertNear(audioVideoSkewMs(result), 0, 40)
        }
      })
    }
  }

  test('video alone and audio alone arrive whole', async (t) => {
    showOutputOnFailure(t, millrace)
    const [picture, sound] = await Promise.all([
      relay(millrace, 'alone/picture', { video: 'h264', ...oneGop }),
      relay(millrace, 'alone/sound', { audio: 'opus', seconds: 3 }),
    ])
    for (const result of picture.results) assertSameVideo(result, picture.sent)
    for (const result of sound.results) {
      assert.deepEqual(
        result.tracks.map(({ kind }) => kind),
        ['audio'],
      )
      assert.equal(onlyTrack(result, 'audio').decodeErrors, 0)
    }
  })

  for (const video of ['h264', 'h265'] as const) {
    test(`${video} with its parameter sets in front of each keyframe only`, async (t) => {
      showOutputOnFailure(t, millrace)
      const { sent, results } = await relay(millrace, `in-band/${video}`, { video, parameterSets: 'in-band', ...oneGop })
      for (const result of results) assertSameVideo(result, sent)
    })
  }

  test('a publisher that changes its resolution keeps its readers', async (t) => {
    showOutputOnFailure(t, millrace)
    const resize = { width: 480, height: 270, atSecond: 2 }
    const { sent, results } = await relay(millrace, 'resize', { video: 'h264', parameterSets: 'both', ...oneGop, resize })
    for (const result of results) {
      assertSameVideo(result, sent)
      assert.deepEqual(onlyTrack(result, 'video').sizes, ['320x180', '480x270'])
    }
  })

  test('readers stay while their publisher is away, and time goes on', async (t) => {
    showOutputOnFailure(t, millrace)
    const url = `${millrace.rtspUrl}/comes-back`
    const options = { url, video: 'h264', audio: 'aac' } as const
    const first = await publishTestStream(options)
    await using _first = first
    await untilOnline(millrace, 'comes-back')
    await using player = playStream({ url, format: 'rtsp', decode: true, seconds: 5, idleMs: 10_000 })
    await player.started
    await first.kill()
    await using _second = await publishAgain(options)
    const result = await player.result
    assert.equal(result.end, 'seconds')
    const video = onlyTrack(result, 'video')
    assert.equal(video.decodeErrors, 0)
    assert.ok(video.packets > 60, `${video.packets} frames in 5 s`)
    assert.deepEqual(
      video.ptsSeconds,
      video.ptsSeconds.toSorted((a, b) => a - b),
    )
    assertNear(audioVideoSkewMs(result), 0, 40)
  })

  test('a stream has one publisher', async (t) => {
    showOutputOnFailure(t, millrace)
    const url = `${millrace.rtspUrl}/taken`
    await using _first = await publishTestStream({ url, video: 'h264' })
    await assert.rejects(publishTestStream({ url, video: 'h264' }), /peer failed: publish/)
  })

  test('a stream that nobody publishes is not found', async (t) => {
    showOutputOnFailure(t, millrace)
    await using player = playStream({ url: `${millrace.rtspUrl}/nobody`, format: 'rtsp' })
    await assert.rejects(player.result, /404/)
  })
})

test('RTSP asks for the passwords of the configuration', async (t) => {
  await using millrace = await startMillrace({
    config: `
[[users]]
name = "camera"
password = "c4mera"
publish = ["gate"]
read = []

[[users]]
name = "guard"
password = "gu4rd"
read = ["gate"]
`,
  })
  showOutputOnFailure(t, millrace)
  const urlAs = (user: string, stream = 'gate') => millrace.rtspUrl.replace('://', `://${user}@`) + `/${stream}`
  const refused = /peer failed: (publish|open): .*(401|403|Unauthorized|Forbidden|Operation not permitted)/is

  for (const user of ['camera:wrong', 'guard:gu4rd', 'nobody:c4mera']) {
    await assert.rejects(publishTestStream({ url: urlAs(user), video: 'h264' }), refused, `${user} may not publish`)
  }
  await assert.rejects(publishTestStream({ url: urlAs('camera:c4mera', 'other'), video: 'h264' }), refused)
  await using _stream = await publishTestStream({ url: urlAs('camera:c4mera'), video: 'h264', audio: 'aac' })
  for (const user of ['guard:wrong', 'camera:c4mera']) {
    await using player = playStream({ url: urlAs(user), format: 'rtsp' })
    await assert.rejects(player.result, refused, `${user} may not read`)
  }
  for (const transport of transports) {
    await using player = playStream({ url: urlAs('guard:gu4rd'), format: 'rtsp', transport, untilFrames: 25 })
    assert.equal((await player.result).end, 'frames')
  }
  assert.doesNotMatch(millrace.output(), /c4mera|gu4rd/)
})

/** Publishes a stream to its end, and reads it over TCP and UDP meanwhile. */
async function relay(
  millrace: Millrace,
  name: string,
  options: Omit<TestStreamOptions, 'url'>,
): Promise<{ sent: readonly SentTrack[]; results: readonly PlayResult[] }> {
  const url = `${millrace.rtspUrl}/${name}`
  await using stream = await publishTestStream({ url, ...options })
  await untilOnline(millrace, name)
  await using stack = new AsyncDisposableStack()
  const players = transports.map((transport) => stack.use(playStream({ url, format: 'rtsp', transport, decode: true })))
  const sent = await stream.finished
  return { sent, results: await Promise.all(players.map((player) => player.result)) }
}

/** A publisher that died is noticed only after a moment; until then its place is taken. */
async function publishAgain(options: TestStreamOptions): ReturnType<typeof publishTestStream> {
  return await until(() => publishTestStream(options).catch(() => undefined), { what: 'the place of the dead publisher' })
}

/** A stream that was announced can be read with its first frame. */
async function untilOnline(millrace: Millrace, name: string): Promise<void> {
  const url = `${millrace.url}/api/v1/streams/${encodeURIComponent(name)}`
  await until(async () => (await fetch(url).then(async (response) => await response.text())).includes('"state":"online"'), {
    what: `stream ${name} to be online`,
  })
}

/** Seconds. A sender report may move a track by two milliseconds at once: those are steps of the clock, and one more is rounding. */
const frameTolerance = 0.003

/** All frames came, none was damaged, and they are as far apart as they were made. */
function assertSameVideo(result: PlayResult, sent: readonly SentTrack[]): void {
  const { packets, keyframes, frames, decodeErrors, corruptPackets, ptsSeconds } = onlyTrack(result, 'video')
  const count = packetsOf(sent, 'video')
  assert.deepEqual(
    { packets, frames, decodeErrors, corruptPackets },
    { packets: count, frames: count, decodeErrors: 0, corruptPackets: 0 },
    result.messages.join('\n'),
  )
  assert.equal(keyframes, sent.find(({ kind }) => kind === 'video')?.keyframes)
  // Before the first report of the sender libav does not know all times.
  const times = ptsSeconds.toSorted((a, b) => a - b).slice(5)
  for (const [index, time] of times.entries()) if (index > 0) assertNear(time - (times[index - 1] ?? 0), 1 / 25, frameTolerance)
}

function packetsOf(sent: readonly SentTrack[], kind: 'video' | 'audio'): number {
  const track = sent.find((candidate) => candidate.kind === kind)
  assert.ok(track, `no ${kind} was sent`)
  return track.packets
}

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not within ${tolerance} of ${expected}`)
}
