import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksAndPackage, policy, type TestFleet } from './job-store-fixture.ts'

/** What a failure leads to. */
export function faultTests(create: () => Promise<TestFleet>): void {
  test('a fault is tried again after a while that doubles, up to the limit', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    for (const delayMs of [policy.retryFirstMs, policy.retryFirstMs * 2]) {
      const task = await worker.claimOne()
      assert.equal(await worker.fail(task), true)
      assert.equal(await worker.fail(task), false, 'it is not his any more')
      assert.equal((await fleet.job(job.id)).state, 'retrying')
      assert.deepEqual(await worker.claim(), [])
      await fleet.pass(delayMs * 0.7)
      await worker.register()
      assert.deepEqual(await worker.claim(), [], 'not yet')
      assert.equal((await fleet.store.counts()).readyTasks.default, 0, 'not yet')
      await fleet.pass(delayMs * 0.5)
      await worker.register()
      assert.equal((await fleet.store.counts()).readyTasks.default, 1, 'those who wait are told of it')
    }
    const last = await worker.claimOne()
    assert.deepEqual([last.attempt, last.fence], [3, 3])
    await worker.fail(last, { code: 'SOURCE_UNREACHABLE', message: 'away\0' })
    const over = await fleet.job(job.id)
    assert.deepEqual([over.state, over.errorCode, over.errorMessage], ['failed', 'SOURCE_UNREACHABLE', 'away\uFFFD'])
    assert.deepEqual(await fleet.states(job.id), { probe: 'failed' })
    assert.deepEqual(await fleet.outcomes(job.id), ['probe transient', 'probe transient', 'probe transient'])
    const expected = [
      'queued → assigned',
      'assigned → retrying',
      'retrying → assigned',
      'assigned → retrying',
      'retrying → assigned',
    ]
    assert.deepEqual(worker.changes, [...expected, 'assigned → failed'])
  })

  test('a job in which others still work stays running when one task is tried again', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const [one, two] = await worker.claim()
    assert(one && two)
    await worker.fail(one)
    assert.equal((await fleet.job(job.id)).state, 'running')
    await worker.fail(two)
    assert.equal((await fleet.job(job.id)).state, 'retrying')
  })

  test('what a worker gives back counts as nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    for (let n = 0; n < 5; n++) {
      const task = await worker.claimOne()
      assert.equal(task.attempt, 1)
      await worker.fail(task, { kind: 'released', code: 'SHUTTING_DOWN' })
      assert.equal((await fleet.job(job.id)).state, 'queued')
    }
    assert.deepEqual(new Set(await fleet.outcomes(job.id)), new Set(['probe released']))
  })

  test('a fault for good ends the job: what waits is canceled, what runs is stopped', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 2 })
    const job = await fleet.planned(worker, chunksAndPackage(3))
    const [one, two] = await worker.claim()
    assert(one && two)
    await worker.fail(one, { kind: 'terminal', code: 'UNSUPPORTED', message: 'no' })
    assert.deepEqual(await fleet.states(job.id), {
      probe: 'done',
      'video/720p/0': 'failed',
      'video/720p/1': 'leased',
      'video/720p/2': 'canceled',
      package: 'canceled',
    })
    assert.deepEqual((await worker.beat()).stop, [{ taskId: two.id, fence: two.fence }])
    assert.equal((await fleet.task(job.id, 'video/720p/1')).state, 'canceled')
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.equal(await worker.done(two), 'fenced')
    assert.deepEqual(await worker.claim(), [])
  })

  test('what is completed in a job that is over does not count, and gives its slots back', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const [one, two] = await worker.claim()
    assert(one && two)
    await fleet.store.cancel(job.id)
    assert.equal(await worker.done(one), 'fenced')
    assert.equal(await worker.fail(two), true)
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.deepEqual((await fleet.outcomes(job.id)).slice(1).toSorted(), ['video/720p/0 canceled', 'video/720p/1 transient'])
    assert.deepEqual((await fleet.job(job.id)).doneCount, 1)
  })

  test('a job that asks for what cannot be is rejected', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.fail(await worker.claimOne(), { kind: 'rejected', code: 'UNSUPPORTED', message: 'no video' })
    const over = await fleet.job(job.id)
    assert.deepEqual([over.state, over.errorCode, over.errorMessage], ['rejected', 'UNSUPPORTED', 'no video'])
  })

  test('damaged inputs are made again, and then the task that found out', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(3))
    const chunks = await worker.claim()
    for (const chunk of chunks) await worker.done(chunk)
    const packing = await worker.claimOne()
    const badInputs = [chunks[0]?.id ?? 0, chunks[2]?.id ?? 0]
    await worker.fail(packing, { kind: 'input', code: 'INPUT_DAMAGED', message: 'gone', badInputs })
    const states = { probe: 'done', 'video/720p/0': 'ready', 'video/720p/1': 'done', 'video/720p/2': 'ready', package: 'blocked' }
    assert.deepEqual(await fleet.states(job.id), states)
    const waiting = await fleet.job(job.id)
    assert.deepEqual([waiting.state, waiting.doneCount, waiting.frames], ['retrying', 2, 100])
    assert.equal((await fleet.store.outputsOf(job.id)).length, 2)
    const again = await worker.claim()
    assert.deepEqual(
      again.map(({ chunk, attempt, fence }) => [chunk, attempt, fence]),
      [
        [0, 2, 2],
        [2, 2, 2],
      ],
    )
    for (const chunk of again) await worker.done(chunk)
    const last = await worker.claimOne()
    assert.deepEqual([last.kind, last.attempt], ['package', 1])
    await worker.done(last)
    assert.equal((await fleet.job(job.id)).state, 'completed')
  })

  test('an input that is damaged again and again fails the job', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(1))
    for (let n = 0; n < policy.maxAttempts; n++) {
      const chunk = await worker.claimOne()
      await worker.done(chunk)
      const failure = { kind: 'input', code: 'INPUT_DAMAGED', message: 'gone', badInputs: [chunk.id] } as const
      await worker.fail(await worker.claimOne(), failure)
    }
    const over = await fleet.job(job.id)
    assert.deepEqual([over.state, over.errorCode], ['failed', 'INPUT_DAMAGED'])
    assert.deepEqual(await fleet.states(job.id), { probe: 'done', 'video/720p/0': 'failed', package: 'canceled' })
    assert.equal((await fleet.node('w1')).usedSlots, 0)
  })

  test('inputs that are none of the task count as a fault of the task', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(1))
    const chunk = await worker.claimOne()
    const probe = await fleet.task(job.id, 'probe')
    await worker.fail(chunk, { kind: 'input', code: 'INPUT_DAMAGED', badInputs: [probe.id, chunk.id, 999] })
    assert.deepEqual(await fleet.states(job.id), { probe: 'done', 'video/720p/0': 'ready', package: 'blocked' })
    assert.equal((await fleet.outcomes(job.id)).at(-1), 'video/720p/0 transient')
  })
}
