import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { pino } from 'pino'
import { systemClock } from '#lib/clock.ts'
import { archiveBench, playedBytes } from '#live/archive/archive.fixture.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { type S3Server, startS3 } from '../support/s3.ts'
import { type CutPlan, TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

const log = pino({ level: 'silent' })
const deps = { dataDirectory: '/nowhere', clock: systemClock, log }

suite('recordings in an S3 bucket', () => {
  let server: S3Server
  before(async () => {
    server = await startS3({ hasConditionalPuts: true })
  })
  after(() => server[Symbol.asyncDispose]())

  /** Recordings whose store is behind a cable that can be pulled. */
  async function bench(plan?: CutPlan) {
    await using stack = new AsyncDisposableStack()
    const settings = await server.createBucket()
    const proxy = stack.use(await TcpProxy.open(plan))
    proxy.targetPort = Number(new URL(settings.endpoint ?? '').port)
    const endpoint = `http://127.0.0.1:${proxy.port}`
    const b = stack.use(await archiveBench({ openStore: () => openObjectStore({ ...settings, endpoint }, deps) }))
    const owned = stack.move()
    return { ...b, proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  }

  test('what was recorded, archived and freed plays in the same bytes', async () => {
    await using b = await bench()
    // The first file goes in parts: it is larger than what goes in one request.
    await b.record({ seconds: 60, frameBytes: 7000, segmentSeconds: 55 })
    const segments = await b.segments()
    assert.ok((segments[0]?.sizeBytes ?? 0) > 9 * 2 ** 20)
    const played = await playedBytes(b.newPlayback(), segments)
    {
      await using _ = b.archiver()
      await b.untilArchived(segments.length)
    }
    await b.free()
    assert.deepEqual(await playedBytes(b.newPlayback(), segments), played)
    await b.archive.remove(segments[0]?.path ?? '')
    await assert.rejects(b.newPlayback().openMedia(segments[0]?.id ?? ''), { code: 'RECORDING_NOT_FOUND' })
  })

  test('an upload that is broken off, by a cut cable or a shutdown, is repeated; a store that is away is told to players', async () => {
    let cutsLeft = 0
    await using b = await bench(() => (cutsLeft-- > 0 ? { direction: 'up', afterBytes: 500_000 } : undefined))
    await b.record({ seconds: 20, frameBytes: 10_000, segmentSeconds: 10 })
    const segments = await b.segments()
    const played = await playedBytes(b.newPlayback(), segments)
    b.proxy.silence()
    {
      await using _ = b.archiver()
      await until(() => b.proxy.lostBytes > 0)
      // Disposing does not wait for an answer that does not come.
    }
    assert.ok((await b.segments()).every(({ archivedAtMs }) => archivedAtMs === undefined))
    b.proxy.speak()
    cutsLeft = 3
    {
      await using _ = b.archiver()
      await b.untilArchived(segments.length)
    }
    assert.equal(b.proxy.cuts, 3)
    await b.free()
    assert.deepEqual(await playedBytes(b.newPlayback(), segments), played)
    b.proxy.targetPort = 0
    b.proxy.cutAll()
    await assert.rejects(b.newPlayback().openMedia(segments[0]?.id ?? ''), { code: 'OBJECTS_UNAVAILABLE' })
  })
})
