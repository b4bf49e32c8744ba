import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { showOutputOnFailure } from '../support/program.ts'
import { codecProcessesOf, untilGone } from './jobs/codec-processes.ts'
import { JobFleet } from './jobs/job-fleet.ts'

/** Phases of a job, each in the middle of which it is canceled. */
const kinds = ['probe', 'video', 'audio', 'package'] as const

suite('jobs that are canceled', () => {
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

  const checkNobodyWorks = async (): Promise<void> => {
    await fleet.checkAtRest()
    const { pid = 0 } = fleet.workers.get('a')?.process ?? {}
    assert.deepEqual(await codecProcessesOf(pid), [])
  }

  for (const kind of kinds) {
    test(`in ${kind}: no process and no object is left`, async (t) => {
      showOutputOnFailure(t, fleet)
      const { id } = await fleet.submit()
      const { pid, thaw } = await fleet.catchCodec(id, kind)
      assert.equal((await fleet.api.cancel(id)).state, 'canceled')
      thaw()
      await untilGone([pid])
      await checkNobodyWorks()
      await fleet.clean()
      assert.deepEqual(await fleet.objectsOf(id), [])
    })
  }

  test('a codec process that hears nothing is ended all the same', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { pid } = await fleet.catchCodec(id, 'video')
    await fleet.api.cancel(id)
    await untilGone([pid])
    await checkNobodyWorks()
  })

  test('a job that waits for a worker is over at once', async (t) => {
    showOutputOnFailure(t, fleet)
    await fleet.setState('a', 'draining')
    const { id } = await fleet.submit()
    assert.equal((await fleet.api.cancel(id)).state, 'canceled')
    assert.deepEqual(await fleet.attempts(id), [])
    await fleet.setState('a', 'active')
    await fleet.checkAtRest()
  })

  test('a retry after the cleaning makes all chunks again', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'audio')
    await fleet.api.cancel(id)
    thaw()
    await fleet.checkAtRest()
    await fleet.clean()
    await fleet.api.retry(id)
    const { generation } = await fleet.completed(id)
    assert.equal(generation, 2)
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
  })

  test('a retry before the cleaning keeps the chunks that are finished', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'audio')
    await fleet.api.cancel(id)
    thaw()
    await fleet.checkAtRest()
    const kept = (await fleet.store.listTasks(id)).filter(({ state }) => state === 'done')
    assert.ok(kept.filter(({ kind }) => kind === 'video').length > 0)
    await fleet.api.retry(id)
    await fleet.completed(id)
    for (const before of kept) {
      const { fence, finishedAtMs, output } = await fleet.task(id, before)
      assert.deepEqual([fence, finishedAtMs, output], [before.fence, before.finishedAtMs, before.output])
    }
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
  })
})
