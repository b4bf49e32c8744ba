import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { groupId, GroupsFixture, outcomeOf, sessionTimeoutMs, subscription } from './groups.fixture.ts'

const unavailable = new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')

test('a new process takes over the place and assignment of a static member without a rebalance; the old one is fenced', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, { instanceId: 'b' })
  assert.ok(a && b)
  const back = await fixture.join({ instanceId: 'b' })
  assert.notEqual(back.answer.memberId, b.answer.memberId)
  assert.deepEqual({ ...back.answer, memberId: '' }, { ...b.answer, memberId: '' })
  assert.equal(String((await fixture.sync(back)).assignment), `2/${b.answer.memberId}`)
  assert.throws(() => fixture.heartbeat(b), { code: 'GROUP_MEMBER_FENCED' })
  fixture.heartbeat(a)
  fixture.heartbeat(back)
})

test('a static leader that comes back leads, and is told not to assign', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({ instanceId: 'a' }, { instanceId: 'b' })
  assert.ok(a && b)
  const back = await fixture.join({ instanceId: 'a', canSkipAssignment: true })
  assert.deepEqual([back.answer.leader, back.answer.isAssignmentSkipped], [back.answer.memberId, true])
  assert.equal(back.answer.members.length, 2)
  // A client that does not know what that means must not take itself for the leader.
  const older = await fixture.join({ instanceId: 'a' })
  assert.deepEqual([older.answer.leader, older.answer.members], [back.answer.memberId, []])
  const rejoining = fixture.rejoin(older)
  assert.throws(() => fixture.heartbeat(b), { code: 'GROUP_REBALANCING' })
  await fixture.rejoin(b)
  assert.equal((await rejoining).answer.leader, older.answer.memberId)
})

test('a static member that comes back with other topics or another choice of protocol brings a rebalance', async () => {
  await using fixture = await GroupsFixture.open()
  const both = [
    { name: 'range', metadata: subscription('orders') },
    { name: 'sticky', metadata: subscription('orders') },
  ]
  const [a, b] = await fixture.stable({ instanceId: 'a', protocols: both }, { instanceId: 'b', protocols: both })
  assert.ok(a && b)
  const userData = Buffer.concat([subscription('orders').subarray(0, -4), Buffer.of(0, 0, 0, 1, 7)])
  await fixture.join({ instanceId: 'b', protocols: [{ name: 'range', metadata: userData }] })
  fixture.heartbeat(a)
  void outcomeOf(fixture.join({ instanceId: 'b', protocols: [{ name: 'sticky', metadata: subscription('orders') }] }))
  assert.throws(() => fixture.heartbeat(a), { code: 'GROUP_REBALANCING' })

  const [c, d] = await fixture.stable({ groupId: 'second', instanceId: 'c' }, { groupId: 'second', instanceId: 'd' })
  assert.ok(c && d)
  void outcomeOf(
    fixture.join({ groupId: 'second', instanceId: 'd', protocols: [{ name: 'range', metadata: subscription('x') }] }),
  )
  assert.throws(() => fixture.heartbeat(c), { code: 'GROUP_REBALANCING' })
})

test('a process that waits is told when another one takes its place', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, { instanceId: 'b' })
  assert.ok(a && b)
  const leader = fixture.rejoin(a)
  const joining = await fixture.stable({ groupId: 'second' }, { groupId: 'second', instanceId: 'b' })
  assert.equal(joining.length, 2)
  const [newLeader, follower] = await Promise.all([leader, fixture.rejoin(b)])
  const syncing = fixture.sync(follower)
  void outcomeOf(fixture.rejoin(newLeader))
  const taking = fixture.join({ instanceId: 'b' })
  await assert.rejects(syncing, { code: 'GROUP_MEMBER_FENCED' })
  void outcomeOf(taking)
  await assert.rejects(fixture.rejoin(b), { code: 'GROUP_MEMBER_FENCED' })
})

test('a static member keeps its place while it is away, up to its session timeout', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({ sessionTimeoutMs: 200_000 }, { instanceId: 'b', sessionTimeoutMs: 100_000 })
  assert.ok(a && b)
  const rejoining = fixture.rejoin(a)
  await fixture.timers.advance(60_000)
  assert.deepEqual(
    (await rejoining).answer.members.map(({ instanceId }) => instanceId),
    [null, 'b'],
  )
  await fixture.timers.advance(60_000)
  assert.equal(fixture.groups.describe(groupId)?.members.length, 0)
})

test('when only static members are left and none has joined, the group waits for them or their sessions', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable(
    { sessionTimeoutMs: 200_000, rebalanceTimeoutMs: 10_000 },
    { instanceId: 'b', sessionTimeoutMs: 200_000, rebalanceTimeoutMs: 10_000 },
  )
  assert.ok(a && b)
  assert.equal(
    fixture.groups.leave({ groupId, members: [{ memberId: a.answer.memberId, instanceId: null }] })[0]?.error,
    undefined,
  )
  await fixture.timers.advance(25_000)
  assert.equal(fixture.groups.describe(groupId)?.state, 'PreparingRebalance')
  const back = await fixture.join({ instanceId: 'b' })
  assert.deepEqual([back.answer.generation, back.answer.leader], [3, back.answer.memberId])
})

test('a static member leaves by its instance id, not by its member id alone', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({ instanceId: 'a' }, { instanceId: 'b' })
  assert.ok(a && b)
  const members = [
    { memberId: a.answer.memberId, instanceId: null },
    { memberId: '', instanceId: 'nobody' },
    { memberId: '', instanceId: null },
    { memberId: b.answer.memberId, instanceId: 'a' },
    { memberId: '', instanceId: 'a' },
    { memberId: b.answer.memberId, instanceId: 'b' },
  ]
  assert.deepEqual(
    fixture.groups.leave({ groupId, members }).map(({ error }) => error?.code),
    ['GROUP_MEMBER_UNKNOWN', 'GROUP_MEMBER_UNKNOWN', 'GROUP_MEMBER_UNKNOWN', 'GROUP_MEMBER_FENCED', undefined, undefined],
  )
  assert.equal(fixture.groups.describe(groupId)?.state, 'Empty')
})

test('a takeover is answered when it is stored; if it cannot be, the process may come again', async () => {
  const fault = { isOn: false }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    saveGroup: async (row) => {
      if (fault.isOn) throw unavailable
      await metadata.saveGroup(row)
    },
  }))
  const [a, b] = await fixture.stable({}, { instanceId: 'b' })
  assert.ok(a && b)
  fault.isOn = true
  await assert.rejects(fixture.join({ instanceId: 'b' }), { code: 'DATABASE_UNAVAILABLE' })
  fault.isOn = false
  const back = await fixture.join({ instanceId: 'b' })
  await fixture.restart()
  fixture.heartbeat(a)
  fixture.heartbeat(back)
})

test('a takeover during which a rebalance begins becomes part of the next generation', async () => {
  const gate = { opens: Promise.resolve() }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    saveGroup: async (row) => {
      await gate.opens
      await metadata.saveGroup(row)
    },
  }))
  const [a, b] = await fixture.stable({}, { instanceId: 'b' })
  assert.ok(a && b)
  const { promise, resolve } = Promise.withResolvers<void>()
  gate.opens = promise
  const taking = fixture.join({ instanceId: 'b' })
  const rejoining = fixture.rejoin(a)
  resolve()
  const members = await Promise.all([taking, rejoining])
  assert.deepEqual(
    members.map(({ answer }) => answer.generation),
    [3, 3],
  )
})

test('a new static member whose connection goes away keeps its place for its session', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({ sessionTimeoutMs: 200_000 })
  assert.ok(a)
  const connection = new AbortController()
  void outcomeOf(fixture.join({ instanceId: 'b', signal: connection.signal }))
  connection.abort()
  const rejoining = fixture.rejoin(a)
  assert.equal(await outcomeOf(rejoining), 'waits')
  await fixture.timers.advance(sessionTimeoutMs)
  assert.equal((await rejoining).answer.members.length, 1)
})
