import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { at, commitOf, nowMs, producerOf, runOf, type TestLog } from './log-metadata-fixture.ts'

/** Objects and the runs in them. */
export function commitTests(create: () => Promise<TestLog>): void {
  test('a committed object has its extents, moves its partitions and stores its producers', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic(2)
    const [a, b] = partitions.map(({ partitionId }) => partitionId)
    assert(a && b)
    const runs = [
      runOf({ partitionId: b, epoch: 1, baseOffset: 0, positionBytes: 1000, lengthBytes: 200 }),
      runOf({ partitionId: a, epoch: 1, baseOffset: 0, sparse: [] }),
    ]
    const objectId = await log.reserve(agentId)
    const producers = [producerOf(a, { count: 5 }), producerOf(b, { producerId: 8 }), producerOf(a, { producerId: 2 ** 40 })]
    const answer = await log.metadata.commitObject(commitOf(agentId, objectId, runs, producers))
    assert.deepEqual(answer, { kind: 'committed', runs: ['committed', 'committed'] })

    const place = { objectId, objectKey: `data/${objectId}` }
    const extents = [...(await log.extents(b)), ...(await log.extents(a))]
    assert.deepEqual(
      extents.map((extent) => ({ ...extent, epoch: 1 })),
      runs.map((run) => ({ ...run, ...place })),
    )
    const states = await Promise.all([a, b].map((id) => log.partition(id)))
    assert.deepEqual(
      states.map(({ nextOffset, sizeBytes, logStart }) => [nextOffset, sizeBytes, logStart]),
      [
        [100, 1000, 0],
        [100, 200, 0],
      ],
    )
    assert.deepEqual(await log.metadata.loadProducers([b, a]), [producers[0], producers[2], producers[1]])
    assert.deepEqual(await log.metadata.loadProducers([b]), [producers[1]])
    const objects = await log.metadata.listObjects({ after: '', limit: 10 })
    assert.deepEqual(objects, [{ id: objectId, key: `data/${objectId}`, sizeBytes: 4096, committedAtMs: nowMs }])
  })

  test('asked again, a commit gives its first answer and changes nothing', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic(3)
    const [a, b, c] = partitions.map(({ partitionId }) => partitionId)
    assert(a && b && c)
    const objectId = await log.reserve(agentId)
    const commit = commitOf(agentId, objectId, [
      runOf({ partitionId: a, epoch: 1, baseOffset: 0 }),
      runOf({ partitionId: b, epoch: 9, baseOffset: 0 }),
      runOf({ partitionId: c, epoch: 1, baseOffset: 5 }),
    ])
    const first = await log.metadata.commitObject(commit)
    assert.deepEqual(first, { kind: 'committed', runs: ['committed', 'fenced', 'gap'] })
    await log.commit(agentId, [runOf({ partitionId: a, epoch: 1, baseOffset: 100 })])
    await log.metadata.reserveObjects({ agentId, objects: [{ id: objectId, key: `data/${objectId}` }], nowMs })
    assert.deepEqual(await log.metadata.commitObject({ ...commit, nowMs: nowMs + 5 }), first)
    assert.equal((await log.partition(a)).nextOffset, 200)
    assert.equal((await log.extents(a)).length, 2)
  })

  test('the first answer stays after the extents are gone, as long as the object does', async () => {
    await using log = await create()
    const owner = await log.ownTopic()
    const { partitionId, epoch } = at(owner.partitions, 0)
    const objectId = await log.reserve(owner.agentId)
    const commit = commitOf(owner.agentId, objectId, [runOf({ partitionId, epoch, baseOffset: 0 })])
    const first = await log.metadata.commitObject(commit)
    await log.metadata.deleteTopic({ id: owner.topicId, nowMs })
    assert.deepEqual(await log.metadata.commitObject(commit), first)
    await log.metadata.forgetObjects([objectId])
    assert.deepEqual(await log.metadata.commitObject(commit), { kind: 'refused' })
  })

  test('runs of one partition in one object must follow each other', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const bases = [0, 100, 300, 200, 300]
    const runs = bases.map((baseOffset) => runOf({ partitionId, epoch, baseOffset }))
    const answer = await log.commit(agentId, runs)
    assert.deepEqual(answer, { kind: 'committed', runs: ['committed', 'committed', 'gap', 'committed', 'committed'] })
    const extents = await log.extents(partitionId)
    assert.deepEqual(
      extents.map((extent) => extent.baseOffset),
      [0, 100, 200, 300],
    )
    const { nextOffset, sizeBytes } = await log.partition(partitionId)
    assert.deepEqual([nextOffset, sizeBytes], [400, 4000])
  })

  test('a run below or above the end of its partition is a gap', async () => {
    await using log = await create()
    const owner = await log.ownTopic()
    const { partitionId, epoch } = at(owner.partitions, 0)
    await log.fill(owner, { objects: 2 })
    for (const baseOffset of [0, 100, 199, 201, 300]) {
      const answer = await log.commit(owner.agentId, [runOf({ partitionId, epoch, baseOffset })])
      assert.deepEqual(answer, { kind: 'committed', runs: ['gap'] })
    }
    assert.equal((await log.partition(partitionId)).nextOffset, 200)
  })

  test('only the owner in its epoch commits', async () => {
    await using log = await create()
    const owner = await log.ownTopic(2)
    const { agentId } = owner
    const { partitionId } = at(owner.partitions, 0)
    const partitions = [{ partitionId, isDirty: true }]
    await log.metadata.acquirePartitions({ agentId, walId: 'wal-a', partitions, ceilingStep: 10 })
    const other = await log.metadata.registerAgent({ walId: 'wal-b', nowMs })
    const attempts: readonly [agentId: string, epoch: number, verdict: string][] = [
      [agentId, 1, 'fenced'],
      [agentId, 3, 'fenced'],
      [other.agentId, 2, 'fenced'],
      [agentId, 2, 'committed'],
    ]
    for (const [who, epoch, verdict] of attempts) {
      const answer = await log.commit(who, [runOf({ partitionId, epoch, baseOffset: 0 })])
      assert.deepEqual(answer, { kind: 'committed', runs: [verdict] })
    }
    await log.metadata.releasePartitions({ agentId, partitions: [{ partitionId, epoch: 2 }] })
    const released = await log.commit(agentId, [runOf({ partitionId, epoch: 2, baseOffset: 100 })])
    assert.deepEqual(released, { kind: 'committed', runs: ['fenced'] })
    const missing = await log.commit(agentId, [runOf({ partitionId: 999, epoch: 1, baseOffset: 0 })])
    assert.deepEqual(missing, { kind: 'committed', runs: ['fenced'] })
  })

  test('refused runs leave no trace', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic(3)
    const [a, b, c] = partitions.map(({ partitionId }) => partitionId)
    assert(a && b && c)
    const untouched = await Promise.all([b, c].map((id) => log.partition(id)))
    const runs = [
      runOf({ partitionId: a, epoch: 1, baseOffset: 0 }),
      runOf({ partitionId: a, epoch: 1, baseOffset: 200 }),
      runOf({ partitionId: b, epoch: 2, baseOffset: 0 }),
      runOf({ partitionId: c, epoch: 1, baseOffset: 1 }),
    ]
    const producers = [
      producerOf(a, { lastOffset: 299, count: 1, producerId: 1 }),
      producerOf(a, { lastOffset: 109, count: 2, producerId: 2 }),
      producerOf(b),
      producerOf(c),
    ]
    await log.commit(agentId, runs, { producers })
    assert.deepEqual(await Promise.all([b, c].map((id) => log.partition(id))), untouched)
    for (const id of [b, c]) assert.deepEqual(await log.extents(id), [])
    // Of the second producer of `a` one batch is in the run that was taken.
    const [row, ...more] = await log.metadata.loadProducers([a, b, c])
    assert.deepEqual([row?.producerId, row?.batches.map((batch) => batch.lastOffset), more], [2, [99], []])
  })

  test('an object of which nothing was committed is deletable at once', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId } = at(partitions, 0)
    const fenced = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch: 5, baseOffset: 0 })])
    const empty = commitOf(agentId, await log.reserve(agentId), [])
    assert.deepEqual(await log.metadata.commitObject(fenced), { kind: 'committed', runs: ['fenced'] })
    assert.deepEqual(await log.metadata.commitObject(empty), { kind: 'committed', runs: [] })
    assert.deepEqual(await log.deletable(), [fenced.objectId, empty.objectId])
    assert.deepEqual(await log.metadata.listObjects({ after: '', limit: 10 }), [])
    assert.deepEqual(await log.metadata.commitObject(fenced), { kind: 'committed', runs: ['fenced'] })
  })

  test('an object that was given up, is not reserved, or is of another agent, is refused', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const runs = [runOf({ partitionId, epoch, baseOffset: 0 })]
    const abandoned = await log.reserve(agentId)
    assert.equal(await log.metadata.abandonObjects({ reservedBeforeMs: nowMs + 1, nowMs, limit: 10 }), 1)
    const other = await log.metadata.registerAgent({ walId: 'wal-b', nowMs })
    const attempts = [
      commitOf(agentId, abandoned, runs),
      commitOf(agentId, 'never-reserved', runs),
      commitOf(agentId, await log.reserve(other.agentId), runs),
    ]
    for (const commit of attempts) assert.deepEqual(await log.metadata.commitObject(commit), { kind: 'refused' })
    assert.equal((await log.partition(partitionId)).nextOffset, 0)
    assert.deepEqual(await log.extents(partitionId), [])
  })

  test('a commit that fails in its middle leaves nothing, and can be repeated', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const commit = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch, baseOffset: 0 })])
    const good = producerOf(partitionId)
    // Extents and partitions are written before; this row the database refuses.
    const bad = producerOf(partitionId, { producerId: -1 })
    await assert.rejects(log.metadata.commitObject({ ...commit, producers: [good, bad] }))
    assert.deepEqual(await log.extents(partitionId), [])
    assert.deepEqual(await log.metadata.loadProducers([partitionId]), [])
    assert.equal((await log.partition(partitionId)).nextOffset, 0)
    const answer = await log.metadata.commitObject({ ...commit, producers: [good] })
    assert.deepEqual(answer, { kind: 'committed', runs: ['committed'] })
    assert.deepEqual(await log.metadata.loadProducers([partitionId]), [good])
  })

  test('ten thousand runs with as many producers are one commit', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic(10_000)
    const place = ({ partitionId, epoch }: (typeof partitions)[number]) => ({ partitionId, epoch, baseOffset: 0 })
    const runs = partitions.map((partition, index) => runOf({ ...place(partition), epoch: index === 5000 ? 7 : 1 }))
    const producers = partitions.map(({ partitionId }) => producerOf(partitionId))
    const answer = await log.commit(agentId, runs, { producers })
    assert(answer.kind === 'committed')
    assert.deepEqual(
      answer.runs.flatMap((verdict, index) => (verdict === 'committed' ? [] : [[index, verdict]])),
      [[5000, 'fenced']],
    )
    const ids = partitions.map(({ partitionId }) => partitionId)
    assert.equal((await log.metadata.loadProducers(ids)).length, 9999)
    const ends = at(await log.metadata.loadTopics(), 0).partitions.map(({ nextOffset }) => nextOffset)
    assert.equal(ends.filter((end) => end === 100).length, 9999)
  })

  test('numbers are exact up to 2^53', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const max = Number.MAX_SAFE_INTEGER
    const sparse = [{ offset: max - 2, positionBytes: max, maxTimestampMs: max }]
    const place = { lastOffset: max - 1, positionBytes: max, lengthBytes: max, minTimestampMs: 0, maxTimestampMs: max, sparse }
    const run = runOf({ partitionId, epoch, baseOffset: 0, ...place })
    await log.commit(agentId, [run])
    const [extent] = await log.extents(partitionId)
    assert.deepEqual({ ...extent, epoch: 1, objectId: '', objectKey: '' }, { ...run, objectId: '', objectKey: '' })
    const { nextOffset, sizeBytes } = await log.partition(partitionId)
    assert.deepEqual([nextOffset, sizeBytes], [max, max])
  })

  test('times that no clock shows harm nobody', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const sparse = [{ offset: 50, positionBytes: 500, maxTimestampMs: 2 ** 63 }]
    await log.commit(agentId, [
      runOf({ partitionId, epoch, baseOffset: 0, minTimestampMs: -(2 ** 63), maxTimestampMs: 2 ** 63, sparse }),
      runOf({ partitionId, epoch, baseOffset: 100, minTimestampMs: -1, maxTimestampMs: -1 }),
    ])
    const times = (await log.extents(partitionId)).map(({ minTimestampMs, maxTimestampMs }) => [minTimestampMs, maxTimestampMs])
    const max = Number.MAX_SAFE_INTEGER
    assert.deepEqual(times, [
      [-max, max],
      [-1, -1],
    ])
  })

  test('a database that is away is a coded error, and a commit that broke off is asked again', async () => {
    await using log = await create()
    const { agentId, partitions } = await log.ownTopic()
    const { partitionId, epoch } = at(partitions, 0)
    const commit = commitOf(agentId, await log.reserve(agentId), [runOf({ partitionId, epoch, baseOffset: 0 })])
    {
      await using _away = await log.takeAway()
      const calls = [
        () => log.metadata.commitObject(commit),
        () => log.metadata.registerAgent({ walId: 'wal-b', nowMs }),
        () => log.metadata.advanceLogStart({ partitionId, offset: 1, nowMs }),
      ]
      for (const call of calls) {
        await assert.rejects(call, (error) => error instanceof AppError && error.code === 'DATABASE_UNAVAILABLE')
      }
    }
    assert.deepEqual(await log.metadata.commitObject(commit), { kind: 'committed', runs: ['committed'] })
    assert.equal((await log.extents(partitionId)).length, 1)
  })
}
