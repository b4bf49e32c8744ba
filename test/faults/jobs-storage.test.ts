import assert from 'node:assert/strict'
import { open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseOutput } from '#jobs/scheduler/stored-values.ts'
import { showOutputOnFailure } from '../support/program.ts'
import { startS3, type S3Server } from '../support/s3.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'
import { JobFleet } from './jobs/job-fleet.ts'

const diskMegabytes = 4

/** What becomes of the object of a chunk, as a file of the object store. */
const damages = {
  'is deleted': (path: string) => rm(path),
  'has other bytes in the middle': async (path: string) => {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    await file.write(Buffer.alloc(100, 0xa5), 0, 100, Math.floor(size / 2))
  },
  'is too short': async (path: string) => {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    await file.truncate(size - 100)
  },
} satisfies Record<string, (path: string) => Promise<void>>

suite('disks and object stores that break', () => {
  let fleet: JobFleet
  let undisturbed: Readonly<Record<string, string>>

  before(async () => {
    fleet = await JobFleet.open()
    await fleet.addWorker('a')
    const { id } = await fleet.submit()
    await fleet.completed(id)
    undisturbed = await fleet.digests(id)
  })
  after(() => fleet[Symbol.asyncDispose]())

  for (const [what, damage] of Object.entries(damages)) {
    test(`a chunk ${what} before it is packaged: it alone is made again`, async (t) => {
      showOutputOnFailure(t, fleet)
      const { id } = await fleet.submit()
      // Its process has only begun: no input has been read.
      const { thaw } = await fleet.catchCodec(id, 'package')
      const [file] = parseOutput(await fleet.task(id, { kind: 'video', chunk: 1 })).files
      await damage(join(fleet.control.directory, 'data', 'objects', file?.key ?? ''))
      thaw()
      await fleet.completed(id)
      assert.deepEqual(await fleet.outcomes(id, 'package'), ['0 input', '0 done'])
      assert.deepEqual(await fleet.outcomes(id, 'video'), ['0 done', '1 done', '1 done'])
      assert.deepEqual(await fleet.outcomes(id, 'audio'), ['0 done'])
      assert.deepEqual(await fleet.digests(id), undisturbed)
      await fleet.checkAtRest()
    })
  }

  test('all chunks are damaged before they are packaged: they are made again at once', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'package')
    for (const [chunk, damage] of [damages['has other bytes in the middle'], damages['is deleted']].entries()) {
      const [file] = parseOutput(await fleet.task(id, { kind: 'video', chunk })).files
      await damage(join(fleet.control.directory, 'data', 'objects', file?.key ?? ''))
    }
    thaw()
    await fleet.completed(id)
    assert.deepEqual(await fleet.outcomes(id, 'package'), ['0 input', '0 done'])
    assert.deepEqual((await fleet.outcomes(id, 'video')).toSorted(), ['0 done', '0 done', '1 done', '1 done'])
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
  })

  test('the disk of a worker is full: what it tries is done by another one, and it works again when there is room', async (t) => {
    await using disk = await mountSmallDisk(diskMegabytes)
    if (!disk) return t.skip('needs the right to mount a disk')
    showOutputOnFailure(t, fleet)
    await fleet.setState('a', 'draining')
    await fleet.addWorker('small', { env: { MILLRACE_WORKER_SCRATCH_DIRECTORY: disk.path } })
    const { id } = await fleet.submit()
    const { task, thaw } = await fleet.catchCodec(id, 'video')
    const filler = join(disk.path, 'filler')
    await writeFile(filler, Buffer.alloc(diskMegabytes * 2 ** 20)).catch(() => undefined)
    thaw()
    const isFull = async () => (await fleet.attempts(id)).some(({ errorCode }) => errorCode === 'DISK_FULL')
    await until(isFull, { what: 'the disk to be full', timeoutMs: 30_000 })
    await fleet.setState('a', 'active')
    await fleet.completed(id)
    const after = await fleet.task(id, task)
    assert.deepEqual([after.nodeId, after.attempt], ['a', 2])
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await rm(filler)
    await fleet.setState('a', 'draining')
    const next = await fleet.submit()
    await fleet.completed(next.id)
    assert.equal((await fleet.task(next.id, task)).nodeId, 'small')
    await fleet.checkAtRest()
  })
})

suite('an object store elsewhere', () => {
  const stack = new AsyncDisposableStack()
  let s3: S3Server
  let cable: TcpProxy
  let fleet: JobFleet
  let undisturbed: Readonly<Record<string, string>>

  before(async () => {
    s3 = stack.use(await startS3({ hasConditionalPuts: true }))
    const { endpoint = '', ...bucket } = await s3.createBucket()
    cable = stack.use(await TcpProxy.open())
    cable.targetPort = Number(new URL(endpoint).port)
    fleet = stack.use(await JobFleet.open({ objects: { ...bucket, endpoint: `http://${cable.brokers}` } }))
    await fleet.addWorker('a')
    const { id } = await fleet.submit()
    await fleet.completed(id)
    undisturbed = await fleet.digests(id)
  })
  after(() => stack[Symbol.asyncDispose]())

  test('it is silent for a while: the job waits, and nothing counts', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'video')
    cable.silence()
    thaw()
    await until(() => cable.lostBytes > 0, { what: 'somebody to speak into the silence', timeoutMs: 30_000 })
    cable.speak()
    await fleet.completed(id)
    const attempts = (await fleet.store.listTasks(id)).map(({ attempt }) => attempt)
    assert.deepEqual(attempts, [1, 1, 1, 1, 1])
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
  })

  test('it is away and comes back empty: what was lost is made again, and the job completes', async (t) => {
    showOutputOnFailure(t, fleet)
    const before = fleet.submitted
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'audio')
    await s3.stop()
    thaw()
    await until(() => fleet.output().includes('OBJECTS_UNAVAILABLE'), { what: 'somebody to miss it', timeoutMs: 30_000 })
    await s3.restart()
    await fleet.completed(id)
    assert.deepEqual(await fleet.outcomes(id, 'video'), ['0 done', '1 done', '0 done', '1 done'])
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest({ robbed: before })
  })
})
