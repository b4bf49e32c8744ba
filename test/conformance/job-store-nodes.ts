import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksAndPackage, leaseMs, policy, type TestFleet } from './job-store-fixture.ts'

/** Workers that come, go, hang and come back. */
export function nodeTests(create: () => Promise<TestFleet>): void {
  test('a node is listed as it registered, with what it last said', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({
      name: 'n',
      version: '2',
      roles: ['api', 'worker'],
      slots: 3,
      capabilities: ['b', 'a', 'b'],
    })
    const load = { cpuPercent: 12.5, memoryBytes: 2 ** 40, freeDiskBytes: 1 }
    await fleet.store.heartbeat({ ...worker.ref, leaseMs: 60_000, load, held: [] })
    await worker.beat()
    const { registeredAtMs, seenAtMs, leaseUntilMs, ...rest } = await fleet.node('w1')
    assert.deepEqual(rest, {
      id: 'w1',
      name: 'n',
      version: '2',
      roles: ['api', 'worker'],
      state: 'active',
      epoch: 1,
      slots: 3,
      usedSlots: 0,
      liveSlots: 0,
      capabilities: ['b', 'a'],
      load,
    })
    assert(registeredAtMs <= seenAtMs)
    assert.equal(leaseUntilMs, seenAtMs + leaseMs)
  })

  test('a worker that does not renew its lease loses its tasks, at no cost to their attempts', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const other = await fleet.worker({ id: 'w2' })
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const tasks = await worker.claim()
    await fleet.pass(leaseMs - 2000)
    await other.beat()
    assert.deepEqual(await fleet.store.sweep(), { lost: 0, stale: 0, changes: [], readyCount: 0 })
    await fleet.pass(2000)
    const { lost, readyCount, changes } = await fleet.store.sweep()
    assert.deepEqual([lost, readyCount], [2, 2])
    assert.deepEqual(
      changes.map(({ from, to }) => `${from} → ${to}`),
      ['running → queued'],
    )
    assert.equal((await fleet.node('w1')).state, 'lost')
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.deepEqual(await fleet.store.sweep(), { lost: 0, stale: 0, changes: [], readyCount: 0 })
    const again = await other.claim()
    assert.deepEqual(
      again.map(({ id, attempt, fence }) => [id, attempt, fence]),
      tasks.map(({ id }) => [id, 1, 2]),
    )
    // The worker was only away: what it says now does not count.
    const [first] = tasks
    assert(first)
    assert.equal(await worker.done(first), 'fenced')
    assert.equal(await worker.fail(first), false)
    assert.equal((await worker.beat()).isKnown, false)
    assert.equal((await fleet.job(job.id)).state, 'assigned')
  })

  test('a completion that comes after the lease but before the sweep counts', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.submit()
    const task = await worker.claimOne()
    await fleet.pass(leaseMs)
    assert.equal(await worker.done(task), 'done')
    assert.equal((await fleet.store.sweep()).lost, 0)
  })

  test('a task that loses worker after worker is taken for poison', async () => {
    await using fleet = await create()
    const job = await fleet.submit()
    const worker = await fleet.worker()
    for (let n = 1; n < policy.maxLost; n++) {
      await worker.claimOne()
      await fleet.pass(leaseMs)
      assert.equal((await fleet.store.sweep()).lost, 1)
      assert.equal((await fleet.job(job.id)).state, 'queued')
      await worker.register()
    }
    await worker.claimOne()
    await worker.register()
    const over = await fleet.job(job.id)
    assert.deepEqual([over.state, over.errorCode], ['failed', 'TIMEOUT'])
    assert.match(over.errorMessage ?? '', /probe.*lost/)
    assert.deepEqual(await fleet.outcomes(job.id), ['probe lost', 'probe lost', 'probe lost'])
  })

  test('a worker that starts again has another epoch, and its tasks go back at once', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.submit()
    const before = await worker.claimOne()
    const epoch = worker.epoch
    await worker.register()
    assert.equal(worker.epoch, epoch + 1)
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.equal(await worker.done(before), 'fenced')
    const task = await worker.claimOne()
    assert.deepEqual([task.id, task.fence, task.attempt], [before.id, 2, 1])
    const old = { nodeId: 'w1', epoch }
    assert.equal((await fleet.store.claim({ ...old, max: 1 })).isKnown, false)
    assert.equal((await fleet.store.heartbeat({ ...old, leaseMs, load: undefined, held: [] })).isKnown, false)
    assert.equal((await fleet.node('w1')).usedSlots, 1)
  })

  test('a node that drains does so over a restart, and is active again after it was lost', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.store.setNodeState('w1', 'draining')
    await worker.register()
    assert.equal((await fleet.node('w1')).state, 'draining')
    await fleet.pass(leaseMs)
    await fleet.store.sweep()
    assert.equal((await fleet.store.setNodeState('w1', 'active'))?.state, 'lost')
    await worker.register()
    assert.equal((await fleet.node('w1')).state, 'active')
  })

  test('frames that stand still end the attempt, and the healthy worker gets its slots back', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const live = await fleet.submit({ queue: 'live' })
    const task = await worker.claimOne()
    const beat = async (frames: number) => {
      await fleet.pass(leaseMs - 5000)
      await worker.progress(task, frames)
    }
    await beat(10)
    await beat(20)
    await beat(20)
    assert.equal((await fleet.store.sweep()).stale, 0)
    await beat(20)
    await beat(20)
    const { stale } = await fleet.store.sweep()
    assert.equal(stale, 1)
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.equal((await fleet.job(live.id)).state, 'retrying')
    assert.deepEqual((await worker.beat()).stop, [{ taskId: task.id, fence: task.fence }])
    assert.equal((await fleet.task(live.id, 'probe')).attempt, 1)
  })

  test('a task whose claim was never answered goes back after a while, and counts as nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    const task = await worker.claimOne()
    worker.held.clear()
    await worker.beat()
    assert.equal((await fleet.task(job.id, 'probe')).state, 'leased')
    await fleet.pass(policy.unheldMs)
    const answer = await worker.beat()
    assert.deepEqual([answer.readyCount, answer.changes.length], [1, 1])
    assert.equal((await fleet.job(job.id)).state, 'queued')
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.equal(await worker.done(task), 'fenced')
    assert.deepEqual((await worker.claimOne()).attempt, 1)
  })

  test('a task that the worker has is not taken back, however long its lease was', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.claimOne()
    for (let n = 0; n < 3; n++) {
      await fleet.pass(policy.unheldMs)
      await worker.beat()
    }
    assert.equal((await fleet.task(job.id, 'probe')).state, 'leased')
    assert.equal((await fleet.job(job.id)).state, 'running')
  })

  test('a worker is told to stop what it has no claim to', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.submit()
    const task = await worker.claimOne()
    const held = [
      { taskId: task.id, fence: task.fence + 1, frames: 0, speed: 0 },
      { taskId: 999, fence: 1, frames: 0, speed: 0 },
    ]
    const { stop, isKnown } = await worker.beat(held)
    assert.deepEqual([isKnown, stop], [true, held.map(({ taskId, fence }) => ({ taskId, fence }))])
  })

  test('a node is removed when it is lost or has nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.claimOne()
    assert.equal(await fleet.store.removeNode('w1'), false)
    await fleet.pass(leaseMs)
    await fleet.store.sweep()
    assert.equal(await fleet.store.removeNode('w1'), true)
    assert.deepEqual(await fleet.store.listNodes(), [])
    assert.equal((await worker.beat()).isKnown, false)
    await worker.register()
    assert.equal(worker.epoch, 1)
    assert.equal((await worker.claimOne()).jobId, job.id)
    await worker.done({ id: (await fleet.task(job.id, 'probe')).id, fence: 2 })
    assert.equal(await fleet.store.removeNode('w1'), true)
  })

  test('leases that ran out while the database was away begin anew', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    const task = await worker.claimOne()
    await fleet.pass(policy.staleMs.default + leaseMs)
    await fleet.store.forgiveOutage(leaseMs)
    assert.deepEqual(await fleet.store.sweep(), { lost: 0, stale: 0, changes: [], readyCount: 0 })
    assert.equal((await worker.beat([])).isKnown, true)
    assert.equal((await fleet.task(job.id, 'probe')).state, 'leased')
    assert.equal(await worker.done(task), 'done')
    // Who is really gone is lost one lease later.
    await fleet.pass(leaseMs)
    await fleet.store.sweep()
    assert.equal((await fleet.node('w1')).state, 'lost')
  })

  test('leases that have a moment left when the database is back begin anew, too', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.pass(leaseMs * 0.8)
    await fleet.store.forgiveOutage(leaseMs)
    await fleet.pass(leaseMs * 0.8)
    await fleet.store.sweep()
    assert.equal((await worker.beat([])).isKnown, true)
    assert.equal((await fleet.node('w1')).state, 'active')
  })
}
