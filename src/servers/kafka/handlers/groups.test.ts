import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { until } from '../../../../test/support/until.ts'
import { MemoryHub, noGroups, startKafkaServer } from '../kafka.fixture.ts'
import type { GroupsHub, JoinRequest, SyncRequest } from '../log-hub.ts'

async function startWith(groups: Partial<GroupsHub>) {
  const hub = new MemoryHub()
  hub.groups = { ...noGroups, ...groups }
  await hub.topics.create({ name: 'a', partitionCount: 2 })
  return startKafkaServer({ hub })
}

const bytes = Buffer.from('x')
const joining = {
  groupId: 'g',
  sessionTimeoutMs: 10_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: bytes }],
}

test('a member joins with what its version knows', async () => {
  const asked: JoinRequest[] = []
  await using kafka = await startWith({
    join: async (request) => {
      asked.push(request)
      return {
        generation: 3,
        protocolType: 'consumer',
        protocol: 'range',
        leader: 'm1',
        memberId: 'm1',
        members: [{ memberId: 'm1', instanceId: 'i1', metadata: bytes }],
        isAssignmentSkipped: true,
      }
    },
  })
  await using client = await kafka.connect()
  await client.request('joinGroup', 0, joining)
  const answer = await client.request('joinGroup', 9, { ...joining, rebalanceTimeoutMs: 20_000, groupInstanceId: 'i1' })
  assert.deepEqual(
    asked.map(({ signal: _signal, protocols: _protocols, ...rest }) => rest),
    [
      { instanceId: null, rebalanceTimeoutMs: 10_000, mustKnowMemberId: false, canSkipAssignment: false },
      { instanceId: 'i1', rebalanceTimeoutMs: 20_000, mustKnowMemberId: true, canSkipAssignment: true },
    ].map((own) => ({
      groupId: 'g',
      memberId: '',
      clientId: 'test',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 10_000,
      protocolType: 'consumer',
      ...own,
    })),
  )
  assert.deepEqual(
    [answer.errorCode, answer.generationId, answer.protocolName, answer.leader, answer.skipAssignment],
    [0, 3, 'range', 'm1', true],
  )
  assert.deepEqual(answer.members, [{ memberId: 'm1', groupInstanceId: 'i1', metadata: bytes }])
})

test('a new member is told its id', async () => {
  await using kafka = await startWith({
    join: () => Promise.reject(new AppError('GROUP_MEMBER_ID_REQUIRED', 'join again', { details: { memberId: 'm7' } })),
  })
  await using client = await kafka.connect()
  const answer = await client.request('joinGroup', 5, joining)
  assert.deepEqual([answer.errorCode, answer.memberId, answer.protocolName, answer.generationId], [79, 'm7', '', -1])
  assert.equal((await client.request('joinGroup', 7, joining)).protocolName, null)
})

const faults: [code: ErrorCode, details: Record<string, unknown>, errorCode: number][] = [
  ['GROUP_INVALID', {}, 24],
  ['GROUP_INVALID', { sessionTimeoutMs: 1 }, 26],
  ['GROUP_LIMIT', {}, 81],
  ['GROUP_MEMBER_UNKNOWN', {}, 25],
  ['GROUP_MEMBER_FENCED', {}, 82],
  ['GROUP_GENERATION_STALE', {}, 22],
  ['GROUP_REBALANCING', {}, 27],
  ['GROUP_PROTOCOL_MISMATCH', {}, 23],
  ['SHUTTING_DOWN', {}, 15],
  ['DATABASE_UNAVAILABLE', {}, 15],
]
for (const [code, details, errorCode] of faults) {
  test(`${code} ${JSON.stringify(details)} is told as ${errorCode} by all that members ask`, async () => {
    const error = new AppError(code, 'for the test', { details })
    const refuse = () => Promise.reject(error)
    await using kafka = await startWith({
      join: refuse,
      sync: refuse,
      heartbeat: () => {
        throw error
      },
      leave: ({ members }) => members.map((one) => ({ ...one, error })),
      commitOffsets: refuse,
      committedOffsets: refuse,
      delete: refuse,
      deleteOffsets: refuse,
    })
    await using client = await kafka.connect()
    const member = { groupId: 'g', generationId: 1, memberId: 'm' }
    const commit = { partitionIndex: 0, committedOffset: 5, committedMetadata: null }
    const codes = [
      (await client.request('joinGroup', 9, joining)).errorCode,
      (await client.request('syncGroup', 5, { ...member, assignments: [] })).errorCode,
      (await client.request('heartbeat', 4, member)).errorCode,
      (await client.request('leaveGroup', 1, { groupId: 'g', memberId: 'm' })).errorCode,
      (await client.request('leaveGroup', 5, { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: null }] })).members[0]
        ?.errorCode,
      (await client.request('offsetCommit', 8, { groupId: 'g', topics: [{ name: 'a', partitions: [commit] }] })).topics[0]
        ?.partitions[0]?.errorCode,
      (await client.request('offsetFetch', 8, { groups: [{ groupId: 'g', topics: null }] })).groups[0]?.errorCode,
      (await client.request('deleteGroups', 2, { groupsNames: ['g'] })).results[0]?.errorCode,
      (await client.request('offsetDelete', 0, { groupId: 'g', topics: [] })).errorCode,
    ]
    assert.deepEqual(
      codes,
      codes.map(() => errorCode),
    )
  })
}

test('members sync, are alive and leave behind a long poll of their connection', async () => {
  const synced: SyncRequest[] = []
  const beats: string[] = []
  const left: string[] = []
  await using kafka = await startWith({
    sync: async (request) => {
      synced.push(request)
      return { protocolType: 'consumer', protocol: 'range', assignment: bytes }
    },
    heartbeat: ({ memberId }) => void beats.push(memberId),
    leave: ({ members }) => {
      left.push(...members.map(({ memberId }) => memberId))
      return members
    },
  })
  await using client = await kafka.connect()
  const member = { groupId: 'g', generationId: 1, memberId: 'm' }
  const answer = await client.request('syncGroup', 5, {
    ...member,
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [{ memberId: 'm', assignment: bytes }],
  })
  assert.deepEqual(
    [answer.errorCode, answer.protocolType, answer.protocolName, answer.assignment],
    [0, 'consumer', 'range', bytes],
  )
  assert.deepEqual(synced[0]?.assignments, [{ memberId: 'm', assignment: bytes }])
  client.send('fetch', 11, {
    replicaId: -1,
    maxWaitMs: 20_000,
    minBytes: 1,
    topics: [{ topic: 'a', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }] }],
  })
  client.send('heartbeat', 4, member)
  client.send('leaveGroup', 5, { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: null }] })
  await until(() => beats.length === 1 && left.length === 1, { what: 'heartbeat and leaving' })
  assert.equal(client.waiting, 0)
})

test('offsets are kept for each partition, with the errors of each', async () => {
  const commits: unknown[] = []
  await using kafka = await startWith({
    commitOffsets: async ({ offsets, ...member }) => {
      commits.push(member, ...offsets)
      return offsets.map(({ topic, partition }) => ({
        topic,
        partition,
        ...(topic === 'b' ? { error: new AppError('TOPIC_NOT_FOUND', 'no') } : {}),
      }))
    },
  })
  await using client = await kafka.connect()
  const commit = (partitionIndex: number, committedMetadata: string | null) => ({
    partitionIndex,
    committedOffset: 5,
    committedLeaderEpoch: 0,
    committedMetadata,
  })
  const topics = [
    { name: 'a', partitions: [commit(0, null), commit(1, 'x'.repeat(4097))] },
    { name: 'b', partitions: [commit(0, 'note')] },
  ]
  const answer = await client.request('offsetCommit', 8, {
    groupId: 'g',
    generationIdOrMemberEpoch: 2,
    memberId: 'm',
    groupInstanceId: 'i',
    topics,
  })
  assert.deepEqual(
    answer.topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
    [[0, 12], [3]],
  )
  assert.deepEqual(commits, [
    { groupId: 'g', memberId: 'm', instanceId: 'i', generation: 2 },
    { topic: 'a', partition: 0, offset: 5, leaderEpoch: 0, metadata: '' },
    { topic: 'b', partition: 0, offset: 5, leaderEpoch: 0, metadata: 'note' },
  ])
})

test('offsets are read for some partitions or for all, in all versions', async () => {
  const kept = [0, 1].map((partition) => ({ topic: 'a', partition, offset: 10 + partition, leaderEpoch: 0, metadata: 'm' }))
  await using kafka = await startWith({
    committedOffsets: async (_groupId, partitions) =>
      partitions ? kept.filter(({ partition }) => partitions.some((one) => one.partition === partition)) : kept,
  })
  await using client = await kafka.connect()
  const offsetsIn = (
    topics: readonly { partitions: readonly { partitionIndex: number; committedOffset: number; errorCode: number }[] }[],
  ) =>
    topics.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex, committedOffset, errorCode }) => [partitionIndex, committedOffset, errorCode]),
    )
  const all = await client.request('offsetFetch', 7, { groupId: 'g', topics: null })
  assert.deepEqual(offsetsIn(all.topics), [
    [0, 10, 0],
    [1, 11, 0],
  ])
  const some = { name: 'a', partitionIndexes: [1, 5] }
  const expected = [
    [1, 11, 0],
    [5, -1, 0],
  ]
  assert.deepEqual(offsetsIn((await client.request('offsetFetch', 1, { groupId: 'g', topics: [some] })).topics), expected)
  const groups = (
    await client.request('offsetFetch', 8, {
      groups: [
        { groupId: 'g', topics: [some] },
        { groupId: 'h', topics: null },
      ],
    })
  ).groups
  assert.deepEqual(
    groups.map(({ topics }) => offsetsIn(topics).length),
    [2, 2],
  )
})

test('groups are listed by state, described, and those that there are not are dead', async () => {
  const view = {
    groupId: 'g',
    state: 'Stable',
    protocolType: 'consumer',
    protocol: 'range',
    members: [{ memberId: 'm', instanceId: null, clientId: 'c', clientHost: '/h', metadata: bytes, assignment: bytes }],
  }
  await using kafka = await startWith({ list: () => [view], describe: (groupId) => (groupId === 'g' ? view : undefined) })
  await using client = await kafka.connect()
  const listed = async (statesFilter: string[]) =>
    (await client.request('listGroups', 4, { statesFilter })).groups.map(({ groupId, groupState }) => `${groupId} ${groupState}`)
  assert.deepEqual([await listed([]), await listed(['stable']), await listed(['Empty'])], [['g Stable'], ['g Stable'], []])
  const { groups } = await client.request('describeGroups', 5, { groups: ['g', 'none'] })
  assert.deepEqual(
    groups.map(({ errorCode, groupState, protocolData, members }) => [
      errorCode,
      groupState,
      protocolData,
      members.map(({ memberId }) => memberId),
    ]),
    [
      [0, 'Stable', 'range', ['m']],
      [0, 'Dead', '', []],
    ],
  )
})
