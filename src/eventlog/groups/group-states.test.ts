import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupStates, type GroupState } from './group-states.ts'
import {
  groupId,
  GroupsFixture,
  type Joined,
  outcomeOf,
  rebalanceTimeoutMs,
  sessionTimeoutMs,
  subscription,
  turn,
} from './groups.fixture.ts'

/** A group in some state: `leader` is a dynamic member, `follower` a static one; the last generation that was stable is theirs. */
type Scene = { readonly fixture: GroupsFixture; readonly leader: Joined; readonly follower: Joined }

const waitsAndPrepares = 'waits, PreparingRebalance'

/** What a request comes to at once, and the state that the group is in then; by the state before. */
const cases: Record<string, { act: (scene: Scene) => unknown } & Record<GroupState, string>> = {
  'a new member joins': {
    act: async ({ fixture }) => await fixture.join(),
    Empty: waitsAndPrepares,
    PreparingRebalance: waitsAndPrepares,
    CompletingRebalance: waitsAndPrepares,
    Stable: waitsAndPrepares,
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'a follower joins again': {
    act: async ({ fixture, follower }) => await fixture.rejoin(follower),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'ok, CompletingRebalance',
    CompletingRebalance: 'ok, CompletingRebalance',
    Stable: 'ok, Stable',
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'a follower joins again with another subscription': {
    act: async ({ fixture, follower }) =>
      await fixture.rejoin(follower, { protocols: [{ name: 'range', metadata: subscription('invoices') }] }),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'ok, CompletingRebalance',
    CompletingRebalance: waitsAndPrepares,
    Stable: waitsAndPrepares,
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'the leader joins again': {
    act: async ({ fixture, leader }) => await fixture.rejoin(leader),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: waitsAndPrepares,
    CompletingRebalance: 'ok, CompletingRebalance',
    Stable: waitsAndPrepares,
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'a new process of the static follower joins': {
    act: async ({ fixture, follower }) => await fixture.join({ instanceId: follower.request.instanceId }),
    Empty: waitsAndPrepares,
    PreparingRebalance: 'ok, CompletingRebalance',
    CompletingRebalance: waitsAndPrepares,
    Stable: 'ok, Stable',
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'a follower asks for its assignment': {
    act: async ({ fixture, follower }) => await fixture.sync(follower),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'GROUP_REBALANCING, PreparingRebalance',
    CompletingRebalance: 'waits, CompletingRebalance',
    Stable: 'ok, Stable',
    Dead: 'GROUP_MEMBER_UNKNOWN, Dead',
  },
  'a follower is alive': {
    act: ({ fixture, follower }) => fixture.heartbeat(follower),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'GROUP_REBALANCING, PreparingRebalance',
    CompletingRebalance: 'ok, CompletingRebalance',
    Stable: 'ok, Stable',
    Dead: 'GROUP_MEMBER_UNKNOWN, Dead',
  },
  'a follower commits': {
    act: async ({ fixture, follower }) => await commit(fixture, follower.answer),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'ok, PreparingRebalance',
    CompletingRebalance: 'GROUP_REBALANCING, CompletingRebalance',
    Stable: 'ok, Stable',
    Dead: 'GROUP_MEMBER_UNKNOWN, Dead',
  },
  'a consumer without the group commits': {
    act: async ({ fixture }) => await commit(fixture, { memberId: '', generation: -1 }),
    Empty: 'ok, Empty',
    PreparingRebalance: 'GROUP_MEMBER_UNKNOWN, PreparingRebalance',
    CompletingRebalance: 'GROUP_MEMBER_UNKNOWN, CompletingRebalance',
    Stable: 'GROUP_MEMBER_UNKNOWN, Stable',
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
  'the follower leaves': {
    act: ({ fixture, follower }) => leave(fixture, follower),
    Empty: 'GROUP_MEMBER_UNKNOWN, Empty',
    PreparingRebalance: 'ok, CompletingRebalance',
    CompletingRebalance: 'ok, PreparingRebalance',
    Stable: 'ok, PreparingRebalance',
    Dead: 'GROUP_MEMBER_UNKNOWN, Dead',
  },
  'the group is deleted': {
    act: async ({ fixture }) => await fixture.groups.delete(groupId),
    Empty: 'ok, none',
    PreparingRebalance: 'GROUP_NOT_EMPTY, PreparingRebalance',
    CompletingRebalance: 'GROUP_NOT_EMPTY, CompletingRebalance',
    Stable: 'GROUP_NOT_EMPTY, Stable',
    Dead: 'LOG_UNAVAILABLE, Dead',
  },
}

for (const [name, { act, ...outcomes }] of Object.entries(cases)) {
  for (const state of groupStates) {
    test(`${name}, in a group that is ${state}: ${outcomes[state]}`, async () => {
      const release = Promise.withResolvers<void>()
      await using fixture = await openFixture(state, release.promise)
      const scene = await reach(fixture, state)
      assert.equal(fixture.groups.describe(groupId)?.state, state)
      const outcome = await outcomeOf((async () => await act(scene))())
      const after = fixture.groups.describe(groupId)?.state ?? 'none'
      assert.equal(`${outcome}, ${after}`, outcomes[state])
      release.resolve()
    })
  }
}

/** The state that a group is in when time has passed; by the state before. */
const waits: Record<string, { pass: (scene: Scene) => Promise<void> } & Record<GroupState, string>> = {
  'the members only send heartbeats for the longest time that joining or syncing may take': {
    pass: async (scene) => await passTime(scene, rebalanceTimeoutMs),
    Empty: 'Empty',
    // The leader has joined; the static follower keeps its place.
    PreparingRebalance: 'CompletingRebalance',
    // Nobody asked for an assignment: all are out.
    CompletingRebalance: 'Empty',
    Stable: 'Stable',
    Dead: 'Dead',
  },
  'the members stay silent for longer than a session': {
    pass: async ({ fixture }) => await fixture.timers.advance(sessionTimeoutMs),
    Empty: 'Empty',
    // The leader waits for the next generation: its connection stands for it.
    PreparingRebalance: 'CompletingRebalance',
    CompletingRebalance: 'Empty',
    Stable: 'Empty',
    Dead: 'Dead',
  },
}

for (const [name, { pass, ...states }] of Object.entries(waits)) {
  for (const state of groupStates) {
    test(`${name}, in a group that is ${state}: ${states[state]}`, async () => {
      const release = Promise.withResolvers<void>()
      await using fixture = await openFixture(state, release.promise)
      await pass(await reach(fixture, state))
      assert.equal(fixture.groups.describe(groupId)?.state, states[state])
      release.resolve()
    })
  }
}

/** The deletion of a group that is to be seen while it is `Dead` waits for `release`. */
async function openFixture(state: GroupState, release: Promise<void>): Promise<GroupsFixture> {
  const fixture = await GroupsFixture.open({ initialRebalanceDelayMs: 1 }, (metadata) => ({
    deleteGroup: async (id) => {
      if (state === 'Dead') await release
      return await metadata.deleteGroup(id)
    },
  }))
  await fixture.addTopic('orders')
  return fixture
}

async function reach(fixture: GroupsFixture, state: GroupState): Promise<Scene> {
  const [leader, follower] = await formGroup(fixture)
  if (state === 'Stable') return { fixture, leader, follower }
  if (state === 'Empty' || state === 'Dead') {
    leave(fixture, follower)
    leave(fixture, leader)
    if (state === 'Dead') void fixture.groups.delete(groupId)
    await turn()
    return { fixture, leader, follower }
  }
  const rejoining = fixture.rejoin(leader)
  if (state === 'PreparingRebalance') {
    void outcomeOf(rejoining)
    return { fixture, leader, follower }
  }
  const [newLeader, newFollower] = await Promise.all([rejoining, fixture.rejoin(follower)])
  return { fixture, leader: newLeader, follower: newFollower }
}

async function formGroup(fixture: GroupsFixture): Promise<[leader: Joined, follower: Joined]> {
  const joining = Promise.all([fixture.join(), fixture.join({ instanceId: 'f' })])
  await fixture.timers.advance(5)
  const [leader, follower] = await joining
  await Promise.all([fixture.sync(leader), fixture.sync(follower)])
  return [leader, follower]
}

function leave(fixture: GroupsFixture, { request, answer }: Joined): void {
  const members = [{ memberId: answer.memberId, instanceId: request.instanceId }]
  const [left] = fixture.groups.leave({ groupId, members })
  if (left?.error) throw left.error
}

async function commit(fixture: GroupsFixture, { memberId, generation }: { memberId: string; generation: number }): Promise<void> {
  const offsets = [{ topic: 'orders', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }]
  await fixture.groups.commitOffsets({ groupId, memberId, instanceId: null, generation, offsets })
}

/** The members send heartbeats all the time, as long as they are members. */
async function passTime({ fixture, leader, follower }: Scene, ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 5_000) {
    for (const member of [leader, follower]) await outcomeOf((async () => fixture.heartbeat(member))())
    await fixture.timers.advance(5_000)
  }
}
