import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, config, nowMs, runOf, type TestLog } from './log-metadata-fixture.ts'

/** Agents, topics, and who owns their partitions. */
export function topicTests(create: () => Promise<TestLog>): void {
  test('an agent keeps its id by its WAL, and each registration begins a new epoch', async () => {
    await using log = await create()
    const first = await log.metadata.registerAgent({ walId: 'wal-a', nowMs })
    const again = await log.metadata.registerAgent({ walId: 'wal-a', nowMs: nowMs + 1 })
    const other = await log.metadata.registerAgent({ walId: 'wal-b', nowMs })
    assert.deepEqual([first.epoch, again.epoch, other.epoch], [1, 2, 1])
    assert.equal(again.agentId, first.agentId)
    assert.notEqual(other.agentId, first.agentId)
  })

  test('a topic comes back with its settings and partitions', async () => {
    await using log = await create()
    const settings = { ...config, durability: 'object', retentionMs: -1, timestampType: 'LogAppendTime' } as const
    const id = crypto.randomUUID()
    const topic = await log.metadata.createTopic({ id, name: 'orders.v1', config: settings, partitionCount: 3, nowMs })
    const { partitions, ...rest } = topic
    assert.deepEqual(rest, { id, name: 'orders.v1', config: settings, createdAtMs: nowMs })
    const empty = { owner: null, epoch: 0, dirtyWal: null, offsetCeiling: 0, nextOffset: 0, logStart: 0, sizeBytes: 0 }
    const ids = partitions.map(({ partitionId }) => partitionId)
    assert.equal(new Set(ids).size, 3)
    assert.deepEqual(
      partitions,
      ids.map((partitionId, index) => ({ partitionId, topicId: id, index, ...empty })),
    )
    assert.deepEqual(await log.metadata.loadTopics(), [topic])
  })

  test('topics come in order of their names, partitions in order of their numbers', async () => {
    await using log = await create()
    for (const name of ['b', 'B', 'a.b', 'a-b', 'a']) await log.createTopic(name, 12)
    const topics = await log.metadata.loadTopics()
    assert.deepEqual(
      topics.map((topic) => topic.name),
      ['B', 'a', 'a-b', 'a.b', 'b'],
    )
    for (const { partitions } of topics) {
      assert.deepEqual(
        partitions.map((partition) => partition.index),
        Array.from({ length: 12 }, (_, index) => index),
      )
    }
  })

  test('a name is taken once; the same topic asked for again is the one that is there', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders', 2)
    await assert.rejects(log.createTopic('orders'), { code: 'TOPIC_EXISTS', message: /"orders"/ })
    const again = await log.metadata.createTopic({ id: topic.id, name: 'orders', config, partitionCount: 2, nowMs })
    assert.deepEqual(again, topic)
    const renamed = log.metadata.createTopic({ id: topic.id, name: 'other', config, partitionCount: 2, nowMs })
    await assert.rejects(renamed, { code: 'TOPIC_EXISTS' })
    assert.equal((await log.metadata.loadTopics()).length, 1)
  })

  test('settings change', async () => {
    await using log = await create()
    const { id } = await log.createTopic('orders')
    const changed = { ...config, retentionBytes: 5 }
    await log.metadata.configureTopic({ id, config: changed })
    assert.deepEqual(at(await log.metadata.loadTopics(), 0).config, changed)
    const missing = log.metadata.configureTopic({ id: crypto.randomUUID(), config })
    await assert.rejects(missing, { code: 'TOPIC_NOT_FOUND' })
  })

  test('partitions are added, never taken away', async () => {
    await using log = await create()
    const { id, partitions } = await log.createTopic('orders', 2)
    const added = await log.metadata.addPartitions({ id, total: 4 })
    assert.deepEqual(
      added.map((partition) => partition.index),
      [2, 3],
    )
    assert.deepEqual(at(await log.metadata.loadTopics(), 0).partitions, [...partitions, ...added])
    for (const total of [4, 1]) {
      await assert.rejects(log.metadata.addPartitions({ id, total }), { code: 'TOPIC_INVALID', message: /has 4 partitions/ })
    }
    await assert.rejects(log.metadata.addPartitions({ id: crypto.randomUUID(), total: 1 }), { code: 'TOPIC_NOT_FOUND' })
  })

  test('a deleted topic is gone with all it had; its name is free and its partition ids never come again', async () => {
    await using log = await create()
    const { agentId, topicId, partitions } = await log.ownTopic(3)
    const runs = partitions.map(({ partitionId, epoch }) => runOf({ partitionId, epoch, baseOffset: 0 }))
    await log.commit(agentId, runs)
    assert.equal(await log.metadata.deleteTopic({ id: topicId, nowMs }), true)
    assert.equal(await log.metadata.deleteTopic({ id: topicId, nowMs }), false)
    assert.deepEqual(await log.metadata.loadTopics(), [])
    const { partitions: later } = await log.createTopic('orders', 3)
    const ids = new Set([...partitions, ...later].map(({ partitionId }) => partitionId))
    assert.equal(ids.size, 6)
    for (const { partitionId } of [...partitions, ...later]) assert.deepEqual(await log.extents(partitionId), [])
  })

  test('an acquired partition has a new epoch, a ceiling above its end and the mark of its WAL', async () => {
    await using log = await create()
    const { agentId, topicId, partitions } = await log.ownTopic(2)
    const { partitionId, epoch } = at(partitions, 0)
    const ends = { nextOffset: 0, offsetCeiling: 1_000_000, logStart: 0, sizeBytes: 0 }
    assert.deepEqual(at(partitions, 0), { partitionId, epoch: 1, ...ends })
    const place = { partitionId, topicId, index: 0 }
    assert.deepEqual(await log.partition(partitionId), { ...place, owner: agentId, epoch: 1, dirtyWal: 'wal-a', ...ends })
    await log.commit(agentId, [runOf({ partitionId, epoch, baseOffset: 0 })])
    const request = { agentId, walId: 'wal-a', partitions: [{ partitionId, isDirty: false }], ceilingStep: 2_000_000 }
    const [again] = await log.metadata.acquirePartitions(request)
    assert.deepEqual([again?.epoch, again?.nextOffset, again?.offsetCeiling], [2, 100, 2_000_100])
    // The mark goes only with a release.
    assert.equal((await log.partition(partitionId)).dirtyWal, 'wal-a')
  })

  test('a partition without a mark, and one that does not exist', async () => {
    await using log = await create()
    const { agentId } = await log.metadata.registerAgent({ walId: 'wal-a', nowMs })
    const [partition] = (await log.createTopic('orders')).partitions
    assert(partition)
    const partitions = [partition.partitionId, 999].map((partitionId) => ({ partitionId, isDirty: false }))
    const acquired = await log.metadata.acquirePartitions({ agentId, walId: 'wal-a', partitions, ceilingStep: 5 })
    assert.deepEqual(
      acquired.map(({ partitionId, offsetCeiling }) => [partitionId, offsetCeiling]),
      [[partition.partitionId, 5]],
    )
    const { owner, dirtyWal } = await log.partition(partition.partitionId)
    assert.deepEqual([owner, dirtyWal], [agentId, null])
  })

  test('a partition of another agent, or dirty with another WAL, is left out', async () => {
    await using log = await create()
    const owner = await log.ownTopic(2)
    const other = await log.metadata.registerAgent({ walId: 'wal-b', nowMs })
    const wanted = owner.partitions.map(({ partitionId }) => ({ partitionId, isDirty: true }))
    const ask = (agentId: string, walId: string) =>
      log.metadata.acquirePartitions({ agentId, walId, partitions: wanted, ceilingStep: 10 })
    assert.deepEqual(await ask(other.agentId, 'wal-b'), [])
    assert.deepEqual(await ask(owner.agentId, 'wal-b'), [])
    const { partitionId, epoch } = at(owner.partitions, 1)
    await log.metadata.releasePartitions({ agentId: owner.agentId, partitions: [{ partitionId, epoch }] })
    assert.deepEqual(
      (await ask(other.agentId, 'wal-b')).map((row) => [row.partitionId, row.epoch]),
      [[partitionId, 2]],
    )
    assert.equal((await ask(owner.agentId, 'wal-a')).length, 1)
  })

  test('the ceiling is raised by the owner in its epoch only, and never goes down', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const raise = (changes: { agentId?: string; epoch?: number; partitionId?: number; ceiling: number }) =>
      log.metadata.raiseCeiling({ agentId, partitionId, epoch, ...changes })
    assert.equal(await raise({ ceiling: 3_000_000 }), true)
    assert.equal(await raise({ ceiling: 2_000_000 }), true)
    assert.equal(await raise({ ceiling: 4_000_000, epoch: 2 }), false)
    assert.equal(await raise({ ceiling: 4_000_000, agentId: 'another' }), false)
    assert.equal(await raise({ ceiling: 4_000_000, partitionId: 999 }), false)
    assert.equal((await log.partition(partitionId)).offsetCeiling, 3_000_000)
    const request = { agentId, walId: 'wal-a', partitions: [{ partitionId, isDirty: true }], ceilingStep: 10 }
    assert.equal(at(await log.metadata.acquirePartitions(request), 0).offsetCeiling, 3_000_000)
  })

  test('a release counts only in the epoch of the owner, and can be repeated', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic(3)
    const [one, two, three] = partitions.map(({ partitionId }) => partitionId)
    assert(one && two && three)
    const releases = [
      { agentId, partitions: [one, two].map((partitionId) => ({ partitionId, epoch: 1 })) },
      { agentId, partitions: [{ partitionId: three, epoch: 7 }] },
      { agentId: 'another', partitions: [{ partitionId: three, epoch: 1 }] },
    ]
    for (const release of [...releases, ...releases]) await log.metadata.releasePartitions(release)
    const states = await Promise.all([one, two, three].map((id) => log.partition(id)))
    assert.deepEqual(
      states.map(({ owner, dirtyWal, epoch }) => [owner, dirtyWal, epoch]),
      [
        [null, null, 1],
        [null, null, 1],
        [agentId, 'wal-a', 1],
      ],
    )
  })

  test('ten thousand partitions are made, acquired, released and deleted', async () => {
    await using log = await create()
    const { agentId, topicId, partitions } = await log.ownTopic(10_000)
    assert.equal(partitions.length, 10_000)
    await log.metadata.releasePartitions({ agentId, partitions })
    assert.equal((await log.partition(at(partitions, -1).partitionId)).owner, null)
    assert.equal(await log.metadata.deleteTopic({ id: topicId, nowMs }), true)
  })
}
