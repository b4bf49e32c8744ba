import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import {
  groupId,
  GroupsFixture,
  joinRequest,
  outcomeOf,
  rebalanceTimeoutMs,
  sessionTimeoutMs,
  subscription,
} from './groups.fixture.ts'
import type { JoinRequest, MemberProtocol } from './group-types.ts'

test('the leader gets all members with their metadata, others an empty list, and each the assignment that the leader gave it', async () => {
  await using fixture = await GroupsFixture.open({ initialRebalanceDelayMs: 100 })
  const metadata = Buffer.from('of b')
  const joining = Promise.all([fixture.join(), fixture.join({ clientId: 'b', protocols: [{ name: 'range', metadata }] })])
  await fixture.timers.advance(200)
  const [a, b] = await joining
  assert.equal(a.answer.leader, a.answer.memberId)
  assert.deepEqual(
    a.answer.members.map(({ memberId }) => memberId),
    [a.answer.memberId, b.answer.memberId],
  )
  assert.deepEqual(a.answer.members[1]?.metadata, metadata)
  assert.match(b.answer.memberId, /^b-/)
  assert.deepEqual({ ...b.answer, memberId: '' }, { ...a.answer, memberId: '', members: [] })
  const waiting = fixture.sync(b)
  assert.equal(await outcomeOf(waiting), 'waits')
  assert.equal(String((await fixture.sync(a)).assignment), `1/${a.answer.memberId}`)
  const answer = await waiting
  assert.deepEqual(
    { ...answer, assignment: String(answer.assignment) },
    { protocolType: 'consumer', protocol: 'range', assignment: `1/${b.answer.memberId}` },
  )
})

test('a group that was empty waits for more members as long as they keep coming, at most for the rebalance timeout', async () => {
  await using fixture = await GroupsFixture.open({ initialRebalanceDelayMs: 3_000 })
  const joining = [fixture.join({ rebalanceTimeoutMs: 10_000 })]
  for (let passedMs = 0; passedMs < 9_000; passedMs += 1_000) {
    await fixture.timers.advance(1_000)
    joining.push(fixture.join({ rebalanceTimeoutMs: 5_000 }))
  }
  assert.equal(fixture.groups.describe(groupId)?.state, 'PreparingRebalance')
  await fixture.timers.advance(1_000)
  const [first] = await Promise.all(joining)
  assert.equal(first?.answer.members.length, 10)
})

test('without such a delay the first member starts alone', async () => {
  await using fixture = await GroupsFixture.open()
  const { answer } = await fixture.join()
  assert.deepEqual([answer.generation, answer.members.length], [1, 1])
})

test('the next generation begins when all known members have joined again', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const c = fixture.join()
  assert.throws(() => fixture.heartbeat(a), { code: 'GROUP_REBALANCING' })
  const rejoiningA = fixture.rejoin(a)
  assert.equal(await outcomeOf(rejoiningA), 'waits')
  const members = await Promise.all([rejoiningA, fixture.rejoin(b), c])
  assert.deepEqual(
    members.map(({ answer }) => answer.generation),
    [3, 3, 3],
  )
})

test('a member that does not join again before the rebalance timeout is out, and another one leads', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({ sessionTimeoutMs: 200_000 }, { sessionTimeoutMs: 200_000 })
  assert.ok(a && b)
  const rejoining = fixture.rejoin(b, { protocols: [{ name: 'range', metadata: subscription('invoices') }] })
  await fixture.timers.advance(rebalanceTimeoutMs)
  const { answer } = await rejoining
  assert.deepEqual([answer.leader, answer.members.length], [answer.memberId, 1])
  assert.throws(() => fixture.heartbeat(a), { code: 'GROUP_MEMBER_UNKNOWN' })
})

test('members that do not ask for their assignment are out after the rebalance timeout, however alive they are', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const [leader, follower] = await Promise.all([fixture.rejoin(a), fixture.rejoin(b)])
  const waiting = fixture.sync(follower)
  const outcome = outcomeOf(waiting)
  for (let passedMs = 0; passedMs < rebalanceTimeoutMs; passedMs += 5_000) {
    fixture.heartbeat(leader)
    await fixture.timers.advance(5_000)
  }
  assert.equal(await outcome, 'waits')
  await assert.rejects(waiting, { code: 'GROUP_REBALANCING' })
  assert.throws(() => fixture.heartbeat(leader), { code: 'GROUP_MEMBER_UNKNOWN' })
  const { answer } = await fixture.rejoin(follower)
  assert.equal(answer.leader, answer.memberId)
})

test('a member that lost its connection before the assignment came, and does not ask again, is out as well', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const [leader, follower] = await Promise.all([fixture.rejoin(a), fixture.rejoin(b)])
  const connection = new AbortController()
  void outcomeOf(fixture.sync(follower, { signal: connection.signal }))
  const syncing = fixture.sync(leader)
  connection.abort()
  await syncing
  for (let passedMs = 0; passedMs < rebalanceTimeoutMs; passedMs += 5_000) {
    for (const member of [leader, follower]) fixture.heartbeat(member)
    await fixture.timers.advance(5_000)
  }
  assert.throws(() => fixture.heartbeat(follower), { code: 'GROUP_MEMBER_UNKNOWN' })
  assert.throws(() => fixture.heartbeat(leader), { code: 'GROUP_REBALANCING' })
})

test('a rebalance calls back those who wait for their assignment', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const [, follower] = await Promise.all([fixture.rejoin(a), fixture.rejoin(b)])
  const waiting = fixture.sync(follower)
  void outcomeOf(fixture.join())
  await assert.rejects(waiting, { code: 'GROUP_REBALANCING' })
})

test('a session begins anew with each sign of life and ends without; the others rebalance', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, { sessionTimeoutMs: 3_000 })
  assert.ok(a && b)
  for (let beat = 0; beat < 5; beat++) {
    await fixture.timers.advance(2_000)
    fixture.heartbeat(a)
    fixture.heartbeat(b)
  }
  await fixture.timers.advance(2_999)
  fixture.heartbeat(a)
  await fixture.timers.advance(1)
  assert.throws(() => fixture.heartbeat(b), { code: 'GROUP_MEMBER_UNKNOWN' })
  assert.throws(() => fixture.heartbeat(a), { code: 'GROUP_REBALANCING' })
})

test('a member that waits needs no heartbeats; a new one is asked to join again after five minutes', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({ rebalanceTimeoutMs: 600_000 })
  assert.ok(a)
  const newcomer = fixture.join()
  const outcome = outcomeOf(newcomer)
  for (let passedMs = 0; passedMs < 300_000; passedMs += 5_000) {
    assert.throws(() => fixture.heartbeat(a), { code: 'GROUP_REBALANCING' })
    await fixture.timers.advance(5_000)
  }
  assert.equal(await outcome, 'waits')
  await assert.rejects(newcomer, { code: 'GROUP_MEMBER_UNKNOWN' })
})

test('a member that joins twice gets one answer, on the later request', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const first = fixture.rejoin(a)
  const second = fixture.rejoin(a)
  await assert.rejects(first, { code: 'GROUP_REBALANCING' })
  await fixture.rejoin(b)
  assert.equal((await second).answer.generation, 3)
})

test('a follower that joins or syncs again gets what it got before', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const again = await fixture.rejoin(b)
  assert.deepEqual(again.answer, b.answer)
  assert.equal(String((await fixture.sync(again)).assignment), `2/${b.answer.memberId}`)
  fixture.heartbeat(a)
})

test('the first assignment that a leader sends counts', async () => {
  await using fixture = await GroupsFixture.open()
  const joined = await fixture.join()
  const { memberId, generation } = joined.answer
  const request = { groupId, memberId, instanceId: null, generation, protocolType: 'consumer', protocol: 'range' }
  const once = fixture.groups.sync({ ...request, assignments: [{ memberId, assignment: Buffer.from('once') }] })
  const twice = fixture.groups.sync({ ...request, assignments: [{ memberId, assignment: Buffer.from('twice') }] })
  await assert.rejects(once, { code: 'GROUP_REBALANCING' })
  assert.equal(String((await twice).assignment), 'once')
  await fixture.restart()
  assert.equal(String((await fixture.sync(joined)).assignment), 'once')
})

test('a member without an assignment gets an empty one', async () => {
  await using fixture = await GroupsFixture.open()
  const { answer } = await fixture.join()
  const { memberId, generation } = answer
  const request = { groupId, memberId, instanceId: null, generation, protocolType: null, protocol: null, assignments: [] }
  assert.equal((await fixture.groups.sync(request)).assignment.length, 0)
})

// Connections

test('a new member whose connection goes away is out at once', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({})
  assert.ok(a)
  const connection = new AbortController()
  const newcomer = fixture.join({ signal: connection.signal })
  assert.equal(await outcomeOf(newcomer), 'waits')
  connection.abort()
  await assert.rejects(newcomer, { code: 'TIMEOUT' })
  assert.equal((await fixture.rejoin(a)).answer.members.length, 1)
})

test('a known member whose connection goes away while it joins may come back until its session ends', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, { sessionTimeoutMs: 20_000 })
  assert.ok(a && b)
  const connection = new AbortController()
  const lost = fixture.rejoin(a, { signal: connection.signal })
  void outcomeOf(lost)
  connection.abort()
  const rejoiningB = fixture.rejoin(b)
  assert.equal(await outcomeOf(rejoiningB), 'waits')
  await fixture.timers.advance(sessionTimeoutMs - 1)
  const [back, other] = await Promise.all([fixture.rejoin(a), rejoiningB])
  assert.deepEqual([back.answer.members.length, other.answer.generation], [2, 3])

  await Promise.all([fixture.sync(back), fixture.sync(other)])
  const again = new AbortController()
  void outcomeOf(fixture.rejoin(back, { signal: again.signal }))
  again.abort()
  const alone = fixture.rejoin(other)
  await fixture.timers.advance(sessionTimeoutMs)
  assert.equal((await alone).answer.members.length, 1)
})

test('a connection that goes away while its member waits for the assignment ends the wait, not the generation', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const [leader, follower] = await Promise.all([fixture.rejoin(a), fixture.rejoin(b)])
  const connection = new AbortController()
  const lost = fixture.sync(follower, { signal: connection.signal })
  void outcomeOf(lost)
  connection.abort()
  await assert.rejects(lost, { code: 'TIMEOUT' })
  await fixture.sync(leader)
  assert.equal(String((await fixture.sync(follower)).assignment), `3/${follower.answer.memberId}`)
})

test('a request of a connection that is gone already is not begun', async () => {
  await using fixture = await GroupsFixture.open()
  await assert.rejects(fixture.join({ signal: AbortSignal.abort() }), { code: 'TIMEOUT' })
  assert.deepEqual(fixture.groups.list(), [])
})

// Member ids

test('a new dynamic member is sent away with an id, and joins with it', async () => {
  await using fixture = await GroupsFixture.open()
  const memberId = await givenId(fixture)
  const { answer } = await fixture.join({ mustKnowMemberId: true, memberId })
  assert.equal(answer.memberId, memberId)
  assert.throws(() => fixture.heartbeat({ request: joinRequest(), answer: { ...answer, memberId: 'other' } }), {
    code: 'GROUP_MEMBER_UNKNOWN',
  })
})

test('an id that was given out holds up the next generation until its session is over', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({ sessionTimeoutMs: 200_000 })
  assert.ok(a)
  const memberId = await givenId(fixture)
  const rejoining = fixture.rejoin(a)
  assert.equal(await outcomeOf(rejoining), 'waits')
  await fixture.timers.advance(sessionTimeoutMs)
  assert.equal((await rejoining).answer.members.length, 1)
  await assert.rejects(fixture.join({ memberId }), { code: 'GROUP_MEMBER_UNKNOWN' })
})

test('who leaves before it joined with its id holds up nobody, and a group of nobody is forgotten', async () => {
  await using fixture = await GroupsFixture.open()
  const memberId = await givenId(fixture)
  assert.deepEqual(fixture.groups.leave({ groupId, members: [{ memberId, instanceId: null }] }), [{ memberId, instanceId: null }])
  assert.deepEqual(fixture.groups.list(), [])
  await givenId(fixture)
  await fixture.timers.advance(sessionTimeoutMs)
  assert.deepEqual(fixture.groups.list(), [])
})

async function givenId(fixture: GroupsFixture): Promise<string> {
  try {
    await fixture.join({ mustKnowMemberId: true })
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'GROUP_MEMBER_ID_REQUIRED')
    return String(error.details?.['memberId'])
  }
  throw new Error('the member was let in')
}

// Protocols

const protocolCases: [string, members: string[][], selected: string][] = [
  ['the only one', [['range']], 'range'],
  ['the one that the member likes best', [['sticky', 'range']], 'sticky'],
  ['the only common one', [['sticky', 'range'], ['range', 'roundrobin']], 'range'],
  ['the one that most like best of the common ones', [['a', 'b'], ['c', 'b', 'a'], ['b', 'a']], 'b'],
  ['of equals the one that the first member likes better', [['a', 'b'], ['b', 'a']], 'a'],
] // prettier-ignore
for (const [name, members, selected] of protocolCases) {
  test(`a group follows ${name}`, async () => {
    await using fixture = await GroupsFixture.open({ initialRebalanceDelayMs: 1 })
    const joining = Promise.all(members.map(async (names) => await fixture.join({ protocols: protocolsOf(names) })))
    await fixture.timers.advance(10)
    for (const { answer } of await joining) assert.equal(answer.protocol, selected)
  })
}

test('a member that shares no protocol or has another type is refused; one alone may change its mind', async () => {
  await using fixture = await GroupsFixture.open()
  const [a] = await fixture.stable({ protocols: protocolsOf(['range', 'sticky']) })
  assert.ok(a)
  await assert.rejects(fixture.join({ protocols: protocolsOf(['roundrobin']) }), { code: 'GROUP_PROTOCOL_MISMATCH' })
  await assert.rejects(fixture.join({ protocolType: 'connect' }), { code: 'GROUP_PROTOCOL_MISMATCH' })
  await assert.rejects(fixture.join({ protocols: [] }), { code: 'GROUP_PROTOCOL_MISMATCH' })
  fixture.heartbeat(a)
  const alone = await fixture.rejoin(a, { protocols: protocolsOf(['roundrobin']) })
  assert.equal(alone.answer.protocol, 'roundrobin')
  const { memberId, generation } = alone.answer
  const request = {
    groupId,
    memberId,
    instanceId: null,
    generation,
    protocolType: 'consumer',
    protocol: 'range',
    assignments: [],
  }
  await assert.rejects(fixture.groups.sync(request), { code: 'GROUP_PROTOCOL_MISMATCH' })
  await assert.rejects(fixture.groups.sync({ ...request, protocolType: 'connect' }), { code: 'GROUP_PROTOCOL_MISMATCH' })
})

function protocolsOf(names: string[]): MemberProtocol[] {
  return names.map((name) => ({ name, metadata: subscription('orders') }))
}

// Bounds

const invalidJoins: [string, Partial<JoinRequest>][] = [
  ['an empty group id', { groupId: '' }],
  ['a group id that is too long', { groupId: 'g'.repeat(1025) }],
  ['a group id with a zero character', { groupId: 'a\0b' }],
  ['an empty instance id', { instanceId: '' }],
  ['a session timeout below the bounds', { sessionTimeoutMs: 999 }],
  ['a session timeout above the bounds', { sessionTimeoutMs: 300_001 }],
  ['a session timeout that is no number', { sessionTimeoutMs: Number.NaN }],
  ['too many protocols', { protocols: protocolsOf(Array.from({ length: 65 }, (_, index) => `p${index}`)) }],
  ['an empty protocol name', { protocols: protocolsOf(['']) }],
  ['too much metadata', { protocols: [{ name: 'range', metadata: Buffer.alloc(1_048_577) }] }],
]
for (const [name, overrides] of invalidJoins) {
  test(`a join with ${name} is refused`, async () => {
    await using fixture = await GroupsFixture.open()
    await assert.rejects(fixture.join(overrides), { code: 'GROUP_INVALID' })
    assert.deepEqual(fixture.groups.list(), [])
  })
}

test('a refusal says when the session timeout is the reason', async () => {
  await using fixture = await GroupsFixture.open()
  await assert.rejects(fixture.join({ sessionTimeoutMs: 5 }), { code: 'GROUP_INVALID', details: { sessionTimeoutMs: 5 } })
})

test('an assignment that is too large is refused', async () => {
  await using fixture = await GroupsFixture.open()
  const { answer } = await fixture.join()
  const { memberId, generation } = answer
  const assignments = [{ memberId, assignment: Buffer.alloc(1_048_577) }]
  const request = { groupId, memberId, instanceId: null, generation, protocolType: null, protocol: null, assignments }
  await assert.rejects(fixture.groups.sync(request), { code: 'GROUP_INVALID' })
})

test('groups and their members are limited, given out ids included', async () => {
  await using fixture = await GroupsFixture.open({ maxGroups: 2, maxMembers: 2 })
  const { answer } = await fixture.join()
  const memberId = await givenId(fixture)
  await assert.rejects(fixture.join(), { code: 'GROUP_LIMIT' })
  await assert.rejects(fixture.join({ instanceId: 'static' }), { code: 'GROUP_LIMIT' })
  void outcomeOf(fixture.join({ memberId }))
  assert.equal((await fixture.join({ memberId: answer.memberId })).answer.members.length, 2)
  await fixture.join({ groupId: 'second' })
  await assert.rejects(fixture.join({ groupId: 'third' }), { code: 'GROUP_LIMIT' })
})

test('a client id of any kind becomes part of a member id that a database can hold', async () => {
  await using fixture = await GroupsFixture.open()
  const { answer } = await fixture.join({ clientId: `a\0${'😀'.repeat(200)}` })
  assert.ok(answer.memberId.isWellFormed() && !answer.memberId.includes('\0') && answer.memberId.length < 300)
})

test('each request names the fault of a generation or member that is not the present one', async () => {
  await using fixture = await GroupsFixture.open()
  await fixture.addTopic('orders')
  const [a] = await fixture.stable({ instanceId: 'a' })
  assert.ok(a)
  const { memberId, generation } = a.answer
  const present = { groupId, memberId, instanceId: 'a', generation }
  const faults: [string, typeof present][] = [
    ['GROUP_GENERATION_STALE', { ...present, generation: generation + 1 }],
    ['GROUP_MEMBER_UNKNOWN', { ...present, groupId: 'other' }],
    ['GROUP_MEMBER_UNKNOWN', { ...present, instanceId: 'b' }],
    ['GROUP_MEMBER_FENCED', { ...present, memberId: 'other' }],
  ]
  for (const [code, request] of faults) {
    assert.throws(() => fixture.groups.heartbeat(request), { code })
    const sync = { ...request, protocolType: null, protocol: null, assignments: [] }
    await assert.rejects(fixture.groups.sync(sync), { code })
    const offsets = [{ topic: 'orders', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }]
    // A group that is not there has no generation either.
    const commitCode = request.groupId === 'other' ? 'GROUP_GENERATION_STALE' : code
    await assert.rejects(fixture.groups.commitOffsets({ ...request, offsets }), { code: commitCode })
    if (code === 'GROUP_GENERATION_STALE') continue
    await assert.rejects(fixture.join(request), { code })
    const [left] = fixture.groups.leave({ groupId: request.groupId, members: [request] })
    assert.equal(left?.error?.code, code)
  }
  fixture.heartbeat(a)
})

test('closing answers everybody who waits, leaves no timer, and refuses what comes later', async () => {
  await using fixture = await GroupsFixture.open()
  const [a, b] = await fixture.stable({}, {})
  assert.ok(a && b)
  const joining = fixture.rejoin(a)
  const other = await fixture.stable({ groupId: 'other' }, { groupId: 'other' })
  const [, follower] = await Promise.all(other.map(async (member) => await fixture.rejoin(member)))
  assert.ok(follower)
  const syncing = fixture.sync(follower)
  await assert.rejects(fixture.join({ groupId: 'third', mustKnowMemberId: true }), { code: 'GROUP_MEMBER_ID_REQUIRED' })
  const waits = [joining, syncing]
  assert.deepEqual(await Promise.all(waits.map(outcomeOf)), ['waits', 'waits'])
  await fixture.groups[Symbol.asyncDispose]()
  assert.equal(fixture.timers.pending, 0)
  for (const wait of waits) await assert.rejects(wait, { code: 'SHUTTING_DOWN' })
  await assert.rejects(fixture.join(), { code: 'SHUTTING_DOWN' })
  assert.throws(() => fixture.heartbeat(b), { code: 'SHUTTING_DOWN' })
})
