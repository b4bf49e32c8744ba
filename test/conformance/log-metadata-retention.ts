import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { at, nowMs, producerOf, runOf, type TestLog } from './log-metadata-fixture.ts'

/** Finding extents, and what becomes of them and their objects. */
export function retentionTests(create: () => Promise<TestLog>): void {
  test('extents are found from an offset on', async () => {
    await using log = await create()
    const owner = await log.ownTopic(2)
    const { partitionId } = at(owner.partitions, 0)
    await log.fill(owner, { objects: 5 })
    await log.fill(owner, { objects: 2, partition: 1 })
    const cases: readonly [fromOffset: number, limit: number, bases: readonly number[]][] = [
      [0, 100, [0, 100, 200, 300, 400]],
      [99, 2, [0, 100]],
      [100, 2, [100, 200]],
      [250, 100, [200, 300, 400]],
      [499, 100, [400]],
      [500, 100, []],
    ]
    for (const [fromOffset, limit, bases] of cases) {
      const found = await log.metadata.findExtents({ partitionId, fromOffset, limit })
      const message = `from ${fromOffset}`
      assert.deepEqual(
        found.map((extent) => extent.baseOffset),
        bases,
        message,
      )
    }
    const oldest = await log.metadata.oldestExtents({ partitionId, limit: 2 })
    assert.deepEqual(oldest, (await log.extents(partitionId)).slice(0, 2))
    await log.metadata.advanceLogStart({ partitionId, offset: 200, nowMs })
    const rest = await log.metadata.findExtents({ partitionId, fromOffset: 50, limit: 1 })
    assert.deepEqual(
      rest.map((extent) => extent.baseOffset),
      [200],
    )
  })

  test('extents are found by time, in order of offsets, also when times have none', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    for (const [n, second] of [0, 9, 3, 12].entries()) {
      const minTimestampMs = nowMs + second * 1000
      await log.commit(agentId, [runOf({ partitionId, epoch, baseOffset: n * 100, minTimestampMs })])
    }
    const cases: readonly [second: number, base: number | undefined][] = [
      [-5, 0],
      [0.5, 0],
      [0.501, 100],
      [3, 100],
      [9.5, 100],
      [10, 300],
      [12.5, 300],
      [12.501, undefined],
    ]
    for (const [second, base] of cases) {
      const found = await log.metadata.findExtentByTime({ partitionId, timestampMs: nowMs + second * 1000 })
      assert.equal(found?.baseOffset, base, `${second} s`)
    }
    assert.equal(await log.metadata.findExtentByTime({ partitionId: 999, timestampMs: 0 }), undefined)
  })

  test('the log start goes up, never down and not above the end', async () => {
    await using log = await create()
    const owner = await log.ownTopic()
    const { partitionId } = at(owner.partitions, 0)
    await log.fill(owner, { objects: 4 })
    const advance = (offset: number) => log.metadata.advanceLogStart({ partitionId, offset, nowMs })
    assert.deepEqual(await advance(0), { logStart: 0, freedBytes: 0 })
    assert.deepEqual(await advance(199), { logStart: 199, freedBytes: 1000 })
    assert.deepEqual(await advance(199), { logStart: 199, freedBytes: 0 })
    assert.deepEqual(await advance(100), { logStart: 199, freedBytes: 0 })
    assert.deepEqual(await advance(200), { logStart: 200, freedBytes: 1000 })
    const { logStart, sizeBytes, nextOffset } = await log.partition(partitionId)
    assert.deepEqual([logStart, sizeBytes, nextOffset], [200, 2000, 400])
    assert.deepEqual(await advance(1_000_000), { logStart: 400, freedBytes: 2000 })
    assert.equal((await log.partition(partitionId)).sizeBytes, 0)
    const missing = log.metadata.advanceLogStart({ partitionId: 999, offset: 1, nowMs })
    await assert.rejects(missing, { code: 'PARTITION_NOT_FOUND', message: /999/ })
    // What comes next continues at the end.
    const { epoch } = at(owner.partitions, 0)
    const answer = await log.commit(owner.agentId, [runOf({ partitionId, epoch, baseOffset: 400 })])
    assert.deepEqual(answer, { kind: 'committed', runs: ['committed'] })
  })

  test('an object is deletable when its last extent is gone', async () => {
    await using log = await create()
    const { agentId, partitions, topicId } = await log.ownTopic(2)
    const [a, b] = partitions.map(({ partitionId }) => partitionId)
    assert(a && b)
    await log.commit(agentId, [
      runOf({ partitionId: a, epoch: 1, baseOffset: 0 }),
      runOf({ partitionId: b, epoch: 1, baseOffset: 0 }),
      runOf({ partitionId: a, epoch: 1, baseOffset: 100 }),
    ])
    const { objectId } = at(await log.extents(a), 0)
    await log.metadata.advanceLogStart({ partitionId: a, offset: 200, nowMs })
    assert.deepEqual(await log.deletable(), [])
    await log.metadata.deleteTopic({ id: topicId, nowMs: nowMs + 7 })
    assert.deepEqual(await log.metadata.findDeletable({ deletingBeforeMs: nowMs + 7, limit: 10 }), [])
    const deletable = [{ id: objectId, key: `data/${objectId}`, sizeBytes: 4096 }]
    assert.deepEqual(await log.metadata.findDeletable({ deletingBeforeMs: nowMs + 8, limit: 10 }), deletable)
    assert.deepEqual(await log.metadata.listObjects({ after: '', limit: 10 }), [])
    for (let i = 0; i < 2; i++) await log.metadata.forgetObjects([objectId])
    assert.deepEqual(await log.deletable(), [])
  })

  test('thousands of extents are dropped in one call', async () => {
    await using log = await create()
    const { agentId, partitions, topicId } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const runs = Array.from({ length: 2500 }, (_, n) => runOf({ partitionId, epoch: 1, baseOffset: n * 100 }))
    await log.commit(agentId, runs)
    const advanced = await log.metadata.advanceLogStart({ partitionId, offset: 220_050, nowMs })
    assert.deepEqual(advanced, { logStart: 220_050, freedBytes: 2_200_000 })
    assert.equal((await log.extents(partitionId)).length, 300)
    assert.equal((await log.partition(partitionId)).sizeBytes, 300_000)
    assert.deepEqual(await log.deletable(), [])
    await log.metadata.deleteTopic({ id: topicId, nowMs })
    assert.equal((await log.deletable()).length, 1)
  })

  test('the removal of a topic with more than one step can carry takes all of it', async () => {
    await using log = await create()
    const { agentId, partitions, topicId } = await log.ownTopic(450)
    const kept = await log.ownTopic(1, { name: 'kept' })
    const keptId = at(kept.partitions, 0).partitionId
    const ids = partitions.map(({ partitionId }) => partitionId)
    for (let n = 0; n < 5; n++) {
      const runs = [...ids, keptId].map((partitionId) => runOf({ partitionId, epoch: 1, baseOffset: n * 100 }))
      await log.commit(agentId, runs, { producers: [...ids, keptId].map((id) => producerOf(id, { producerId: n })) })
    }
    const offsets = (topic: string, count: number) =>
      Array.from({ length: count }, (_, n) => {
        const place = { groupId: `group-${n % 3}`, topicId: topic, partition: n }
        return { ...place, offset: n, leaderEpoch: -1, metadata: '', committedAtMs: nowMs }
      })
    await log.metadata.commitOffsets([...offsets(topicId, 2500), ...offsets(kept.topicId, 3)])
    assert.equal(await log.metadata.deleteTopic({ id: topicId, nowMs }), true)
    for (const partitionId of ids) assert.deepEqual(await log.extents(partitionId), [])
    assert.deepEqual(await log.metadata.loadProducers(ids), [])
    assert.equal((await log.extents(keptId)).length, 5)
    assert.equal((await log.metadata.loadProducers([keptId])).length, 5)
    assert.deepEqual(await log.metadata.loadOffsets('group-1'), offsets(kept.topicId, 3).slice(1, 2))
    assert.deepEqual(await log.deletable(), [])
    await log.metadata.deleteTopic({ id: kept.topicId, nowMs })
    assert.equal((await log.deletable()).length, 5)
  })

  test('the removal of a topic that was broken off goes on with the next look for garbage', async () => {
    await using log = await create()
    const { agentId, partitions, topicId } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const runs = Array.from({ length: 25_000 }, (_, n) => runOf({ partitionId, epoch: 1, baseOffset: n * 100, sparse: [] }))
    await log.commit(agentId, runs)
    {
      await using other = await log.openToClose()
      const broken = assert.rejects(other.metadata.deleteTopic({ id: topicId, nowMs }))
      await until(async () => (await log.metadata.loadTopics()).length === 0, { what: 'the topic to be gone' })
      await other[Symbol.asyncDispose]()
      await broken
    }
    assert.deepEqual(await log.deletable(), [])
    assert.equal(await log.metadata.abandonObjects({ reservedBeforeMs: nowMs, nowMs, limit: 10 }), 0)
    assert.equal((await log.deletable()).length, 1)
    assert.deepEqual(await log.extents(partitionId), [])
    assert.equal(await log.metadata.deleteTopic({ id: topicId, nowMs }), false)
  })

  test('reserved objects are given up by age, oldest first, as many as are asked for', async () => {
    await using log = await create()
    const { agentId } = await log.metadata.registerAgent({ walId: 'wal-a', nowMs })
    const ids = []
    for (const age of [1, 3, 2, 0]) ids.push(await log.reserve(agentId, { reservedAtMs: nowMs - age }))
    const abandon = (limit: number) => log.metadata.abandonObjects({ reservedBeforeMs: nowMs, nowMs: nowMs + 9, limit })
    assert.equal(await abandon(2), 2)
    assert.deepEqual(await log.deletable(), [ids[1], ids[2]])
    assert.deepEqual([await abandon(9), await abandon(9)], [1, 0])
    assert.deepEqual(await log.deletable(), ids.slice(0, 3))
    assert.deepEqual(await log.metadata.findDeletable({ deletingBeforeMs: nowMs + 9, limit: 9 }), [])
    const found = await log.metadata.findDeletable({ deletingBeforeMs: nowMs + 10, limit: 2 })
    assert.deepEqual(
      found.map(({ sizeBytes }) => sizeBytes),
      [0, 0],
    )
  })

  test('reserving again changes nothing, and a key belongs to one object', async () => {
    await using log = await create()
    const { agentId } = await log.metadata.registerAgent({ walId: 'wal-a', nowMs })
    const objects = [
      { id: 'a', key: 'key-a' },
      { id: 'b', key: 'key-b' },
    ]
    for (let i = 0; i < 2; i++) await log.metadata.reserveObjects({ agentId, objects, nowMs })
    await assert.rejects(log.metadata.reserveObjects({ agentId, objects: [{ id: 'c', key: 'key-a' }], nowMs }))
    await log.metadata.abandonObjects({ reservedBeforeMs: nowMs + 1, nowMs, limit: 10 })
    assert.deepEqual(await log.deletable(), ['a', 'b'])
    await log.metadata.reserveObjects({ agentId, objects, nowMs })
    assert.deepEqual(await log.deletable(), ['a', 'b'])
  })

  test('only what is being deleted can be forgotten', async () => {
    await using log = await create()
    const owner = await log.ownTopic()
    await log.fill(owner, { objects: 1 })
    const reserved = await log.reserve(owner.agentId)
    const [committed] = await log.metadata.listObjects({ after: '', limit: 10 })
    assert(committed)
    await log.metadata.forgetObjects([committed.id, reserved, 'unknown'])
    assert.deepEqual(await log.metadata.listObjects({ after: '', limit: 10 }), [committed])
    const runs = [runOf({ partitionId: at(owner.partitions, 0).partitionId, epoch: 1, baseOffset: 100 })]
    const commit = { agentId: owner.agentId, objectId: reserved, sizeBytes: 1, runs, producers: [], nowMs }
    assert.deepEqual(await log.metadata.commitObject(commit), { kind: 'committed', runs: ['committed'] })
  })

  test('committed objects are listed page by page', async () => {
    await using log = await create()
    await log.fill(await log.ownTopic(), { objects: 5 })
    const all = await log.metadata.listObjects({ after: '', limit: 10 })
    assert.equal(all.length, 5)
    const pages = []
    for (let after = ''; ;) {
      const page = await log.metadata.listObjects({ after, limit: 2 })
      if (page.length === 0) break
      pages.push(...page)
      after = at(page, -1).id
    }
    assert.deepEqual(pages, all)
  })

  test('producers are forgotten by age', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const producers = Array.from({ length: 3500 }, (_, n) => ({
      ...producerOf(partitionId, { producerId: n }),
      updatedAtMs: nowMs + (n % 2),
    }))
    await log.commit(agentId, [runOf({ partitionId, epoch: 1, baseOffset: 0 })], { producers })
    assert.equal(await log.metadata.expireProducers({ updatedBeforeMs: nowMs }), 0)
    assert.equal(await log.metadata.expireProducers({ updatedBeforeMs: nowMs + 1 }), 1750)
    const left = await log.metadata.loadProducers([partitionId])
    assert.deepEqual(
      left,
      producers.filter(({ producerId }) => producerId % 2 === 1),
    )
  })

  test('of a producer the last commit counts, also within one', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const [early, late] = [producerOf(partitionId, { lastOffset: 49 }), producerOf(partitionId, { lastOffset: 99 })]
    await log.commit(agentId, [runOf({ partitionId, epoch: 1, baseOffset: 0 })], { producers: [early, late] })
    assert.deepEqual(await log.metadata.loadProducers([partitionId]), [late])
    const next = { ...producerOf(partitionId, { lastOffset: 199, count: 2 }), producerEpoch: 4, updatedAtMs: nowMs + 1 }
    await log.commit(agentId, [runOf({ partitionId, epoch: 1, baseOffset: 100 })], { producers: [next] })
    assert.deepEqual(await log.metadata.loadProducers([partitionId]), [next])
  })

  test('producer ids are given out once', async () => {
    await using log = await create()
    const first = await log.metadata.allocateProducerIds(1000)
    const [one, two] = await Promise.all([log.metadata.allocateProducerIds(10), log.metadata.allocateProducerIds(10)])
    assert.deepEqual(new Set([one, two]), new Set([first + 1000, first + 1010]))
    assert(first >= 0)
  })
}
