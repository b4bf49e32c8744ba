import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { openDatabase } from '#store/sql/database.ts'
import { until } from '../../../test/support/until.ts'
import type { JobStore } from '../job-store.ts'
import { Outages } from './outages.ts'
import { silentLog, testPolicy } from './scheduler.fixture.ts'
import { sqlJobStore } from '../sql/sql-job-store.ts'

/** Long enough for a busy machine to be heard in once it is forgiven. */
const leaseMs = 2000

/** A worker that was not heard for half a lease; its own has run out, and nobody has looked since. */
async function expired() {
  const database = await openDatabase({ url: 'sqlite::memory:', log: silentLog })
  const store = sqlJobStore(database, testPolicy)
  const facts = { id: 'a', name: 'a', version: '1', roles: ['worker'], slots: 1, liveReserve: 0, capabilities: [] }
  const { epoch } = await store.registerNode({ ...facts, leaseMs: 1 })
  const [node] = await store.listNodes()
  await until(async () => (await store.nowMs()) > (node?.seenAtMs ?? Infinity) + leaseMs / 2)
  return { store, epoch, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

function beat(store: JobStore, epoch: number) {
  return store.heartbeat({ nodeId: 'a', epoch, leaseMs, load: undefined, held: [] })
}

test('after a start, workers whose leases ran out while nobody heard them are still known', async () => {
  await using fleet = await expired()
  const outages = new Outages({ store: fleet.store, leaseMs, clock: new ManualClock() })
  assert.equal((await outages.guard(() => beat(fleet.store, fleet.epoch))).isKnown, true)
})

test('a worker that is lost while others are heard stays lost', async () => {
  await using fleet = await expired()
  const other = { id: 'b', name: 'b', version: '1', roles: ['worker'], slots: 1, liveReserve: 0, capabilities: [] }
  await fleet.store.registerNode({ ...other, leaseMs: 60_000 })
  const outages = new Outages({ store: fleet.store, leaseMs: 60_000, clock: new ManualClock() })
  assert.equal((await outages.guard(() => beat(fleet.store, fleet.epoch))).isKnown, false)
})

for (const [much, lengthMs] of [
  ['longer than', leaseMs * 2],
  ['nearly as long as', leaseMs * 0.8],
] as const) {
  test(`a database that was away for ${much} a lease costs no worker its tasks`, () => checkOutage(lengthMs))
}

async function checkOutage(lengthMs: number): Promise<void> {
  await using fleet = await expired()
  const clock = new ManualClock()
  const outages = new Outages({ store: fleet.store, leaseMs, clock })
  // Another worker is heard, so the start alone is no reason.
  const other = { id: 'b', name: 'b', version: '1', roles: ['worker'], slots: 1, liveReserve: 0, capabilities: [] }
  await fleet.store.registerNode({ ...other, leaseMs: 60_000 })
  await outages.guard(async () => {})
  clock.advance(lengthMs / 2)
  const away = () => Promise.reject(new Error('away'))
  await assert.rejects(outages.guard(away))
  clock.advance(lengthMs / 2)
  assert.equal((await outages.guard(() => beat(fleet.store, fleet.epoch))).isKnown, true)
}

test('many that come at once after an outage forgive it once', async () => {
  await using fleet = await expired()
  let count = 0
  const store = {
    forgiveOutage: async (ms: number) => {
      count += 1
      await fleet.store.forgiveOutage(ms)
    },
    listNodes: () => fleet.store.listNodes(),
    nowMs: () => fleet.store.nowMs(),
  }
  const outages = new Outages({ store, leaseMs, clock: new ManualClock() })
  const answers = await Promise.all([1, 2, 3].map(() => outages.guard(() => beat(fleet.store, fleet.epoch))))
  assert.deepEqual(
    answers.map(({ isKnown }) => isKnown),
    [true, true, true],
  )
  assert.equal(count, 1)
})
