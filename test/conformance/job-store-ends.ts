import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksAndPackage, type TestFleet } from './job-store-fixture.ts'

/** Ends from outside, and new beginnings. */
export function endTests(create: () => Promise<TestFleet>): void {
  test('a queued job is canceled at once', async () => {
    await using fleet = await create()
    const job = await fleet.submit()
    const answer = await fleet.store.cancel(job.id)
    assert.deepEqual(
      answer.changes.map(({ from, to }) => `${from} → ${to}`),
      ['queued → canceled'],
    )
    assert.deepEqual([answer.job?.state, answer.job?.isCancelRequested], ['canceled', true])
    assert.deepEqual(await fleet.states(job.id), { probe: 'canceled' })
    assert.deepEqual((await fleet.store.cancel(job.id)).changes, [])
    const worker = await fleet.worker()
    assert.deepEqual(await worker.claim(), [])
  })

  test('a running job is canceled at once, and its worker stops with the next heartbeat', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 2 })
    const job = await fleet.planned(worker, chunksAndPackage(3))
    const tasks = await worker.claim()
    await worker.progress(tasks[0] ?? { id: 0 }, 50)
    const answer = await fleet.store.cancel(job.id)
    assert.equal(answer.job?.state, 'canceled')
    assert.deepEqual(await fleet.states(job.id), {
      probe: 'done',
      'video/720p/0': 'leased',
      'video/720p/1': 'leased',
      'video/720p/2': 'canceled',
      package: 'canceled',
    })
    assert.deepEqual(
      (await worker.beat()).stop,
      tasks.map(({ id, fence }) => ({ taskId: id, fence })),
    )
    assert.deepEqual((await worker.beat()).stop, [])
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.deepEqual(new Set(Object.values(await fleet.states(job.id))), new Set(['done', 'canceled']))
    assert.deepEqual((await fleet.outcomes(job.id)).slice(1), ['video/720p/0 canceled', 'video/720p/1 canceled'])
  })

  test('a job that waits for its next try is canceled', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.fail(await worker.claimOne())
    assert.equal((await fleet.store.cancel(job.id)).job?.state, 'canceled')
    await fleet.pass(20_000)
    assert.deepEqual(await worker.claim(), [])
  })

  test('a job that is over stays as it is', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.done(await worker.claimOne())
    const answer = await fleet.store.cancel(job.id)
    assert.deepEqual([answer.job?.state, answer.job?.isCancelRequested, answer.changes], ['completed', false, []])
  })

  test('a deadline ends a job whatever its state, and what its worker does then does not count', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 1 })
    const running = await fleet.submit({ deadlineMs: 10_000 })
    const waiting = await fleet.submit({ deadlineMs: 10_000 })
    const patient = await fleet.submit({ deadlineMs: 100_000 })
    const task = await worker.claimOne()
    assert.deepEqual((await fleet.store.sweep()).changes, [])
    await fleet.pass(10_000)
    const { changes } = await fleet.store.sweep()
    assert.deepEqual(changes.map(({ jobId, from, to }) => `${jobId} ${from} → ${to}`).toSorted(), [
      `${running.id} assigned → timed_out`,
      `${waiting.id} queued → timed_out`,
    ])
    assert.deepEqual([(await fleet.job(running.id)).errorCode, (await fleet.job(patient.id)).state], ['TIMEOUT', 'queued'])
    assert.equal(await worker.done(task), 'fenced')
    assert.deepEqual(
      (await worker.claim()).map(({ jobId }) => jobId),
      [patient.id],
    )
  })

  test('another generation keeps what is done and tries the rest', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(3), { deadlineMs: 60_000 })
    const [one, two, three] = await worker.claim()
    assert(one && two && three)
    await worker.done(one)
    await worker.fail(two, { kind: 'terminal' })
    assert.equal((await fleet.store.retry('none')).job, undefined)
    const answer = await fleet.store.retry(job.id)
    assert.equal(answer.readyCount, 2)
    assert.deepEqual(
      answer.changes.map(({ from, to }) => `${from} → ${to}`),
      ['failed → queued'],
    )
    const again = await fleet.job(job.id)
    assert.deepEqual(answer.job, again)
    assert.deepEqual(
      [again.state, again.generation, again.errorCode, again.doneCount, again.frames, again.finishedAtMs],
      ['queued', 2, undefined, 2, 100, undefined],
    )
    assert((again.deadlineAtMs ?? 0) >= (job.deadlineAtMs ?? 0))
    assert.deepEqual(await fleet.states(job.id), {
      probe: 'done',
      'video/720p/0': 'done',
      'video/720p/1': 'ready',
      'video/720p/2': 'ready',
      package: 'blocked',
    })
    assert.equal((await fleet.store.retry(job.id)).job, undefined, 'it is not over')
    // The third was with the worker all the time: it is another attempt now.
    assert.deepEqual((await worker.beat()).stop, [{ taskId: three.id, fence: three.fence }])
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    for (const task of await worker.claim()) {
      assert.equal(task.attempt, 1)
      await worker.done(task)
    }
    await worker.done(await worker.claimOne(), { result: 1 })
    assert.equal((await fleet.job(job.id)).state, 'completed')
    assert.equal((await fleet.store.retry(job.id)).job, undefined, 'it is completed')
  })

  test('a canceled and a rejected job can be tried again', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await fleet.store.cancel(job.id)
    assert.deepEqual([(await fleet.store.retry(job.id)).job?.isCancelRequested], [false])
    await worker.fail(await worker.claimOne(), { kind: 'rejected' })
    assert.equal((await fleet.store.retry(job.id)).job?.generation, 3)
    await worker.done(await worker.claimOne())
    assert.equal((await fleet.job(job.id)).state, 'completed')
  })

  test('another generation of a job whose files were removed makes them again', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const [one, two] = await worker.claim()
    assert(one && two)
    await worker.done(one)
    await worker.fail(two, { kind: 'terminal' })
    await fleet.pass(3_600_000)
    await worker.register()
    assert.deepEqual(
      (await fleet.store.findUncleaned(9)).map(({ id }) => id),
      [job.id],
    )
    assert.equal((await fleet.store.retry(job.id)).readyCount, 2)
    // Whoever cleaned the generation before says so too late.
    await fleet.store.markCleaned([job.id])
    assert.deepEqual([(await fleet.job(job.id)).doneCount, (await fleet.job(job.id)).frames], [1, 0])
    assert.deepEqual(await fleet.states(job.id), {
      probe: 'done',
      'video/720p/0': 'ready',
      'video/720p/1': 'ready',
      package: 'blocked',
    })
    for (let n = 0; n < 3; n++) await worker.done(await worker.claimOne())
    assert.equal((await fleet.job(job.id)).state, 'completed')
    assert.deepEqual(
      (await fleet.store.findUncleaned(9)).map(({ id }) => id),
      [job.id],
    )
  })

  test('a duty has one holder, whose term changes with it', async () => {
    await using fleet = await create()
    const take = (holder: string) => fleet.store.takeDuty({ name: 'sweep', holder, ttlMs: 10_000 })
    assert.equal(await take('a'), 1)
    assert.equal(await take('b'), undefined)
    await fleet.pass(6000)
    assert.equal(await take('a'), 1)
    await fleet.pass(6000)
    assert.equal(await take('b'), undefined)
    await fleet.pass(4001)
    assert.equal(await take('b'), 2)
    assert.equal(await take('a'), undefined)
    assert.equal(await fleet.store.takeDuty({ name: 'other', holder: 'a', ttlMs: 10_000 }), 1)
  })
}
