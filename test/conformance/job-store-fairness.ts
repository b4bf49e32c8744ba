import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policy, type TestFleet } from './job-store-fixture.ts'

/** Between tenants, and for those who wait. */
export function fairnessTests(create: () => Promise<TestFleet>): void {
  test('of two tenants who ask at once each gets every other slot', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 40 })
    for (let n = 0; n < 30; n++) await fleet.submit({ tenant: 'big' })
    for (let n = 0; n < 10; n++) await fleet.submit({ tenant: 'small' })
    assert.equal(await served(fleet, await worker.claim(20), 'small'), 10)
  })

  test('a small tenant that comes late is served beside the big one, not after it', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 100 })
    for (let n = 0; n < 60; n++) await fleet.submit({ tenant: 'big' })
    await worker.claim(20)
    for (let n = 0; n < 10; n++) await fleet.submit({ tenant: 'small' })
    assert((await served(fleet, await worker.claim(22), 'small')) >= 9)
  })

  test('a tenant does not make up for the time when it asked for nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 100 })
    for (let n = 0; n < 40; n++) await fleet.submit({ tenant: 'big' })
    for (const task of await worker.claim()) await worker.done(task)
    for (let n = 0; n < 20; n++) await fleet.submit({ tenant: 'late' })
    for (let n = 0; n < 20; n++) await fleet.submit({ tenant: 'big' })
    assert.equal(await served(fleet, await worker.claim(20), 'late'), 10)
  })

  test('who waits gains rank after rank, and never passes a live job', async () => {
    await using fleet = await create()
    const job = await fleet.submit({ queue: 'batch', priority: 'low' })
    const ranks = []
    for (let n = 0; n < 7; n++) {
      ranks.push((await fleet.task(job.id, 'probe')).rank)
      await fleet.store.age()
      await fleet.pass(policy.ageMs)
      await fleet.store.age()
    }
    assert.deepEqual(ranks, [8, 7, 6, 5, 4, 3, 3])
    const later = await fleet.submit({ queue: 'default', priority: 'high' })
    const live = await fleet.submit({ queue: 'live', priority: 'low' })
    const worker = await fleet.worker()
    assert.deepEqual(
      (await worker.claim()).map(({ jobId }) => jobId),
      [live.id, job.id, later.id],
    )
  })

  test('who has aged is not behind all that the tenants of its new rank have had', async () => {
    await using fleet = await create()
    for (let n = 0; n < 30; n++) await fleet.submit({ queue: 'batch', priority: 'low', tenant: 'a' })
    const last = await fleet.submit({ queue: 'batch', priority: 'low', tenant: 'a', label: 'last' })
    await fleet.pass(policy.ageMs)
    await fleet.store.age()
    for (let n = 0; n < 30; n++) await fleet.submit({ queue: 'batch', priority: 'medium', tenant: 'b' })
    const worker = await fleet.worker({ slots: 100 })
    const claimed = await worker.claim(50)
    assert(claimed.some(({ jobId }) => jobId === last.id))
  })
}

async function served(fleet: TestFleet, tasks: readonly { jobId: string }[], tenant: string): Promise<number> {
  let count = 0
  for (const { jobId } of tasks) if ((await fleet.job(jobId)).tenant === tenant) count += 1
  return count
}
