import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { Value } from 'typebox/value'
import { unitAt, videoTrack } from '../../test/support/media.ts'
import { until } from '../../test/support/until.ts'
import { liveSettingsSchema } from './settings.ts'
import { type PullSource, SourceRunner } from './source-runner.ts'
import { mergeStreamSpec } from './stream-spec.ts'
import { Stream } from './stream.ts'

const settings = {
  ...Value.Parse(liveSettingsSchema, Value.Default(liveSettingsSchema, {})),
  retryFirstSeconds: 0.05,
  retryMaxSeconds: 0.1,
}
const limits = { maxBytes: 1e6, maxMs: 1000, maxReaders: 3 }

/** Cameras by URL that a test switches on and off. */
class Cameras {
  readonly on = new Set<string>()
  readonly attempts: string[] = []
  readonly open = new Set<string>()

  readonly pull: PullSource = async ({ url, signal, onTracks, onUnit }) => {
    this.attempts.push(url)
    if (!this.on.has(url)) throw new AppError('SOURCE_UNREACHABLE', `${url} refused the connection`)
    this.open.add(url)
    onTracks([videoTrack])
    onUnit(unitAt(0, { isKeyframe: true }))
    await until(() => signal.aborted || !this.on.has(url))
    this.open.delete(url)
  }
}

function setUp(sources: string[]): { stream: Stream; cameras: Cameras; runner: SourceRunner } & AsyncDisposable {
  const stream = new Stream({ name: 'gate', clock: systemClock, limits })
  const cameras = new Cameras()
  const log = createLog({ level: 'silent', pretty: false })
  const runner = new SourceRunner({
    stream,
    spec: mergeStreamSpec({ sources }),
    settings,
    pull: cameras.pull,
    clock: systemClock,
    log,
  })
  return { stream, cameras, runner, [Symbol.asyncDispose]: () => runner.close() }
}

test('the next source steps in while the first is away, and leaves when it is back', async () => {
  await using setup = setUp(['rtsp://main', 'rtsp://spare'])
  const { stream, cameras, runner } = setup
  cameras.on.add('rtsp://main').add('rtsp://spare')
  runner.setNeeded(true)
  await until(() => stream.active?.priority === 0)
  assert.equal(cameras.open.has('rtsp://spare'), false)
  cameras.on.delete('rtsp://main')
  await until(() => stream.active?.priority === 1)
  cameras.on.add('rtsp://main')
  await until(() => stream.active?.priority === 0)
  await until(() => !cameras.open.has('rtsp://spare'))
  assert.deepEqual(
    runner.status().map(({ state }) => state),
    ['active', 'idle'],
  )
})

test('a failed source says why and when it is tried again', async () => {
  await using setup = setUp(['rtsp://user:secret@main'])
  setup.runner.setNeeded(true)
  const status = await until(() => setup.runner.status().find(({ error }) => error))
  assert.equal(status.error?.code, 'SOURCE_UNREACHABLE')
  assert.equal(status.url, 'rtsp://***@main')
  await until(() => setup.cameras.attempts.length > 2)
  assert.ok(setup.runner.reconnects > 1)
})

test('a source that is not needed is let go, and comes back on need', async () => {
  await using setup = setUp(['rtsp://main'])
  const { stream, cameras, runner } = setup
  cameras.on.add('rtsp://main')
  assert.deepEqual(cameras.attempts, [])
  runner.setNeeded(true)
  await until(() => stream.isOnline)
  runner.setNeeded(false)
  await until(() => !stream.isOnline && cameras.open.size === 0)
  runner.setNeeded(true)
  await until(() => stream.isOnline)
})

test('the next source steps in when the first is connected but silent', async () => {
  await using setup = setUp(['rtsp://main', 'rtsp://spare'])
  const { stream, cameras, runner } = setup
  cameras.on.add('rtsp://main').add('rtsp://spare')
  runner.setNeeded(true)
  // The cameras here send one picture and no more: the first is silent after two seconds.
  await until(() => stream.active?.priority === 1)
  assert.ok(cameras.open.has('rtsp://main'))
})

test('a publisher that leaves hands over to the next source at once', async () => {
  await using setup = setUp(['publish', 'rtsp://spare'])
  const { stream, cameras, runner } = setup
  cameras.on.add('rtsp://spare')
  runner.setNeeded(true)
  const publication = stream.openPublication({ priority: 0, label: 'publish' })
  publication.start([videoTrack])
  publication.write(unitAt(0, { isKeyframe: true }))
  assert.deepEqual(cameras.attempts, [])
  publication.close('gone')
  await until(() => stream.active?.priority === 1)
})
