import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { EventMessage } from '#api/contract.ts'
import { findHeader } from '#formats/rtsp/message.ts'
import { followEvents } from '../support/event-socket.ts'
import { assertGrowing } from '../support/growing.ts'
import { onlyTrack, playStream, type PlayResult } from '../support/peers/play-stream.ts'
import { publishTestStream, type TestStream, type TestStreamOptions } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const kills = 3
const name = 'site/gate'
const config = `[streams."${name}"]\nhls = "always"\n`

test('readers live through a publisher that is killed and comes back', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  await using watched = await followEvents(millrace, { from: 0 })
  const options = { url: `${millrace.rtspUrl}/${name}`, video: 'h264', audio: 'aac', gopFrames: 12 } as const
  await using publishers = new Publishers(options)
  await publishers.open()
  await api.untilState(name, 'online')

  await using players = new AsyncDisposableStack()
  const waiting = { decode: true, idleMs: 60_000 } as const
  const all = [
    players.use(playStream({ ...waiting, url: options.url, format: 'rtsp', transport: 'tcp' })),
    players.use(playStream({ ...waiting, url: options.url, format: 'rtsp', transport: 'udp' })),
    players.use(playStream({ ...waiting, url: `${millrace.url}/hls/${name}/index.m3u8`, format: 'hls' })),
  ]
  await Promise.all(all.map(({ started }) => started))
  const reader = players.use(await UnitReader.play(millrace, name))
  const before = await progress(api)
  assert.equal(before.size, 4)
  for (let kill = 0; kill < kills; kill++) {
    await publishers.kill()
    await api.untilState(name, 'offline')
    // The last round over UDP: there the session does not end with the connection, and the dead publisher has to fall silent first.
    await publishers.open(kill === kills - 1 ? { transport: 'udp' } : {})
    await api.untilState(name, 'online')
    await untilAllGoOn(api)
  }
  assert.deepEqual([...(await progress(api)).keys()], [...before.keys()], 'the same connections all the time')
  const results = await Promise.all(all.map((player) => player.stop()))

  for (const [i, result] of results.entries()) assertWhole(t, result, `over ${['RTSP by TCP', 'RTSP by UDP', 'HLS'][i]}`)
  assertKeepsTime(reader)
  const { health } = await api.stream(name)
  assert.equal(health.outages, kills)
  await checkEvents(millrace, watched.events)
})

test('a publisher over UDP that dies gives way to the next', async (t) => {
  await using millrace = await startMillrace({ config })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const options = { url: `${millrace.rtspUrl}/${name}`, video: 'h264', transport: 'udp' } as const
  await using publishers = new Publishers(options)
  await publishers.open()
  await api.untilState(name, 'online')
  await using player = playStream({ url: options.url, format: 'rtsp', decode: true, idleMs: 60_000 })
  await player.started
  const first = (await api.stream(name)).publisher?.id
  await publishers.kill()
  await publishers.open()
  const second = await api.untilStream(name, 'to have another publisher', ({ publisher, state }) => {
    return state === 'online' && publisher !== undefined && publisher.id !== first
  })
  assert.equal(second.health.outages, 1)
  await untilAllGoOn(api)
  assertWhole(t, await player.stop())
})

test('a second publisher is refused while the first sends, and replaces it when it is silent', async (t) => {
  // So long that nothing but the newcomer ends the silent one.
  await using millrace = await startMillrace({ config: `${config}[rtsp]\npublisherSilenceSeconds = 60\n` })
  showOutputOnFailure(t, millrace)
  const api = new TestApi(millrace)
  const material = await makeMaterial(millrace, { video: 'h264', seconds: 1 })
  const [unit] = material
  assert.ok(unit)
  await using first = await UnitPublisher.open(millrace, name, unit.track)
  first.loop(material)
  await api.untilState(name, 'online')

  await using second = await UnitPublisher.setUp(millrace, name, unit.track)
  const refusal = await second.record()
  assert.equal(refusal.status, 409)
  assert.match(findHeader(refusal.headers, 'millrace-error') ?? '', /^STREAM_BUSY: .*is being published by 127\.0\.0\.1:/)
  assert.equal((await api.stream(name)).health.outages, 0)

  first.fallSilent()
  const accepted = await until(
    async () => {
      const response = await second.record()
      return response.status === 200 ? response : undefined
    },
    { what: 'the silent publisher to be replaced' },
  )
  assert.equal(findHeader(accepted.headers, 'millrace-error'), undefined)
  second.loop(material)
  await until(() => first.client.isClosed, { what: 'the silent publisher to be disconnected' })
  const { publisher, health } = await api.untilState(name, 'online')
  assert.match(publisher?.remoteAddress ?? '', new RegExp(`:${second.client.localPort}$`))
  assert.equal(health.outages, 1)

  // Whoever loses its place is told so: it would publish to nobody otherwise.
  await api.change(name, { sources: ['publish', `${millrace.rtspUrl}/spare`] })
  await until(() => second.client.isClosed, { what: 'the publisher to be disconnected after its sources changed' })
})

/** One publisher after the other on the same stream. */
class Publishers implements AsyncDisposable {
  readonly #options: TestStreamOptions
  #current: TestStream | undefined

  constructor(options: TestStreamOptions) {
    this.#options = options
  }

  /** A place may be taken until the server has noticed that its publisher is gone. */
  async open(options: Partial<TestStreamOptions> = {}): Promise<void> {
    const wanted = { ...this.#options, ...options }
    this.#current = await until(() => publishTestStream(wanted).catch(() => undefined), {
      what: 'a place to publish',
      timeoutMs: 20_000,
    })
  }

  async kill(): Promise<void> {
    await this.#current?.kill()
    this.#current = undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

/** How far each reader is, by its id. */
async function progress(api: TestApi): Promise<Map<string, number>> {
  return new Map(
    (await api.readers(name)).map(({ id, protocol, sentUnits, sentBytes }) => [id, protocol === 'hls' ? sentBytes : sentUnits]),
  )
}

/** Each reader is given media again. */
async function untilAllGoOn(api: TestApi): Promise<void> {
  const before = await progress(api)
  const hasAllMore = async (): Promise<boolean> => {
    const now = await progress(api)
    return [...before].every(([id, count]) => (now.get(id) ?? 0) > count + 50)
  }
  await until(hasAllMore, { what: 'all readers to go on', timeoutMs: 20_000 })
}

/** No picture was damaged, and time went on all the while. */
function assertWhole(t: TestContext, result: PlayResult, where = 'over RTSP'): void {
  assert.equal(result.end, 'stopped')
  const video = onlyTrack(result, 'video')
  assert.deepEqual([video.decodeErrors, video.corruptPackets], [0, 0], `${where}: ${result.messages.join('\n')}`)
  assert.ok(video.frames > 50, `${video.frames} frames`)
  for (const { kind, ptsSeconds } of result.tracks) assertGrowing(ptsSeconds, `${kind} times`)
  const gaps = video.ptsSeconds.map((pts, i) => pts - (video.ptsSeconds[i - 1] ?? pts)).filter((gap) => gap > 0.2)
  t.diagnostic(`${where}: ${video.frames} frames, gaps of ${gaps.map((gap) => gap.toFixed(2)).join(', ')} s`)
}

/** The stream's time goes on while nobody publishes: what comes after an outage is as much later as the outage was long. */
function assertKeepsTime({ video, damagedUnits }: UnitReader): void {
  assert.equal(damagedUnits, 0)
  assertGrowing(
    video.map(({ ticks }) => ticks),
    'RTP timestamps',
  )
  const [first] = video
  const last = video.at(-1)
  assert.ok(first && last)
  const driftMs = last.atMs - first.atMs - (last.ticks - first.ticks) / 90
  assert.ok(Math.abs(driftMs) < 2000, `the stream's time drifted by ${driftMs} ms`)
}

/** Every outage was told and its end too; a client that lost its connection is told the same from where it was. */
async function checkEvents(millrace: Millrace, watched: readonly EventMessage[]): Promise<void> {
  const told = watched.filter(({ type, subject }) => subject === name && /^stream\.(online|offline|recovered)$/.test(type))
  const outage = ['stream.offline', 'stream.recovered']
  assert.deepEqual(
    told.map(({ type }) => type),
    ['stream.online', ...Array.from({ length: kills }, () => outage).flat()],
  )
  for (const { type, data } of told) if (type === 'stream.recovered') assert.ok(Number(data['offlineMs']) >= 0)
  for (const [index, { sequence }] of watched.entries()) assert.equal(sequence, (watched[0]?.sequence ?? 0) + index)
  const from = told[2]?.sequence ?? 0
  const expected = watched.filter(({ sequence }) => sequence >= from)
  await using replayed = await followEvents(millrace, { from })
  await until(() => replayed.events.length >= expected.length, { what: 'the events again' })
  assert.deepEqual(replayed.events.slice(0, expected.length), expected)
}
