import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { Value } from 'typebox/value'
import { parseMediaPlaylist } from '#formats/hls/parse-media-playlist.ts'
import { systemClock } from '#lib/clock.ts'
import { createLog } from '#lib/log.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { unitAt, video, videoTrack } from '../../test/support/media.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import type { StreamEvent } from './events.ts'
import { StreamPackaging } from './packaging.ts'
import { openIndex } from './recorder/recording.fixture.ts'
import { Recordings } from './recordings.ts'
import { type FileStreams, type StoredStream, StreamRegistry } from './registry.ts'
import { liveSettingsSchema, recordingsSettingsSchema } from './settings.ts'

const live = Value.Parse(liveSettingsSchema, Value.Default(liveSettingsSchema, {}))
const log = createLog({ level: 'silent', pretty: false })
const peer = { id: 'p1', protocol: 'rtsp', remoteAddress: '127.0.0.1:1' } as const

/** A registry with real recordings; `stored` outlives it, as a database would. */
async function open(file: FileStreams, stored = new Map<string, StoredStream>()) {
  const stack = new AsyncDisposableStack()
  const { path: directory } = stack.use(await temporaryDirectory())
  const { index } = stack.use(await openIndex())
  const events: StreamEvent[] = []
  const sink = { emit: (event: StreamEvent) => void events.push(event) }
  const settings = Value.Parse(recordingsSettingsSchema, Value.Default(recordingsSettingsSchema, {}))
  const objects = await DirectoryStore.open({ directory: join(directory, 'objects'), clock: systemClock })
  const recordings = stack.use(
    await Recordings.open({ directory, settings, index, objects, events: sink, clock: systemClock, log }),
  )
  const registry = new StreamRegistry({
    settings: live,
    store: {
      load: async () => [...stored.values()],
      save: async (stream) => void stored.set(stream.name, stream),
      delete: async (name) => void stored.delete(name),
    },
    pull: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    events: sink,
    clock: systemClock,
    log,
    viewers: () => [],
    packagingFor: (stream, onWatchedChange) => {
      const recorder = recordings.recorderFor(stream.name, 300)
      const releaseRecorder = recordings.release.bind(recordings)
      return new StreamPackaging({ stream, settings: live, recorder, releaseRecorder, clock: systemClock, log, onWatchedChange })
    },
  })
  await registry.open(file)
  stack.defer(() => registry.close())
  return { registry, recordings, events, stored, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const file: FileStreams = {
  defaults: { recording: { segmentSeconds: 60 } },
  streams: { gate: { sources: ['publish'] }, yard: { sources: ['rtsp://10.0.0.1/a'] } },
}

test('streams made by API survive a restart with their wish, and overrides of the file are shown', async () => {
  const stored = new Map<string, StoredStream>()
  {
    await using first = await open(file, stored)
    await first.registry.create('lobby', { hls: 'off' })
    await first.registry.stop('lobby')
    await first.registry.change('gate', { recording: { enabled: true } })
    await first.registry.recording('gate', 'pause')
  }
  await using second = await open(file, stored)
  const [gate, lobby, yard] = second.registry.list()
  assert.deepEqual([gate?.origin, lobby?.origin, yard?.origin], ['file+api', 'api', 'file'])
  assert.deepEqual([lobby?.isEnabled, lobby?.state, lobby?.spec.hls], [false, 'stopped', 'off'])
  assert.deepEqual([gate?.overrides, gate?.spec.recording.segmentSeconds], [{ recording: { enabled: true } }, 60])
  assert.equal(gate?.recording.state, 'paused')
})

test('a new file touches only the streams that it changes', async () => {
  await using setup = await open(file)
  const gate = setup.registry.require('gate')
  const publication = setup.registry.publish('gate', { peer })
  publication.start([videoTrack])
  publication.write(unitAt(0, { isKeyframe: true }))
  const result = await setup.registry.reconcile({ ...file, streams: { gate: { sources: ['publish'] }, dock: {} } })
  assert.deepEqual(result, { added: ['dock'], changed: [], removed: ['yard'] })
  assert.equal(setup.registry.require('gate'), gate)
  assert.equal(gate.stream.isOnline, true)
})

test('a change of policy leaves the publisher alone, a change of sources does not', async () => {
  await using setup = await open(file)
  const publication = setup.registry.publish('gate', { peer })
  publication.start([videoTrack])
  publication.write(unitAt(0, { isKeyframe: true }))
  await setup.registry.change('gate', { recording: { enabled: true } })
  assert.equal(setup.registry.find('gate')?.state, 'online')
  await setup.registry.change('gate', { sources: ['rtsp://10.0.0.2/b'] })
  assert.equal(publication.signal.aborted, true)
  assert.throws(() => setup.registry.publish('gate', { peer }), { code: 'STREAM_NOT_PUBLISHABLE' })
})

test('refusals have codes', async () => {
  await using setup = await open(file)
  const { registry } = setup
  await assert.rejects(registry.create('gate', {}), { code: 'STREAM_EXISTS' })
  await assert.rejects(registry.remove('gate'), { code: 'STREAM_IN_FILE' })
  await assert.rejects(registry.stop('nobody'), { code: 'STREAM_NOT_FOUND' })
  await assert.rejects(registry.openForReading('gate'), { code: 'STREAM_OFFLINE' })
  registry.publish('gate', { peer })
  assert.throws(() => registry.publish('gate', { peer }), { code: 'STREAM_BUSY' })
  await registry.stop('gate')
  assert.throws(() => registry.publish('gate', { peer }), { code: 'STREAM_STOPPED' })
  await assert.rejects(registry.openForReading('gate'), { code: 'STREAM_STOPPED' })
})

test('removing a stream of the file takes its overrides away, removing one of the API takes it all', async () => {
  await using setup = await open(file)
  const { registry, events } = setup
  await registry.change('gate', { hls: 'always' })
  await registry.remove('gate')
  assert.deepEqual([registry.find('gate')?.origin, registry.find('gate')?.spec.hls], ['file', 'on-demand'])
  await registry.create('lobby', {})
  await registry.remove('lobby')
  assert.equal(registry.find('lobby'), undefined)
  assert.deepEqual(events.at(-1), { type: 'stream.removed', stream: 'lobby' })
})

test('a publisher makes an undeclared stream, and the API can keep it', async () => {
  await using setup = await open(file)
  const { registry } = setup
  const publication = registry.publish('guest', { peer })
  publication.start([videoTrack])
  publication.write(unitAt(0, { isKeyframe: true }))
  assert.equal(registry.find('guest')?.origin, 'undeclared')
  await registry.create('guest', {})
  assert.deepEqual([registry.find('guest')?.origin, registry.find('guest')?.state], ['api', 'online'])
})

test('a source that steps in at once is a switch and no outage', async () => {
  await using setup = await open({ defaults: {}, streams: { hall: { sources: ['publish', 'rtsp://10.0.0.1/a'] } } })
  const { registry, events } = setup
  const first = registry.publish('hall', { peer })
  first.start([videoTrack])
  first.write(unitAt(0, { isKeyframe: true }))
  const spare = registry.require('hall').stream.openPublication({ priority: 1, label: 'rtsp://10.0.0.1/a' })
  spare.start([videoTrack])
  first.close('gone')
  assert.equal(registry.find('hall')?.state, 'connecting')
  spare.write(unitAt(0, { isKeyframe: true }))
  assert.deepEqual(
    events.map(({ type }) => type),
    ['stream.online', 'stream.source-switched'],
  )
})

test('a stream is offline when no other source steps in, or the same one is back before that', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    await using setup = await open({ defaults: {}, streams: { hall: { sources: ['publish', 'rtsp://10.0.0.1/a'] } } })
    const { registry, events } = setup
    for (const awayMs of [2000, 100]) {
      const publication = registry.publish('hall', { peer })
      publication.start([videoTrack])
      publication.write(unitAt(0, { isKeyframe: true }))
      publication.close('gone')
      mock.timers.tick(awayMs)
      assert.equal(registry.find('hall')?.state, awayMs < 2000 ? 'connecting' : 'offline')
    }
    const back = registry.publish('hall', { peer })
    back.start([videoTrack])
    back.write(unitAt(0, { isKeyframe: true }))
    assert.deepEqual(
      events.map(({ type }) => type),
      ['stream.online', 'stream.offline', 'stream.recovered', 'stream.offline', 'stream.recovered'],
    )
  } finally {
    mock.timers.reset()
  }
})

test('recording that is switched off keeps what came before, whole part or not', async () => {
  await using setup = await open({ defaults: {}, streams: { hall: { recording: { enabled: true } } } })
  const { registry, recordings, events } = setup
  const publication = registry.publish('hall', { peer })
  publication.start([videoTrack])
  for (const unit of video({ frames: 13 })) publication.write(unit)
  await registry.recording('hall', 'stop')
  await until(() => events.some(({ type }) => type === 'recording.segment-closed'))
  const segment = await until(async () => (await recordings.list({ stream: 'hall', limit: 1 }))[0])
  assert.equal(segment.durationMs, 13 * 40)
})

test('what is recorded and packaged for HLS is held in memory once, and read back from the recording in the same bytes', async () => {
  await using setup = await open({ defaults: {}, streams: { hall: { hls: 'always', recording: { enabled: true } } } })
  const publication = setup.registry.publish('hall', { peer })
  publication.start([videoTrack])
  let filmed = 0
  const film = (frames: number): void => {
    for (const unit of video({ fromMs: filmed * 40, frames })) publication.write(unit)
    filmed += frames
  }
  film(50)
  const window = setup.registry.require('hall').packaging.watch()
  const playlist = parseMediaPlaylist((await window.plainPlaylist({})).bytes.toString())
  const name = playlist.segments[0]?.uri ?? ''
  const made = await window.file(name, {})
  assert.ok(made.body.kind === 'memory')
  film(25)
  const { body, sizeBytes } = await until(async () => {
    film(25)
    const file = await window.file(name, {})
    return file.body.kind === 'stored' ? { ...file, body: file.body } : undefined
  })
  const [range] = body.ranges
  assert.ok(range && body.ranges.length === 1)
  const recorded = (await readFile(range.path)).subarray(range.offset, range.offset + range.sizeBytes)
  assert.ok(sizeBytes === recorded.length && recorded.equals(Buffer.concat(made.body.chunks)))
})
