import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { LiveRenditionProcess } from '#codec/live-rendition.ts'
import type { AudioEncoder, LiveOrder, TranscodeProgress, VideoEncoder } from '#codec/transcoding.ts'
import { createLog } from '#lib/log.ts'
import { audioVideoSkewMs, onlyTrack, playStream } from '../support/peers/play-stream.ts'
import { publishTestStream, type TestStreamOptions } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { until } from '../support/until.ts'

const log = createLog({ level: 'silent', pretty: false })
const unknown = { primaries: 'unknown', transfer: 'unknown', matrix: 'unknown', range: 'unknown' } as const
const h264: VideoEncoder = {
  codec: 'h264',
  encoder: 'libx264',
  rate: { mode: 'average', bitsPerSecond: 300_000, maxBitsPerSecond: 400_000, bufferMs: 1000 },
  preset: 'ultrafast',
  bitDepth: 8,
  gopFrames: 25,
  threads: 1,
  color: unknown,
}
const h265: VideoEncoder = { ...h264, codec: 'h265', encoder: 'libx265', rate: { mode: 'crf', crf: 30 } }
const aac: AudioEncoder = { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false }
const opus: AudioEncoder = { ...aac, codec: 'opus' }

const cases: readonly [string, Pick<TestStreamOptions, 'video' | 'audio'>, Pick<LiveOrder, 'video' | 'audio'>][] = [
  ['H.264 and AAC to the same', { video: 'h264', audio: 'aac' }, { video: h264, audio: aac }],
  ['H.265 and Opus to H.264 and AAC', { video: 'h265', audio: 'opus' }, { video: h264, audio: aac }],
  ['H.264 with B-frames and G.711 to H.265 and Opus', { video: 'h264-bframes', audio: 'pcma' }, { video: h265, audio: opus }],
  ['H.264 without sound, though sound was ordered', { video: 'h264' }, { video: h264, audio: aac }],
]

suite('live renditions', { concurrency: 2 }, () => {
  let millrace: Millrace
  before(async () => {
    millrace = await startMillrace()
  })
  after(() => millrace[Symbol.asyncDispose]())

  const orderOf = (name: string, order: Partial<LiveOrder> = {}): LiveOrder => ({
    sourceUrl: `${millrace.rtspUrl}/${name}`,
    targetUrl: `${millrace.rtspUrl}/${name}-90p`,
    picture: { width: 160, height: 90, deinterlace: true },
    video: h264,
    audio: undefined,
    ...order,
  })

  const stateOf = async (name: string): Promise<unknown> => {
    const response = await fetch(`${millrace.url}/api/v1/streams/${encodeURIComponent(name)}`)
    const { state }: { state?: unknown } = JSON.parse(await response.text())
    return state
  }

  for (const [index, [title, source, order]] of cases.entries()) {
    test(`${title}: pictures and sound arrive, together`, async (t) => {
      showOutputOnFailure(t, millrace)
      const name = `live/case-${index}`
      await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/${name}`, parameterSets: 'both', ...source })
      await using rendition = new LiveRenditionProcess({ log })
      const stop = new AbortController()
      const started = Promise.withResolvers<void>()
      const progress: TranscodeProgress[] = []
      const running = rendition.run(orderOf(name, order), {
        signal: stop.signal,
        onStarted: started.resolve,
        onProgress: (value) => progress.push(value),
      })
      await Promise.race([started.promise, running])
      await using player = playStream({
        url: `${millrace.rtspUrl}/${name}-90p`,
        format: 'rtsp',
        decode: true,
        untilFrames: 90,
      })
      const result = await player.result
      const video = onlyTrack(result, 'video')
      assert.equal(video.codec, order.video.codec === 'h264' ? 'h264' : 'hevc')
      assert.deepEqual(video.sizes, ['160x90'])
      assert.equal(video.decodeErrors, 0)
      assert(video.frames >= 80 && video.keyframes >= 3, `${video.frames} frames, ${video.keyframes} keyframes`)
      if (source.audio) {
        assert.equal(onlyTrack(result, 'audio').codec, order.audio?.codec)
        assert(Math.abs(audioVideoSkewMs(result)) < 60, `${audioVideoSkewMs(result)} ms apart`)
      }
      const last = await until(() => progress.at(-1))
      assert(last.frames > 50 && last.speed > 0.3 && last.totalFrames === 0)
      stop.abort(new Error('enough'))
      await assert.rejects(running, /enough/)
      await until(async () => (await stateOf(`${name}-90p`)) !== 'online', { what: 'the rendition to have left' })
    })
  }

  test('60 pictures a second become 30, evenly', async (t) => {
    showOutputOnFailure(t, millrace)
    await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/live/fast`, video: 'h264', fps: 60 })
    await using rendition = new LiveRenditionProcess({ log })
    const stop = new AbortController()
    const started = Promise.withResolvers<void>()
    const picture = { width: 160, height: 90, deinterlace: true, maxFrameRate: 30 }
    const running = rendition.run(orderOf('live/fast', { picture }), { signal: stop.signal, onStarted: started.resolve })
    await Promise.race([started.promise, running])
    await using player = playStream({ url: `${millrace.rtspUrl}/live/fast-90p`, format: 'rtsp', decode: true, untilFrames: 60 })
    const { ptsSeconds, decodeErrors } = onlyTrack(await player.result, 'video')
    assert.equal(decodeErrors, 0)
    const times = ptsSeconds.toSorted((a, b) => a - b)
    const steps = times.slice(1).map((seconds, index) => Math.round((seconds - (times[index] ?? 0)) * 60))
    const usual = steps.filter((step) => step === 2).length
    // Where this machine has no time, the server leaves pictures out.
    assert.ok(usual >= 0.8 * steps.length && !steps.includes(1), `sixtieths of a second between pictures: ${steps.join()}`)
    stop.abort(new Error('enough'))
    await assert.rejects(running, /enough/)
  })

  test('a source that is killed ends the rendition with a code', async (t) => {
    showOutputOnFailure(t, millrace)
    await using stream = await publishTestStream({ url: `${millrace.rtspUrl}/live/killed`, video: 'h264' })
    await using rendition = new LiveRenditionProcess({ log, stallMs: 3000 })
    const running = rendition.run(orderOf('live/killed'), { onStarted: () => void stream[Symbol.asyncDispose]() })
    await assert.rejects(running, ({ code }: { code?: string }) => {
      assert.match(String(code), /^SOURCE_(UNREACHABLE|SILENT)$/)
      return true
    })
    assert.equal(await rendition.ended, undefined)
  })

  test('a source that falls silent is noticed', async (t) => {
    showOutputOnFailure(t, millrace)
    await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/live/silent`, video: 'h264' })
    await using line = await openLine(Number(new URL(millrace.rtspUrl).port))
    await using rendition = new LiveRenditionProcess({ log, stallMs: 2000 })
    const sourceUrl = `rtsp://127.0.0.1:${line.port}/live/silent`
    const running = rendition.run(orderOf('live/silent', { sourceUrl }), { onStarted: line.freeze })
    await assert.rejects(running, { code: 'SOURCE_SILENT' })
  })

  test('a target that is taken away ends the rendition with a code', async (t) => {
    showOutputOnFailure(t, millrace)
    await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/live/taken`, video: 'h264' })
    await using rendition = new LiveRenditionProcess({ log, stallMs: 3000 })
    const stop = async () => {
      const target = encodeURIComponent('live/taken-90p')
      await until(async () => (await fetch(`${millrace.url}/api/v1/streams/${target}/stop`, { method: 'POST' })).ok)
    }
    const running = rendition.run(orderOf('live/taken'), { onStarted: () => void stop() })
    await assert.rejects(running, { code: 'CODEC_FAILED' })
  })

  test('what cannot be is refused with a code', async () => {
    await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/live/there`, video: 'h264' })
    await using _sound = await publishTestStream({ url: `${millrace.rtspUrl}/live/sound`, audio: 'aac' })
    const refused: [Partial<LiveOrder>, string][] = [
      [{ sourceUrl: `${millrace.rtspUrl}/live/nothing` }, 'SOURCE_REFUSED'],
      [{ sourceUrl: 'rtsp://127.0.0.1:1/x' }, 'SOURCE_UNREACHABLE'],
      [{ sourceUrl: 'file:///etc/passwd' }, 'UNSUPPORTED'],
      [{ sourceUrl: `${millrace.rtspUrl}/live/sound` }, 'UNSUPPORTED'],
      [{ targetUrl: 'file:///tmp/x' }, 'UNSUPPORTED'],
      [{ targetUrl: 'rtsp://127.0.0.1:1/x' }, 'CODEC_FAILED'],
      [{ video: { ...h264, codec: 'av1', encoder: 'libsvtav1' } }, 'CODEC_UNSUPPORTED'],
      [{ video: { ...h264, encoder: 'h264_nothing' } }, 'CODEC_UNSUPPORTED'],
      [{ picture: { width: 161, height: 90, deinterlace: true } }, 'REQUEST_INVALID'],
    ]
    for (const [order, code] of refused) {
      await using rendition = new LiveRenditionProcess({ log })
      await assert.rejects(rendition.run(orderOf('live/there', order)), { code }, JSON.stringify(order))
    }
  })
})

/** A way to a port that can stand still: connections stay, and nothing comes through any more. */
async function openLine(targetPort: number) {
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) socket.on('error', () => undefined)
    sockets.push(near, far)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert(address && typeof address === 'object')
  return {
    port: address.port,
    freeze: () => sockets.forEach((socket) => socket.unpipe().pause()),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
