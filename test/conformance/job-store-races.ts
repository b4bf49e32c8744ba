import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobStore } from '#jobs/job-store.ts'
import { chunksAndPackage, type TestFleet, type TestWorker } from './job-store-fixture.ts'

/** Many at once, through two processes. */
export function raceTests(create: () => Promise<TestFleet>): void {
  test('eight workers that claim and complete at once do each task exactly once', async () => {
    await using fleet = await create()
    const stores = [fleet.store, await fleet.openAnother()]
    const planner = await fleet.worker({ id: 'planner', slots: 6 })
    for (let n = 0; n < 6; n++) await fleet.submit({ tenant: `t${n % 2}` })
    for (const probe of await planner.claim()) await planner.done(probe, { expansion: { plan: {}, tasks: chunksAndPackage(20) } })
    const done: number[] = []
    const work = async (n: number) => {
      const worker = await fleet.worker({ id: `w${n}`, slots: 3 }, storeAt(stores, n))
      for (let misses = 0; misses < 20;) {
        const tasks = await worker.claim(3)
        misses = tasks.length > 0 ? 0 : misses + 1
        const answer = await worker.store.complete(
          tasks.map(({ id, fence }) => ({ ...worker.ref, taskId: id, fence, output: n })),
        )
        assert(answer.verdicts.every((verdict) => verdict === 'done'))
        done.push(...tasks.map(({ id }) => id))
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, n) => work(n)))
    assert.equal(done.length, 6 * 21)
    assert.equal(new Set(done).size, 6 * 21)
    assert.equal((await fleet.store.counts()).jobs.completed, 6)
    for (const node of await fleet.store.listNodes()) assert.equal(node.usedSlots, 0)
  })

  test('a job that is submitted in many places with one idempotency key is one job', async () => {
    await using fleet = await create()
    const stores = [fleet.store, await fleet.openAnother()]
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => storeAt(stores, n).submit(fleet.newJob({ idempotencyKey: 'k' }))),
    )
    assert.equal(answers.filter(({ isNew }) => isNew).length, 1)
    assert.equal(new Set(answers.map(({ job }) => job.id)).size, 1)
    assert.equal((await fleet.store.listJobs({ limit: 20 })).length, 1)
  })

  test('the same completion from many places counts once', async () => {
    await using fleet = await create()
    const other = await fleet.openAnother()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    const { id, fence } = await worker.claimOne()
    const request = { ...worker.ref, taskId: id, fence, output: 1, expansion: { plan: {}, tasks: chunksAndPackage(5) } }
    const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => storeAt([fleet.store, other], n).complete([request])))
    const verdicts = answers.flatMap((answer) => answer.verdicts)
    assert.equal(verdicts.filter((verdict) => verdict === 'done').length, 1)
    assert.equal(verdicts.filter((verdict) => verdict === 'repeated').length, 5)
    assert.equal((await fleet.job(job.id)).taskCount, 7)
  })

  test('a cancel beside claims, completions and failures leaves nothing that waits, and no slot taken', async () => {
    await using fleet = await create()
    const stores = [fleet.store, await fleet.openAnother()]
    const workers = await Promise.all(Array.from({ length: 4 }, (_, n) => fleet.worker({ id: `w${n}` }, storeAt(stores, n))))
    const [planner] = workers
    assert(planner)
    for (let round = 0; round < 8; round++) {
      const job = await fleet.planned(planner, chunksAndPackage(12))
      const work = async (worker: TestWorker, n: number) => {
        for (const task of await worker.claim(4))
          await (n % 2 === 0 ? worker.done(task) : worker.fail(task, { kind: n === 1 ? 'transient' : 'terminal' }))
      }
      await Promise.all([...workers.map(work), storeAt(stores, round).cancel(job.id)])
      for (const worker of workers) await worker.beat()
      const states = Object.values(await fleet.states(job.id))
      assert(
        states.every((state) => ['done', 'canceled', 'failed'].includes(state)),
        states.join(),
      )
      for (const node of await fleet.store.listNodes()) assert.equal(node.usedSlots, 0)
    }
  })

  test('a cancel beside the completion of the probe leaves no task that waits', async () => {
    await using fleet = await create()
    const other = await fleet.openAnother()
    const worker = await fleet.worker()
    for (let round = 0; round < 15; round++) {
      const job = await fleet.submit()
      const probe = await worker.claimOne()
      await Promise.all([worker.done(probe, { expansion: { plan: {}, tasks: chunksAndPackage(10) } }), other.cancel(job.id)])
      assert.equal((await fleet.job(job.id)).state, 'canceled')
      assert(Object.values(await fleet.states(job.id)).every((state) => state !== 'ready' && state !== 'blocked'))
    }
  })

  test('two sweeps at once end each attempt once', async () => {
    await using fleet = await create()
    const other = await fleet.openAnother()
    const workers = await Promise.all(Array.from({ length: 3 }, (_, n) => fleet.worker({ id: `w${n}` })))
    for (let n = 0; n < 12; n++) await fleet.submit()
    for (const worker of workers) await worker.claim()
    await fleet.pass(30_000)
    const [one, two] = await Promise.all([fleet.store.sweep(), other.sweep()])
    assert.equal(one.lost + two.lost, 12)
    assert.equal(one.changes.length + two.changes.length, 12)
  })

  test('a duty that many want is given to one', async () => {
    await using fleet = await create()
    const stores = [fleet.store, await fleet.openAnother()]
    const terms = await Promise.all(
      Array.from({ length: 8 }, (_, n) => storeAt(stores, n).takeDuty({ name: 'sweep', holder: `h${n}`, ttlMs: 10_000 })),
    )
    assert.equal(terms.filter((term) => term === 1).length, 1)
    assert.equal(terms.filter((term) => term === undefined).length, 7)
  })
}

function storeAt(stores: readonly JobStore[], n: number): JobStore {
  const store = stores[n % stores.length]
  assert(store)
  return store
}
