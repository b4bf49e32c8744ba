import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventMessage, StreamView } from '#api/contract.ts'
import { findHeader } from '#formats/rtsp/message.ts'
import { assertGrowing } from '../support/growing.ts'
import { HlsFollower } from '../support/hls-follower.ts'
import { onlyTrack, playStream } from '../support/peers/play-stream.ts'
import { publishTestStream } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace } from '../support/program.ts'
import { RtspTestClient } from '../support/rtsp-client.ts'
import { TestApi } from '../support/test-api.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const flaps = 3
const config = `
[live]
retryFirstSeconds = 0.2
retryMaxSeconds = 0.5
sourceSilenceSeconds = 1
onlineTimeoutSeconds = 1
[streams.spare]
`

test('a source that dies and comes back never disconnects a reader', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  await using camera = await startMillrace()
  const api = new TestApi(millrace)
  await using _spare = await publishTestStream({
    url: `${millrace.rtspUrl}/spare`,
    video: 'h264',
    gopFrames: 12,
    size: { width: 480, height: 270 },
  })
  const primary = { url: `${camera.rtspUrl}/primary`, video: 'h264', gopFrames: 12 } as const
  await using first = await publishTestStream(primary)
  const sources = [primary.url, `${millrace.rtspUrl}/spare`]
  await api.create({ name: 'wall', hls: 'always', sources })
  await untilSource(api, primary.url)

  await using players = new AsyncDisposableStack()
  const both = ['tcp', 'udp'] as const
  const url = `${millrace.rtspUrl}/wall`
  const all = both.map((transport) => players.use(playStream({ url, format: 'rtsp', transport, decode: true, idleMs: 60_000 })))
  await Promise.all(all.map(({ started }) => started))
  await using reader = await UnitReader.play(millrace, 'wall')
  await using hls = new HlsFollower(`${millrace.url}/hls/wall`)
  const readers = (await api.readers('wall')).map(({ id }) => id)
  let publisher = first
  for (let flap = 0; flap < flaps; flap++) {
    const killedAtMs = performance.now()
    // Gone with its connections, or connected and silent: both are a camera that is away.
    const isSilent = flap === flaps - 1
    await (isSilent ? publisher.kill() : camera.kill('SIGKILL'))
    await untilSource(api, sources[1])
    await untilMoreUnits(reader)
    t.diagnostic(`${isSilent ? 'silent' : 'dead'}: longest wait of a reader ${longestWaitMs(reader, killedAtMs).toFixed(0)} ms`)
    if (!isSilent) await camera.start()
    publisher = players.use(await publishTestStream(primary))
    await untilSource(api, primary.url)
    await untilMoreUnits(reader)
  }
  const rtspReaders = (await api.readers('wall')).filter(({ protocol }) => protocol === 'rtsp')
  assert.deepEqual(
    rtspReaders.map(({ id }) => id),
    readers.filter((id) => id.startsWith('rtsp-')),
  )
  const expectedSizes = ['320x180', ...Array.from({ length: flaps }, () => ['480x270', '320x180']).flat()]
  for (const player of all) {
    const video = onlyTrack(await player.stop(), 'video')
    assert.equal(video.decodeErrors, 0)
    assert.deepEqual(video.sizes, expectedSizes)
    assertGrowing(video.ptsSeconds, 'times of the player')
  }
  assertGrowing(
    reader.units.map(({ ticks }) => ticks),
    'RTP timestamps',
  )
  assert.equal(reader.damagedUnits, 0)
  checkSwitches(await api.events({ subject: 'wall' }), sources)
  await checkHls(hls, { discontinuities: flaps * 2, inits: 2 })
})

test('a fallback with another codec makes RTSP readers come again, and gives HLS a new init segment', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const urlOf = (name: string) => `${millrace.rtspUrl}/${name}`
  await using primary = await publishTestStream({ url: urlOf('primary'), video: 'h264', gopFrames: 12 })
  await using _spare = await publishTestStream({ url: urlOf('spare'), video: 'h265', gopFrames: 12 })
  await api.create({ name: 'wall', hls: 'always', sources: [urlOf('primary'), urlOf('spare')] })
  await untilSource(api, urlOf('primary'))
  await using reader = await UnitReader.play(millrace, 'wall')
  await using hls = new HlsFollower(`${millrace.url}/hls/wall`)
  await hls.untilMore(2)
  await primary.kill()
  await untilSource(api, urlOf('spare'))
  await until(() => reader.client.isClosed, { what: 'the reader to be closed' })
  await using again = playStream({ url: urlOf('wall'), format: 'rtsp', decode: true, untilFrames: 20 })
  const video = onlyTrack(await again.result, 'video')
  assert.deepEqual([video.codec, video.decodeErrors], ['hevc', 0])
  await checkHls(hls, { discontinuities: 1, inits: 2 })
  // A player begins with one of the last three segments.
  await hls.untilMore(3)
  await using late = playStream({ url: `${millrace.url}/hls/wall/index.m3u8`, format: 'hls', decode: true, untilFrames: 20 })
  const lateVideo = onlyTrack(await late.result, 'video')
  assert.deepEqual([lateVideo.codec, lateVideo.decodeErrors], ['hevc', 0])
})

test('a source on demand comes with the first reader and goes after the last', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const url = `${millrace.rtspUrl}/spare`
  await using _spare = await publishTestStream({ url, video: 'h264', gopFrames: 12 })
  await api.untilState('spare', 'online')
  await api.create({ name: 'lazy', sources: [url], onDemand: true, onDemandCloseSeconds: 0.2 })
  for (const round of [1, 2]) {
    await api.untilState('lazy', 'idle')
    await until(async () => (await api.readers('spare')).length === 0, { what: 'the source to be left alone' })
    await using reader = await UnitReader.play(millrace, 'lazy')
    await using second = playStream({ url: `${millrace.rtspUrl}/lazy`, format: 'rtsp', decode: true, untilFrames: 25 })
    assert.equal(onlyTrack(await second.result, 'video').decodeErrors, 0)
    assert.equal((await api.readers('spare')).length, 1, 'one connection for all readers')
    assert.equal((await api.stream('lazy')).state, 'online', `round ${round}`)
    await untilMoreUnits(reader)
  }
})

test('a dead source is tried with growing waits, and its readers are told', async (t) => {
  const retries = 'retryFirstSeconds = 0.05\nretryMaxSeconds = 30\n'
  await using millrace = await startMillrace({ config: `[live]\nonlineTimeoutSeconds = 0.5\n${retries}` })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const sources = [`${millrace.rtspUrl}/nobody`]
  await api.create({ name: 'dead', sources })
  await api.create({ name: 'dead-lazy', sources, onDemand: true, onDemandCloseSeconds: 0 })
  const tries = await watchTries(api, 6)
  const waitsMs = tries.map((atMs, i) => atMs - (tries[i - 1] ?? atMs)).slice(1)
  t.diagnostic(`waits of ${waitsMs.map(Math.round).join(', ')} ms`)
  assert.ok((waitsMs.at(-1) ?? 0) > 2 * (waitsMs[0] ?? Infinity))

  for (const name of ['dead', 'dead-lazy']) {
    await using client = await RtspTestClient.connect(Number(new URL(millrace.rtspUrl).port), name)
    const response = await client.request('DESCRIBE')
    assert.equal(response.status, 404)
    assert.match(findHeader(response.headers, 'millrace-error') ?? '', /^STREAM_OFFLINE: .*did not come online/)
  }
  const hls = await fetch(`${millrace.url}/hls/dead/index.m3u8`)
  assert.equal(hls.status, 404)
  assert.match(await hls.text(), /"code":"STREAM_OFFLINE"/)
  await api.untilState('dead-lazy', 'idle')
})

/** When the source of "dead" was to be tried again, each time that it had failed. */
async function watchTries(api: TestApi, count: number): Promise<number[]> {
  const tries: number[] = []
  while (tries.length < count) {
    const { sources } = await api.untilStream('dead', 'to wait for another try', ({ sources: [source] }) =>
      isWaiting(source, tries.at(-1)),
    )
    assert.equal(sources[0]?.error?.code, 'SOURCE_REFUSED')
    tries.push(sources[0].retryAtMs ?? 0)
  }
  return tries
}

function isWaiting(source: StreamView['sources'][number] | undefined, afterMs = 0): boolean {
  return source?.state === 'failed' && (source.retryAtMs ?? 0) > afterMs
}

async function untilSource(api: TestApi, url: string | undefined): Promise<void> {
  await api.untilStream('wall', `to show ${url}`, ({ sources, state }) => {
    return state === 'online' && sources.some((source) => source.url === url && source.state === 'active')
  })
}

async function untilMoreUnits(reader: UnitReader): Promise<void> {
  const wanted = reader.units.length + 25
  await until(() => reader.units.length >= wanted, { what: 'the reader to go on' })
}

function longestWaitMs({ units }: UnitReader, sinceMs: number): number {
  const times = units.map(({ atMs }) => atMs)
  return Math.max(...times.map((atMs, i) => (atMs < sinceMs ? 0 : atMs - (times[i - 1] ?? atMs))))
}

/** The stream showed one source after the other, and said so each time. */
function checkSwitches(events: readonly EventMessage[], [first, second]: readonly (string | undefined)[]): void {
  const switches = events.flatMap(({ type, data }) => (type === 'stream.source-switched' ? [[data['from'], data['to']]] : []))
  assert.deepEqual(
    switches,
    Array.from({ length: flaps }, () => [
      [first, second],
      [second, first],
    ]).flat(),
  )
}

async function checkHls(hls: HlsFollower, { discontinuities, inits }: { discontinuities: number; inits: number }): Promise<void> {
  await until(() => hls.discontinuities >= discontinuities, { what: `${discontinuities} discontinuities in the playlist` })
  assert.equal(hls.discontinuities, discontinuities)
  assert.ok(hls.maps.size >= inits, `${hls.maps.size} init segments`)
  assertGrowing(hls.sequences, 'media sequence numbers')
}
