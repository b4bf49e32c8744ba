import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { groupId, GroupsFixture, outcomeOf, sessionTimeoutMs, turn } from './groups.fixture.ts'

const unavailable = new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')

test('a restart is no rebalance for members that heartbeat in time', async () => {
  await using fixture = await GroupsFixture.open()
  const members = await fixture.stable({}, { instanceId: 'b' }, { clientId: 'c' })
  const before = fixture.groups.describe(groupId)
  await fixture.timers.advance(sessionTimeoutMs - 1)
  await fixture.restart()
  await fixture.timers.advance(sessionTimeoutMs - 1)
  for (const member of members) fixture.heartbeat(member)
  assert.deepEqual(fixture.groups.describe(groupId), before)
  for (const member of members) {
    assert.equal(String((await fixture.sync(member)).assignment), `3/${member.answer.memberId}`)
  }
  const [leader] = members
  assert.ok(leader)
  void outcomeOf(fixture.rejoin(leader))
  assert.equal(fixture.groups.describe(groupId)?.state, 'PreparingRebalance')
})

test('after a restart, members that are gone time out and the others rebalance', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  await fixture.restart()
  fixture.heartbeat(b)
  await fixture.timers.advance(5_000)
  fixture.heartbeat(b)
  await fixture.timers.advance(5_000)
  assert.throws(() => fixture.heartbeat(b), { code: 'GROUP_REBALANCING' })
  const { answer } = await fixture.rejoin(b)
  assert.deepEqual([answer.generation, answer.leader], [3, answer.memberId])
})

test('a restart in the midst of a rebalance goes back to the last generation that was stable', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const [newA, newB] = await Promise.all([fixture.rejoin(a), fixture.rejoin(b)])
  await fixture.restart()
  assert.throws(() => fixture.heartbeat(newB), { code: 'GROUP_GENERATION_STALE' })
  const members = await Promise.all([fixture.rejoin(newA), fixture.rejoin(newB)])
  await Promise.all(members.map(async (member) => await fixture.sync(member)))
})

test('a group that commits before its first generation was ever stable is stored without members', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const { answer } = await fixture.join()
  void outcomeOf(fixture.join())
  const { memberId, generation } = answer
  const offsets = [{ topic: 'orders', partition: 0, offset: 4, leaderEpoch: -1, metadata: '' }]
  await fixture.groups.commitOffsets({ groupId, memberId, instanceId: null, generation, offsets })
  await fixture.restart()
  assert.deepEqual([fixture.groups.describe(groupId)?.state, fixture.groups.describe(groupId)?.generation], ['Empty', 1])
  assert.deepEqual(await fixture.groups.committedOffsets(groupId), offsets)
})

test('the generation of a group that became empty outlasts a restart', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({})
  assert.ok(a)
  fixture.groups.leave({ groupId, members: [a.answer].map(({ memberId }) => ({ memberId, instanceId: null })) })
  await fixture.restart()
  assert.equal(fixture.groups.describe(groupId)?.state, 'Empty')
  assert.equal((await fixture.join()).answer.generation, 3)
})

test('an assignment is given out when it is stored; if it cannot be, all join again', async () => {
  const fault = { isOn: true }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    saveGroup: async (row) => {
      if (fault.isOn) throw unavailable
      await metadata.saveGroup(row)
    },
  }))
  const joined = await fixture.join()
  await assert.rejects(fixture.sync(joined), { code: 'DATABASE_UNAVAILABLE' })
  assert.throws(() => fixture.heartbeat(joined), { code: 'GROUP_REBALANCING' })
  fault.isOn = false
  const again = await fixture.rejoin(joined)
  assert.equal(String((await fixture.sync(again)).assignment), `2/${again.answer.memberId}`)
})

test('an assignment that is stored too late for its generation is not given out', async () => {
  const gate = { opens: Promise.resolve() }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    saveGroup: async (row) => {
      await gate.opens
      await metadata.saveGroup(row)
    },
  }))
  const [a] = await fixture.stable({})
  assert.ok(a)
  const { promise, resolve } = Promise.withResolvers<void>()
  gate.opens = promise
  const leader = await fixture.rejoin(a)
  const syncing = fixture.sync(leader)
  void outcomeOf(fixture.join())
  await assert.rejects(syncing, { code: 'GROUP_REBALANCING' })
  const again = await fixture.rejoin(leader)
  const next = fixture.sync(again)
  assert.equal(await outcomeOf(next), 'waits')
  resolve()
  assert.equal(String((await next).assignment), `3/${again.answer.memberId}`)
})

test('a group that became empty while the database was away is forgotten, or found again and times out', async () => {
  const fault = { isOn: false }
  await using fixture = await GroupsFixture.open({}, (metadata) => ({
    saveGroup: async (row) => {
      if (fault.isOn) throw unavailable
      await metadata.saveGroup(row)
    },
  }))
  const [a] = await fixture.stable({})
  assert.ok(a)
  fault.isOn = true
  await fixture.timers.advance(sessionTimeoutMs)
  await turn()
  assert.equal(fixture.groups.describe(groupId)?.state, 'Empty')
  const { answer } = await fixture.join({ groupId: 'second' })
  fixture.groups.leave({ groupId: 'second', members: [{ memberId: answer.memberId, instanceId: null }] })
  assert.equal(fixture.groups.describe('second'), undefined)
  fault.isOn = false
  await fixture.restart()
  assert.equal(fixture.groups.describe(groupId)?.state, 'Stable')
  await fixture.timers.advance(sessionTimeoutMs)
  assert.equal(fixture.groups.describe(groupId)?.state, 'Empty')
})
