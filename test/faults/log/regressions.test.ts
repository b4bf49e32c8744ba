import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogAgent } from '#eventlog/agent.ts'
import { AppError } from '#lib/errors.ts'
import { Rig } from './rig.ts'

// What the simulation has found, as scenes.

/** For four batches in memory; those behind them are on the disk only. */
const littleMemory = { memoryBytes: 4000, objectMilliseconds: 60_000, walSegmentBytes: 8192 }
const names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight']

/** Each batch on its way in an object of its own. */
async function sendApart(rig: Rig, agent: LogAgent): Promise<void> {
  for (const name of names) {
    await rig.send(agent, name, { valueBytes: 1000 })
    void agent.flush()
    await rig.sleep(10)
  }
}

for (let seed = 1; seed <= 10; seed++) {
  test(`a reader whose batches leave memory while it reads one back from the disk is shown no hole (${seed})`, async () => {
    await using rig = await Rig.create(seed)
    const agent = await rig.start({ ...littleMemory, cacheBytes: 0 })
    await rig.createTopic(agent)
    rig.world.store.failing = 1
    await sendApart(rig, agent)
    const { id } = agent.topics.get('events').partition(0)
    rig.world.diskMs = 30_000
    rig.world.store.failing = 0
    for (let attempt = 0; attempt < 5; attempt++) {
      const partitions = [{ topic: 'events', partition: 0, offset: 0, maxBytes: 100_000 }]
      const [fetched] = await rig.do(agent.fetch({ partitions, maxBytes: 100_000, minBytes: 0, maxWaitMs: 0 }))
      assert.ok(fetched)
      rig.world.model.shown(rig.world.model.partition(id), 0, fetched)
    }
    assert.deepEqual(await rig.read(agent), names)
  })
}

test('a topic whose maker never had an answer can be used', async () => {
  await using rig = await Rig.create(2)
  const agent = await rig.start()
  rig.world.sql.losing = 1
  await rig.refuses('DATABASE_UNAVAILABLE', agent.topics.create({ name: 'events' }))
  rig.world.sql.losing = 0
  await rig.refuses('TOPIC_EXISTS', agent.topics.create({ name: 'events' }))
  await rig.send(agent, 'one')
  assert.equal((await rig.do(agent.topics.ensure({ name: 'events' }))).name, 'events')
})

test('partitions that were added without an answer can be added again', async () => {
  await using rig = await Rig.create(3)
  const agent = await rig.start()
  await rig.createTopic(agent)
  rig.world.sql.losing = 1
  await rig.refuses('DATABASE_UNAVAILABLE', agent.topics.addPartitions('events', 3))
  rig.world.sql.losing = 0
  const { partitions } = await rig.do(agent.topics.addPartitions('events', 3))
  assert.deepEqual(
    partitions.map(({ index, isOwned }) => [index, isOwned]),
    [
      [0, true],
      [1, true],
      [2, true],
    ],
  )
})

test('what was shown from the disk stays shown when the topic turns to the object store, also across a crash', async () => {
  await using rig = await Rig.create(4)
  const before = await rig.start({ objectMilliseconds: 60_000 })
  await rig.createTopic(before)
  await rig.send(before, 'one')
  rig.world.store.failing = 1
  before.topics.configure('events', { durability: 'object' }).catch(() => undefined)
  await rig.sleep(1000)
  rig.crash('kill')
  const again = await rig.start()
  assert.deepEqual(await rig.read(again), ['one'])
  rig.world.store.failing = 0
  await rig.do(again.topics.configure('events', { durability: 'object' }))
  assert.equal(again.topics.get('events').partition(0).committedEnd, 1)
})

test('a time is looked up among what is left of an extent', async () => {
  await using rig = await Rig.create(5)
  const agent = await rig.start({ cacheBytes: 0 })
  await rig.createTopic(agent)
  const startMs = rig.world.time.nowMs()
  for (const name of ['one', 'two', 'three']) await rig.send(agent, name)
  await rig.do(agent.flush())
  rig.world.model.partition(agent.topics.get('events').partition(0).id).deletableEnd = 1
  await rig.do(agent.deleteRecords({ topic: 'events', partition: 0 }, 1))
  const { offset } = await rig.do(agent.findOffset({ topic: 'events', partition: 0 }, startMs))
  assert.equal(offset, 1)
})

test('a deleted topic whose batches are on the disk only does not keep others from the object store', async () => {
  await using rig = await Rig.create(6)
  const agent = await rig.start(littleMemory)
  await rig.createTopic(agent)
  await rig.createTopic(agent, {}, 'other')
  rig.world.store.failing = 1
  await sendApart(rig, agent)
  await rig.do(agent.topics.delete('events'))
  rig.world.store.failing = 0
  await rig.send(agent, 'nine', { topic: 'other', ack: 'object' })
  assert.equal(agent.stats.waitingMemoryBytes, 0)
})

test('what appears while a fetch looks is not slept through', async () => {
  await using rig = await Rig.create(7)
  const agent = await rig.start({ cacheBytes: 0 })
  await rig.createTopic(agent)
  await rig.createTopic(agent, {}, 'other')
  await rig.send(agent, 'one', { topic: 'other', ack: 'object' })
  rig.world.store.latencyMs = 1000
  const partitions = ['events', 'other'].map((topic) => ({ topic, partition: 0, offset: 0, maxBytes: 1000 }))
  const startedMs = rig.world.time.monotonicMs()
  const fetching = agent.fetch({ partitions, maxBytes: 100_000, minBytes: 150, maxWaitMs: 50_000 })
  await rig.send(agent, 'two')
  const fetched = await rig.do(fetching)
  assert.deepEqual(
    fetched.map(({ batches }) => batches.length),
    [1, 1],
  )
  assert.ok(rig.world.time.monotonicMs() - startedMs < 20_000)
})

test('a start that fails leaves nothing behind that goes on', async () => {
  await using rig = await Rig.create(8)
  const before = await rig.start({ objectMilliseconds: 60_000 })
  await rig.createTopic(before)
  await rig.send(before, 'one')
  rig.crash('kill')
  rig.world.start(rig.machine)
  rig.world.store.failing = 1
  rig.world.onRequest = (name) => {
    if (name === 'loadGroups') rig.world.sql.failing = 1
  }
  await rig.refuses('DATABASE_UNAVAILABLE', rig.world.open(rig.machine))
  await rig.sleep(5000)
  let requests = 0
  rig.world.onRequest = () => {
    requests += 1
  }
  await rig.sleep(60_000)
  assert.equal(requests, 0)
  Object.assign(rig.world.sql, { failing: 0 })
  rig.world.store.failing = 0
  const again = await rig.do(rig.world.open(rig.machine))
  assert.deepEqual(await rig.read(again), ['one'])
})

test('a batch that has its place is not refused for want of room when it comes again', async () => {
  await using rig = await Rig.create(4)
  const agent = await rig.start({ ...littleMemory, objectMilliseconds: 1000 })
  await rig.createTopic(agent)
  rig.world.store.failing = 1
  const producer = { id: 5, epoch: 0, baseSequence: 0 }
  await rig.refuses('TIMEOUT', rig.append(agent, 'first', { ack: 'object', producer, timeoutMs: 100 }))
  await assert.rejects(async () => {
    for (let count = 0; count < 100; count++) await rig.send(agent, `other ${count}`)
  }, isFull)
  await rig.refuses('TIMEOUT', rig.append(agent, 'first', { ack: 'object', producer, timeoutMs: 100 }))
  rig.world.store.failing = 0
  const { baseOffset, isDuplicate } = await rig.send(agent, 'first', { ack: 'object', producer })
  assert.deepEqual([baseOffset, isDuplicate], [0, true])
})

function isFull(error: unknown): boolean {
  return error instanceof AppError && error.code === 'LOG_UNAVAILABLE'
}
