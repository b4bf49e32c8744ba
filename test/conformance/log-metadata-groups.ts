import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupRow, OffsetRow } from '#eventlog/metadata/log-metadata.ts'
import { nowMs, type TestLog } from './log-metadata-fixture.ts'

const member = {
  memberId: 'consumer-1-\u0000é',
  instanceId: null,
  clientId: 'billing "1"',
  clientHost: '/127.0.0.1',
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 300_000,
  protocols: [
    { name: 'range', metadata: Buffer.from('00ff01', 'hex') },
    { name: 'roundrobin', metadata: Buffer.alloc(0) },
  ],
  assignment: Buffer.from('fe80', 'hex'),
}
const group: GroupRow = {
  groupId: 'billing',
  generation: 3,
  protocolType: 'consumer',
  protocol: 'range',
  leader: 'consumer-1',
  members: [member, { ...member, memberId: 'consumer-2', instanceId: 'static-2' }],
  updatedAtMs: nowMs,
}

/** Consumer groups and their offsets. */
export function groupTests(create: () => Promise<TestLog>): void {
  test('a group comes back as it was saved last', async () => {
    await using log = await create()
    assert.deepEqual(await log.metadata.loadGroups(), [])
    await log.metadata.saveGroup(group)
    assert.deepEqual(await log.metadata.loadGroups(), [group])
    const empty = { ...group, generation: 4, protocol: null, leader: null, members: [], updatedAtMs: nowMs + 1 }
    for (let i = 0; i < 2; i++) await log.metadata.saveGroup(empty)
    await log.metadata.saveGroup({ ...group, groupId: 'audit' })
    assert.deepEqual(await log.metadata.loadGroups(), [{ ...group, groupId: 'audit' }, empty])
  })

  test('a group is deleted with its offsets, and also when it has nothing else', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders')
    await log.metadata.saveGroup(group)
    await log.metadata.commitOffsets([
      offsetOf(topic.id),
      offsetOf(topic.id, { groupId: 'simple' }),
      offsetOf(topic.id, { groupId: 'kept' }),
    ])
    for (const groupId of ['billing', 'simple']) {
      assert.equal(await log.metadata.deleteGroup(groupId), true)
      assert.equal(await log.metadata.deleteGroup(groupId), false)
      assert.deepEqual(await log.metadata.loadOffsets(groupId), [])
    }
    assert.deepEqual(await log.metadata.loadGroups(), [])
    assert.equal((await log.metadata.loadOffsets('kept')).length, 1)
  })

  test('offsets come back as they were committed last', async () => {
    await using log = await create()
    const [one, two] = [await log.createTopic('one', 3), await log.createTopic('two')]
    const strange = offsetOf(one.id, { partition: 2, metadata: 'nul \u0000, é漢😀, "quoted"', leaderEpoch: -1 })
    await log.metadata.commitOffsets([offsetOf(one.id), strange, offsetOf(two.id, { offset: 2 ** 53 - 1 })])
    const later = offsetOf(one.id, { offset: 43, leaderEpoch: 8, metadata: '', committedAtMs: nowMs + 1 })
    for (let i = 0; i < 2; i++) await log.metadata.commitOffsets([later])
    const rows = await log.metadata.loadOffsets('billing')
    const expected = [later, strange, offsetOf(two.id, { offset: 2 ** 53 - 1 })]
    assert.deepEqual(rows.toSorted(byPlace), expected.toSorted(byPlace))
    assert.deepEqual(await log.metadata.loadOffsets('other'), [])
    await log.metadata.commitOffsets([])
  })

  test('of two offsets for one partition in one commit the later counts', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders')
    await log.metadata.commitOffsets([10, 12, 11].map((offset) => offsetOf(topic.id, { offset })))
    assert.deepEqual(await log.metadata.loadOffsets('billing'), [offsetOf(topic.id, { offset: 11 })])
  })

  test('thousands of offsets of many groups are one commit', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders')
    const commits = Array.from({ length: 9000 }, (_, n) =>
      offsetOf(topic.id, { groupId: `group-${n % 9}`, partition: n, offset: n }),
    )
    await log.metadata.commitOffsets(commits)
    await log.metadata.commitOffsets(commits.toReversed().map((commit) => ({ ...commit, offset: commit.offset + 1 })))
    const rows = await log.metadata.loadOffsets('group-4')
    assert.equal(rows.length, 1000)
    assert(rows.every((row) => row.offset === row.partition + 1 && row.partition % 9 === 4))
  })

  test('offsets for a topic that is gone are left out, the others are committed', async () => {
    await using log = await create()
    const [kept, gone] = [await log.createTopic('kept'), await log.createTopic('gone')]
    await log.metadata.commitOffsets([offsetOf(gone.id)])
    await log.metadata.deleteTopic({ id: gone.id, nowMs })
    await log.metadata.commitOffsets([offsetOf(gone.id), offsetOf(kept.id), offsetOf(crypto.randomUUID())])
    assert.deepEqual(await log.metadata.loadOffsets('billing'), [offsetOf(kept.id)])
  })

  test('single offsets are deleted', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders')
    await log.metadata.commitOffsets([0, 1, 2].map((partition) => offsetOf(topic.id, { partition })))
    await log.metadata.commitOffsets([offsetOf(topic.id, { groupId: 'other' })])
    const partitions = [0, 2, 7].map((partition) => ({ topicId: topic.id, partition }))
    for (let i = 0; i < 2; i++) await log.metadata.deleteOffsets({ groupId: 'billing', partitions })
    assert.deepEqual(await log.metadata.loadOffsets('billing'), [offsetOf(topic.id, { partition: 1 })])
    assert.equal((await log.metadata.loadOffsets('other')).length, 1)
  })

  test('offsets expire by age, but not while their group has members, nor soon after it lost them', async () => {
    await using log = await create()
    const topic = await log.createTopic('orders', 2)
    for (const groupId of ['alive', 'simple', 'left long ago', 'left just now']) {
      const fresh = offsetOf(topic.id, { groupId, partition: 1, committedAtMs: nowMs + 100 })
      await log.metadata.commitOffsets([offsetOf(topic.id, { groupId }), fresh])
    }
    await log.metadata.saveGroup({ ...group, groupId: 'alive' })
    await log.metadata.saveGroup({ ...group, groupId: 'left long ago', members: [], updatedAtMs: nowMs })
    await log.metadata.saveGroup({ ...group, groupId: 'left just now', members: [], updatedAtMs: nowMs + 50 })
    assert.equal(await log.metadata.expireOffsets({ committedBeforeMs: nowMs }), 0)
    assert.equal(await log.metadata.expireOffsets({ committedBeforeMs: nowMs + 50 }), 2)
    assert.equal(await log.metadata.expireOffsets({ committedBeforeMs: nowMs + 51 }), 1)
    const left = async (groupId: string) => (await log.metadata.loadOffsets(groupId)).map((row) => row.partition)
    assert.deepEqual(await Promise.all(['alive', 'simple', 'left long ago', 'left just now'].map(left)), [[0, 1], [1], [1], [1]])
  })
}

function offsetOf(topicId: string, changes: Partial<OffsetRow> = {}): OffsetRow {
  const place = { groupId: 'billing', topicId, partition: 0 }
  return { ...place, offset: 42, leaderEpoch: 7, metadata: 'note', committedAtMs: nowMs, ...changes }
}

function byPlace(one: OffsetRow, other: OffsetRow): number {
  return one.topicId.localeCompare(other.topicId) || one.partition - other.partition
}
