import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import { groupId, GroupsFixture, sessionTimeoutMs } from './groups.fixture.ts'
import type { CommitRequest, NewOffset } from './group-types.ts'

const day = 86_400_000

function offset(partition: number, value: number, overrides: Partial<NewOffset> = {}): NewOffset {
  return { topic: 'orders', partition, offset: value, leaderEpoch: 3, metadata: 'note', ...overrides }
}

function simple(offsets: NewOffset[], overrides: Partial<CommitRequest> = {}): CommitRequest {
  return { groupId, memberId: '', instanceId: null, generation: -1, offsets, ...overrides }
}

test('offsets come back as they were committed, after a restart too, and nothing for what was not', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 5), offset(1, 7)]))
  await fixture.groups.commitOffsets(simple([offset(1, 8, { metadata: 'a\0b', leaderEpoch: -1 })]))
  const asked = [
    { topic: 'orders', partition: 1 },
    { topic: 'orders', partition: 2 },
    { topic: 'other', partition: 0 },
  ]
  for (const isRestarted of [false, true]) {
    if (isRestarted) await fixture.restart()
    assert.deepEqual(await fixture.groups.committedOffsets(groupId, asked), [
      offset(1, 8, { metadata: 'a\0b', leaderEpoch: -1 }),
      { topic: 'orders', partition: 2, offset: -1, leaderEpoch: -1, metadata: '' },
      { topic: 'other', partition: 0, offset: -1, leaderEpoch: -1, metadata: '' },
    ])
    assert.deepEqual(await fixture.groups.committedOffsets(groupId), [
      offset(0, 5),
      offset(1, 8, { metadata: 'a\0b', leaderEpoch: -1 }),
    ])
    assert.deepEqual(fixture.groups.list(), [
      { groupId, state: 'Empty', generation: 0, protocolType: '', protocol: '', members: [] },
    ])
  }
})

test('a group that is not there has no offsets', async () => {
  await using fixture = await GroupsFixture.open()
  const nothing = { topic: 'orders', partition: 0, offset: -1, leaderEpoch: -1, metadata: '' }
  assert.deepEqual(await fixture.groups.committedOffsets('none', [{ topic: 'orders', partition: 0 }]), [nothing])
  assert.deepEqual(await fixture.groups.committedOffsets('none'), [])
  await assert.rejects(fixture.groups.committedOffsets(''), { code: 'GROUP_INVALID' })
})

test('each offset is checked by itself; those that can be are stored', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const answers = await fixture.groups.commitOffsets(
    simple([
      offset(0, 1),
      offset(0, 1, { topic: 'other' }),
      offset(-1, 1),
      offset(1, -3),
      offset(2, 1, { metadata: 'é'.repeat(2049) }),
      offset(3, 1, { metadata: 'é'.repeat(2048) }),
    ]),
  )
  assert.deepEqual(
    answers.map(({ error }) => error?.code),
    [undefined, 'TOPIC_NOT_FOUND', 'PARTITION_NOT_FOUND', 'OFFSET_OUT_OF_RANGE', 'LIMIT_EXCEEDED', undefined],
  )
  assert.equal((await fixture.groups.committedOffsets(groupId)).length, 2)
  await fixture.groups.commitOffsets(simple([offset(0, 1, { topic: 'other' })], { groupId: 'second' }))
  assert.equal(fixture.groups.describe('second'), undefined)
  assert.deepEqual(await fixture.groups.commitOffsets(simple([])), [])
})

test("Kafka's signs for the beginning and the end are kept as they are", async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const answers = await fixture.groups.commitOffsets(simple([offset(0, -2), offset(1, -1)]))
  assert.deepEqual(
    answers.map(({ error }) => error),
    [undefined, undefined],
  )
  const committed = await fixture.groups.committedOffsets(groupId)
  assert.deepEqual(
    new Map(committed.map((one) => [one.partition, one.offset])),
    new Map([
      [0, -2],
      [1, -1],
    ]),
  )
})

test('a topic that is made again under its name begins without offsets', async () => {
  await using fixture = await GroupsFixture.open()
  const id = await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 5)]))
  await fixture.metadata.deleteTopic({ id, nowMs: fixture.clock.nowMs() })
  fixture.topics.set(id, 'gone')
  await fixture.addTopic('orders')
  fixture.topics.delete(id)
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [])
  const [found] = await fixture.groups.committedOffsets(groupId, [{ topic: 'orders', partition: 0 }])
  assert.equal(found?.offset, -1)
})

test('a member that has joined but has no generation yet cannot commit', async () => {
  await using fixture = await GroupsFixture.open({ initialRebalanceDelayMs: 1_000 })
  await fixture.addTopic('orders')
  const id = fixture.join({ mustKnowMemberId: true })
  await assert.rejects(id, { code: 'GROUP_MEMBER_ID_REQUIRED' })
  const memberId = 'client-m1'
  const joining = fixture.join({ memberId })
  const request = simple([offset(0, 1)], { memberId, generation: 0 })
  await assert.rejects(fixture.groups.commitOffsets(request), { code: 'GROUP_GENERATION_STALE' })
  await fixture.timers.advance(1_000)
  await joining
})

test('a group that cannot be stored for its first commit leaves nothing behind', async () => {
  await using fixture = await GroupsFixture.open({}, () => ({
    saveGroup: async () => await Promise.reject(new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')),
  }))
  await fixture.addTopic('orders')
  await assert.rejects(fixture.groups.commitOffsets(simple([offset(0, 1)])), { code: 'DATABASE_UNAVAILABLE' })
  assert.deepEqual(fixture.groups.list(), [])
})

// Deleting

test('a deleted group is gone with its offsets, also when commits were on their way', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 5)]))
  const late = fixture.groups.commitOffsets(simple([offset(1, 5)]))
  await fixture.groups.delete(groupId)
  await late
  assert.deepEqual(await fixture.metadata.loadOffsets(groupId), [])
  assert.deepEqual(fixture.groups.list(), [])
  await assert.rejects(fixture.groups.delete(groupId), { code: 'GROUP_NOT_FOUND' })
  await fixture.restart()
  assert.deepEqual(fixture.groups.list(), [])
})

test('a group that could not be deleted goes on', async () => {
  await using fixture = await GroupsFixture.open({}, () => ({
    deleteGroup: async () => await Promise.reject(new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')),
  }))
  await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 5)]))
  await assert.rejects(fixture.groups.delete(groupId), { code: 'DATABASE_UNAVAILABLE' })
  assert.equal((await fixture.join()).answer.generation, 1)
})

test('offsets are deleted one by one, except of topics that members read', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  await fixture.addTopic('invoices')
  await fixture.groups.commitOffsets(simple([offset(0, 5), offset(1, 6), offset(0, 7, { topic: 'invoices' })]))
  await fixture.stable({})
  const partitions = [
    { topic: 'orders', partition: 0 },
    { topic: 'invoices', partition: 0 },
    { topic: 'other', partition: 0 },
  ]
  const answers = await fixture.groups.deleteOffsets(groupId, partitions)
  assert.deepEqual(
    answers.map(({ error }) => error?.code),
    ['GROUP_NOT_EMPTY', undefined, 'TOPIC_NOT_FOUND'],
  )
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [offset(0, 5), offset(1, 6)])
  await fixture.timers.advance(sessionTimeoutMs)
  await fixture.groups.deleteOffsets(groupId, partitions)
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [offset(1, 6)])
  await assert.rejects(fixture.groups.deleteOffsets('none', partitions), { code: 'GROUP_NOT_FOUND' })
})

test('no offset is deleted while it is not known what the members read', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const partitions = [{ topic: 'orders', partition: 0 }]
  await fixture.stable({ protocolType: 'connect' })
  await assert.rejects(fixture.groups.deleteOffsets(groupId, partitions), { code: 'GROUP_NOT_EMPTY' })
  await fixture.stable({ groupId: 'second', protocols: [{ name: 'range', metadata: Buffer.from('?') }] })
  const [answer] = await fixture.groups.deleteOffsets('second', partitions)
  assert.equal(answer?.error?.code, 'GROUP_NOT_EMPTY')
})

// Expiry

test('offsets expire when the group has had no member and no commit for the retention time, and the group with them', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const [a] = await fixture.stable({ sessionTimeoutMs: 300_000 })
  assert.ok(a)
  const { memberId, generation } = a.answer
  await fixture.groups.commitOffsets(simple([offset(0, 5)], { memberId, generation }))
  await fixture.groups.commitOffsets(simple([offset(0, 9)], { groupId: 'second' }))
  for (let passedMs = 0; passedMs < 8 * day; passedMs += 200_000) {
    fixture.heartbeat(a)
    await fixture.timers.advance(200_000)
  }
  assert.deepEqual(
    fixture.groups.list().map((group) => group.groupId),
    [groupId],
  )
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [offset(0, 5)])
  // From now on the group is empty: its offsets are kept for the retention time from here.
  await fixture.timers.advance(300_000 + 7 * day - 1)
  await fixture.restart()
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [offset(0, 5)])
  await fixture.timers.advance(20 * 60_000)
  await until(() => fixture.groups.list().length === 0)
  assert.deepEqual(await fixture.metadata.loadOffsets(groupId), [])
})

test('a group that only commits is kept as long as it does, after a restart too', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 1), offset(1, 1)]))
  await fixture.timers.advance(5 * day)
  await fixture.groups.commitOffsets(simple([offset(1, 2)]))
  await fixture.restart()
  await fixture.timers.advance(5 * day)
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), [offset(1, 2)])
  await fixture.timers.advance(3 * day)
  await until(() => fixture.groups.list().length === 0)
})

test('when the database is away at the time, what expired goes later', async () => {
  const fault = { isOn: true }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    expireOffsets: async (request) => {
      if (fault.isOn) throw new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')
      return await metadata.expireOffsets(request)
    },
  }))
  await fixture.addTopic('orders')
  await fixture.groups.commitOffsets(simple([offset(0, 1)]))
  await fixture.timers.advance(8 * day)
  assert.equal(fixture.groups.list().length, 1)
  fault.isOn = false
  await fixture.timers.advance(20 * 60_000)
  await until(() => fixture.groups.list().length === 0)
})
