import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { ManualTimers } from '#lib/timers.ts'
import { until } from '../../test/support/until.ts'
import { Collector, type CollectorOptions } from './collector.ts'
import { FixtureLog, makeBatches, silentLog } from './objects/objects.fixture.ts'

const startMs = 1_000_000_000
const minute = 60_000
const hour = 60 * minute

function collectorOf(log: FixtureLog, changes: Partial<CollectorOptions> = {}) {
  const clock = new ManualClock(startMs)
  const timers = new ManualTimers(clock)
  const { metadata, objects } = log
  const collector = new Collector({
    metadata,
    objects,
    clock,
    timers,
    random: () => 1,
    log: silentLog,
    intervalMs: minute,
    ...changes,
  })
  return { collector, clock, timers, [Symbol.asyncDispose]: () => collector[Symbol.asyncDispose]() }
}

async function keysOf(log: FixtureLog): Promise<string[]> {
  return (await log.objects.list()).objects.map(({ key }) => key)
}

test('an object that was never committed is given up after a day, and deleted after the grace', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  const upload = await log.upload([{ topic, batches: makeBatches(1, () => ({})) }], startMs)
  await using at = collectorOf(log)
  const steps: [number, number, number][] = [
    [24 * hour, 0, 0],
    [1, 1, 0],
    [10 * minute, 0, 0],
    [1, 0, 1],
    [hour, 0, 0],
  ]
  for (const [passMs, abandoned, deleted] of steps) {
    at.clock.advance(passMs)
    assert.deepEqual(await at.collector.runOnce(), { abandoned, deleted, hasMore: false })
    assert.equal((await keysOf(log)).length, at.clock.nowMs() > startMs + 24 * hour + 10 * minute + 1 ? 0 : 1)
  }
  // A commit that comes late is refused, also when the object is forgotten.
  const commit = {
    agentId: log.agentId,
    objectId: upload.id,
    sizeBytes: 1,
    runs: upload.encoded.runs,
    producers: [],
    nowMs: startMs,
  }
  assert.deepEqual(await log.metadata.commitObject(commit), { kind: 'refused' })
})

test('what retention has emptied goes after the grace, what is in use stays', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  await log.commit([{ topic, batches: makeBatches(10, () => ({})) }], { nowMs: startMs })
  const kept = await log.commit([{ topic, batches: makeBatches(10, () => ({}), 10) }], { nowMs: startMs })
  await log.metadata.advanceLogStart({ partitionId: topic.partitions[0]?.partitionId ?? 0, offset: 10, nowMs: startMs })
  await using at = collectorOf(log)
  at.clock.advance(10 * minute)
  assert.equal((await at.collector.runOnce()).deleted, 0)
  at.clock.advance(1)
  assert.equal((await at.collector.runOnce()).deleted, 1)
  at.clock.advance(1000 * hour)
  await at.collector.runOnce()
  assert.deepEqual(await keysOf(log), [kept.key])
})

test('more than one step is worked off in one round', async () => {
  await using log = await FixtureLog.open()
  const objects = Array.from({ length: 450 }, (_, index) => ({ id: `id${index}`, key: `data/v1/00/a/id${index}.log` }))
  await log.metadata.reserveObjects({ agentId: log.agentId, objects, nowMs: startMs })
  await using at = collectorOf(log)
  at.clock.advance(25 * hour)
  assert.equal((await at.collector.runOnce()).abandoned, 450)
  at.clock.advance(hour)
  assert.deepEqual(await at.collector.runOnce(), { abandoned: 0, deleted: 450, hasMore: false })
  assert.deepEqual(await log.metadata.findDeletable({ deletingBeforeMs: Infinity, limit: 1 }), [])
})

test('objects that the store does not delete stay known and are tried again, later each time; others are deleted meanwhile', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders')
  const stuck = await log.upload([{ topic, batches: makeBatches(1, () => ({})) }], startMs - 48 * hour)
  await log.upload([{ topic, batches: makeBatches(1, () => ({})) }], startMs - 48 * hour)
  const tries: number[] = []
  let isAway = true
  await using at = collectorOf(log, {
    graceMs: 0,
    objects: {
      delete: async (key) => {
        if (key === stuck.key) tries.push(at.clock.nowMs() - startMs)
        if (isAway && key === stuck.key) throw new Error('access denied')
        await log.objects.delete(key)
      },
    },
  })
  const goOn = async (ms: number, count: number) => {
    await at.timers.advance(ms)
    await until(() => tries.length === count && at.timers.pending === 1, { what: `${count} tries` })
  }
  await at.timers.advance(minute)
  await until(() => at.timers.pending === 1)
  await goOn(minute, 1)
  assert.deepEqual(await keysOf(log), [stuck.key])
  await goOn(1000, 2)
  await goOn(2000, 3)
  await goOn(4000, 4)
  assert.deepEqual(
    tries.map((at) => at / 1000),
    [120, 121, 123, 127],
  )
  isAway = false
  await goOn(8000, 5)
  assert.deepEqual(await keysOf(log), [])
  assert.deepEqual(await log.metadata.findDeletable({ deletingBeforeMs: Infinity, limit: 1 }), [])
})

test('a store that is away is not asked for each object', async () => {
  await using log = await FixtureLog.open()
  const objects = Array.from({ length: 200 }, (_, index) => ({ id: `id${index}`, key: `data/v1/00/a/id${index}.log` }))
  await log.metadata.reserveObjects({ agentId: log.agentId, objects, nowMs: startMs })
  let asked = 0
  const deletes = { delete: async (key: string) => ((asked += 1), await log.objects.delete(key)) }
  await using at = collectorOf(log, { objects: deletes })
  at.clock.advance(25 * hour)
  await at.collector.runOnce()
  at.clock.advance(hour)
  await rename(log.path, `${log.path}.unmounted`)
  const { failure, deleted } = await at.collector.runOnce()
  assert.deepEqual([failure?.code, deleted], ['OBJECTS_UNAVAILABLE', 0])
  assert(asked < 40, `${asked} deletes`)
  await rename(`${log.path}.unmounted`, log.path)
  assert.equal((await at.collector.runOnce()).deleted, 200)
})
