import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { ManualTimers } from '#lib/timers.ts'
import { until } from '../../test/support/until.ts'
import { FixtureLog, makeBatch, makeBatches, silentLog } from './objects/objects.fixture.ts'
import { Retention, type RetentionOptions } from './retention.ts'
import type { TopicConfig } from './topic-config.ts'

const nowMs = 1_000_000_000

type Advance = [partitionId: number, logStart: number, freedBytes: number]

function retentionOf(log: FixtureLog, changes: Partial<RetentionOptions> = {}) {
  const advances: Advance[] = []
  const clock = new ManualClock(nowMs)
  const timers = new ManualTimers(clock)
  const retention = new Retention({
    metadata: log.metadata,
    clock,
    timers,
    log: silentLog,
    intervalMs: 300_000,
    onAdvanced: (partitionId, { logStart, freedBytes }) => advances.push([partitionId, logStart, freedBytes]),
    ...changes,
  })
  return { retention, advances, timers, [Symbol.asyncDispose]: () => retention[Symbol.asyncDispose]() }
}

/** One extent of one batch of ten records for each of these ages. */
async function fill(log: FixtureLog, config: Partial<TopicConfig>, agesMs: readonly number[]) {
  const topic = await log.createTopic('orders', { config })
  for (const [index, ageMs] of agesMs.entries()) {
    // Ten records, one millisecond apart: the newest has that age.
    const timestampMs = ageMs === Infinity ? -1 : nowMs - ageMs - 9
    const records = ageMs === Infinity ? 1 : 10
    const batches = [makeBatch({ baseOffset: index * 10, records, valueBytes: 91, timestampMs })]
    if (records === 1) batches.push(...makeBatches(9, () => ({ timestampMs: -1 }), index * 10 + 1))
    await log.commit([{ topic, batches }])
  }
  const [partition] = (await log.metadata.loadTopics())[0]?.partitions ?? []
  assert(partition)
  return partition
}

const day = 86_400_000
const cases: [string, Partial<TopicConfig>, number[], number][] = [
  ['no limits keep everything', { retentionMs: -1 }, [9 * day, 8 * day], 0],
  ['what is older goes', { retentionMs: day }, [3 * day, 2 * day, day / 2, 0], 20],
  ['to the millisecond', { retentionMs: day }, [day + 1, day, 0], 10],
  ['everything, when it all is old', { retentionMs: day }, [3 * day, 2 * day], 20],
  ['what is behind something newer stays', { retentionMs: day }, [3 * day, 0, 2 * day], 10],
  ['records of the future stay, and what is behind them', { retentionMs: day }, [-9 * day, 3 * day], 0],
  ['records without times go with the next that have some', { retentionMs: day }, [Infinity, 3 * day, Infinity, 0], 20],
  ['records without times alone stay', { retentionMs: day }, [Infinity, Infinity], 0],
  ['retention of 0 keeps nothing that is past', { retentionMs: 0 }, [1, 2], 20],
]
for (const [name, config, agesMs, logStart] of cases) {
  test(`by age: ${name}`, async () => {
    await using log = await FixtureLog.open()
    const { partitionId } = await fill(log, config, agesMs)
    await using at = retentionOf(log)
    const { freedBytes } = await at.retention.runOnce()
    assert.deepEqual(at.advances, logStart === 0 ? [] : [[partitionId, logStart, freedBytes]])
    const [extent] = await log.metadata.findExtents({ partitionId, fromOffset: 0, limit: 1 })
    assert.equal(extent?.baseOffset, logStart < agesMs.length * 10 ? logStart : undefined)
    assert.deepEqual(await at.retention.runOnce(), { partitions: 0, freedBytes: 0, hasMore: false })
  })
}

test('by size: the oldest go while the limit is reached without them', async () => {
  await using log = await FixtureLog.open()
  const { sizeBytes, partitionId } = await fill(log, { retentionMs: -1, retentionBytes: 2500 }, [0, 0, 0, 0])
  const extentBytes = sizeBytes / 4
  assert(extentBytes > 1000 && extentBytes < 1250) // three are above the limit, two are not
  await using at = retentionOf(log)
  assert.deepEqual(await at.retention.runOnce(), { partitions: 1, freedBytes: extentBytes, hasMore: false })
  assert.deepEqual(at.advances, [[partitionId, 10, extentBytes]])
  assert.equal((await at.retention.runOnce()).freedBytes, 0)
})

test('by size: a start that has just moved is not taken for more bytes than there are', async () => {
  await using log = await FixtureLog.open()
  const { sizeBytes, partitionId } = await fill(log, { retentionMs: -1, retentionBytes: 2500 }, [0, 0, 0, 0])
  // Somebody deletes records between the moment the sizes were read and the look at the extents.
  await using at = retentionOf(log, {
    metadata: {
      ...log.metadata,
      async oldestExtents(request) {
        await log.metadata.advanceLogStart({ partitionId, offset: 20, nowMs })
        return await log.metadata.oldestExtents(request)
      },
    },
  })
  await at.retention.runOnce()
  await at.retention.runOnce()
  const [partition] = (await log.metadata.loadTopics())[0]?.partitions ?? []
  assert.deepEqual([partition?.logStart, partition?.sizeBytes], [20, sizeBytes / 2])
})

test('many extents are worked off in bounded rounds, one soon after the other', async () => {
  await using log = await FixtureLog.open()
  const topic = await log.createTopic('orders', { config: { retentionMs: day } })
  for (let object = 0; object < 6; object++) {
    const runs = makeBatches(100, () => ({ timestampMs: 1 }), object * 100).map((batch) => ({ topic, batches: [batch] }))
    await log.commit(runs)
  }
  await using at = retentionOf(log)
  await at.timers.advance(300_000)
  await until(() => at.advances.length === 1)
  await until(() => at.timers.pending === 1)
  await at.timers.advance(1000)
  await until(() => at.advances.length === 2)
  assert.deepEqual(
    at.advances.map(([, logStart]) => logStart),
    [500, 600],
  )
})

test('a database that is away ends the round; the next one comes in time', async () => {
  await using log = await FixtureLog.open()
  await fill(log, { retentionMs: day }, [3 * day, 0])
  let isAway = true
  await using at = retentionOf(log, {
    metadata: {
      ...log.metadata,
      loadTopics: async () => {
        if (isAway) throw new Error('away')
        return await log.metadata.loadTopics()
      },
    },
  })
  await at.timers.advance(300_000)
  await until(() => at.timers.pending === 1)
  isAway = false
  await at.timers.advance(300_000)
  await until(() => at.advances.length === 1)
})
