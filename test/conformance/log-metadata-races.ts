import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogMetadata } from '#eventlog/metadata/log-metadata.ts'
import { at, commitOf, config, nowMs, producerOf, runOf, type TestLog } from './log-metadata-fixture.ts'

/** Two processes on one log, at the same time. */
export function raceTests(create: () => Promise<TestLog>): void {
  test('of two agents that want a partition one gets it', async () => {
    await using log = await create()
    const others = [log.metadata, await log.openAnother()]
    const agents = await Promise.all(others.map((metadata, n) => metadata.registerAgent({ walId: `wal-${n}`, nowMs })))
    const { partitions } = await log.createTopic('orders', 50)
    const wanted = partitions.map(({ partitionId }) => ({ partitionId, isDirty: true }))
    // Each asks in another order: locks are taken in one.
    const orders = [wanted, wanted.toReversed()]
    const acquired = await Promise.all(
      others.map((metadata, n) =>
        metadata.acquirePartitions({
          agentId: at(agents, n).agentId,
          walId: `wal-${n}`,
          partitions: at(orders, n),
          ceilingStep: 1,
        }),
      ),
    )
    const ids = acquired.flat().map(({ partitionId }) => partitionId)
    assert.equal(ids.length, 50)
    assert.equal(new Set(ids).size, 50)
  })

  test('one agent that registers in many places at once has as many epochs', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const places = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? log.metadata : other))
    const sessions = await Promise.all(places.map((metadata) => metadata.registerAgent({ walId: 'wal-a', nowMs })))
    assert.equal(new Set(sessions.map(({ agentId }) => agentId)).size, 1)
    assert.equal(new Set(sessions.map(({ epoch }) => epoch)).size, 10)
  })

  test('one name is given to one of many topics', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const ids = Array.from({ length: 8 }, () => crypto.randomUUID())
    const created = await Promise.allSettled(
      ids.map((id, n) =>
        (n % 2 === 0 ? log.metadata : other).createTopic({ id, name: 'orders', config, partitionCount: 2, nowMs }),
      ),
    )
    const codes = created.map((result) => (result.status === 'fulfilled' ? 'created' : codeOf(result.reason)))
    assert.equal(codes.filter((code) => code === 'created').length, 1)
    assert.equal(codes.filter((code) => code === 'TOPIC_EXISTS').length, 7)
    assert.equal(at(await log.metadata.loadTopics(), 0).partitions.length, 2)
  })

  test('of objects that continue a partition at the same offset one is committed', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const { agentId, partitions } = await log.ownTopic(20)
    const ids = partitions.map(({ partitionId }) => partitionId)
    const commits = []
    for (let n = 0; n < 8; n++) {
      const order = n % 2 === 0 ? ids : ids.toReversed()
      const runs = order.map((partitionId) => runOf({ partitionId, epoch: 1, baseOffset: 0 }))
      commits.push(
        commitOf(
          agentId,
          await log.reserve(agentId),
          runs,
          order.map((id) => producerOf(id)),
        ),
      )
    }
    const answers = await Promise.all(commits.map((commit, n) => (n % 2 === 0 ? log.metadata : other).commitObject(commit)))
    const verdicts = answers.map((answer) => (answer.kind === 'committed' ? [...new Set(answer.runs)].join() : answer.kind))
    assert.deepEqual(verdicts.toSorted(), ['committed', 'gap', 'gap', 'gap', 'gap', 'gap', 'gap', 'gap'])
    for (const id of ids) assert.equal((await log.extents(id)).length, 1)
    assert.equal((await log.deletable()).length, 7)
  })

  test('the same commit from two places has one answer', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    for (let n = 0; n < 10; n++) {
      const commit = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch: 1, baseOffset: n * 100 })])
      const answers = await Promise.all([log.metadata.commitObject(commit), other.commitObject(commit)])
      for (const answer of answers) assert.deepEqual(answer, { kind: 'committed', runs: ['committed'] })
    }
    assert.equal((await log.extents(partitionId)).length, 10)
  })

  test('a commit that races a takeover is committed before it or fenced after it', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    let next = 0
    for (let epoch = 1; epoch <= 20; epoch++) {
      const commit = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch, baseOffset: next })])
      const request = { agentId, walId: 'wal-a', partitions: [{ partitionId, isDirty: true }], ceilingStep: 10 }
      const [answer, [acquired]] = await Promise.all([log.metadata.commitObject(commit), other.acquirePartitions(request)])
      assert(answer.kind === 'committed' && acquired)
      const state = await log.partition(partitionId)
      assert.equal(state.epoch, epoch + 1)
      // Who acquires sees what was committed before, and nothing is committed after.
      assert.equal(state.nextOffset, acquired.nextOffset)
      assert.deepEqual(answer.runs, [state.nextOffset > next ? 'committed' : 'fenced'])
      next = state.nextOffset
    }
  })

  test('a commit that races the removal of its topic leaves nothing behind', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const all = []
    for (let n = 0; n < 15; n++) {
      const { agentId, partitions, topicId } = await log.ownTopic(5, { name: `topic-${n}` })
      const runs = partitions.map(({ partitionId }) => runOf({ partitionId, epoch: 1, baseOffset: 0 }))
      const producers = partitions.map(({ partitionId }) => producerOf(partitionId))
      const commit = commitOf(agentId, await log.reserve(agentId), runs, producers)
      const [answer, isDeleted] = await Promise.all([
        log.metadata.commitObject(commit),
        other.deleteTopic({ id: topicId, nowMs }),
        other.commitOffsets([
          { groupId: 'g', topicId, partition: 0, offset: 1, leaderEpoch: -1, metadata: '', committedAtMs: nowMs },
        ]),
      ])
      assert(isDeleted && answer.kind === 'committed')
      assert.equal(new Set(answer.runs).size, 1)
      for (const { partitionId } of partitions) assert.deepEqual(await log.extents(partitionId), [])
      assert.deepEqual(await log.metadata.loadProducers(partitions.map(({ partitionId }) => partitionId)), [])
      all.push(commit.objectId)
    }
    assert.deepEqual(await log.deletable(), all)
    assert.equal(await log.metadata.deleteGroup('g'), false)
  })

  test('a commit that races the giving up of its object is committed or refused, not both', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const objects = new Set<string>()
    for (let n = 0; n < 20; n++) {
      const baseOffset = objects.size * 100
      const commit = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch: 1, baseOffset })])
      const [answer, abandoned] = await Promise.all([
        log.metadata.commitObject(commit),
        other.abandonObjects({ reservedBeforeMs: nowMs + 1, nowMs, limit: 10 }),
      ])
      assert.equal(abandoned, answer.kind === 'refused' ? 1 : 0)
      if (answer.kind === 'committed') objects.add(commit.objectId)
      assert.equal((await log.deletable()).includes(commit.objectId), answer.kind === 'refused')
    }
    const extents = await log.extents(partitionId)
    assert.deepEqual(new Set(extents.map(({ objectId }) => objectId)), objects)
  })

  test('commits, retention and removal at once keep every count right', async () => {
    await using log = await create()
    const other = await log.openAnother()
    const kept = await log.ownTopic(4, { name: 'kept' })
    const gone = await log.ownTopic(4, { name: 'gone' })
    const ids = [...kept.partitions, ...gone.partitions].map(({ partitionId }) => partitionId)
    const write = async () => {
      for (let n = 0; n < 15; n++) {
        const order = n % 2 === 0 ? ids : ids.toReversed()
        const runs = order.map((partitionId) => runOf({ partitionId, epoch: 1, baseOffset: n * 100 }))
        await log.commit(kept.agentId, runs)
      }
    }
    const trim = async (metadata: LogMetadata) => {
      for (let n = 0; n < 15; n++) {
        for (const { partitionId } of kept.partitions) await metadata.advanceLogStart({ partitionId, offset: n * 100, nowMs })
      }
    }
    await Promise.all([write(), trim(log.metadata), trim(other), other.deleteTopic({ id: gone.topicId, nowMs })])
    await trim(other)
    for (const { partitionId } of kept.partitions) {
      const extents = await log.extents(partitionId)
      const { logStart, nextOffset, sizeBytes } = await log.partition(partitionId)
      assert.deepEqual([logStart, nextOffset, sizeBytes, extents.length], [1400, 1500, 1000, 1])
    }
    assert.equal((await log.metadata.listObjects({ after: '', limit: 100 })).length, 1)
    assert.equal((await log.deletable()).length, 14)
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error
}
