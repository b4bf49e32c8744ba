import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { startApi, type TestApi } from '../api.fixture.ts'
import { groupListSchema, groupResetAnswerSchema, groupViewSchema, type GroupView } from '../log-contract.ts'
import { createOrders, fill, orders, produce, refusal } from './log.fixture.ts'

async function commit(api: TestApi, group: string, offsets: readonly { partition: number; offset: number; metadata?: string }[]) {
  const { status, body } = await api.call('POST', `/api/v1/groups/${group}/offsets`, { topic: 'orders', offsets })
  assert.equal(status, 204, JSON.stringify(body))
}

async function view(api: TestApi, group: string): Promise<GroupView> {
  return Value.Parse(groupViewSchema, (await api.call('GET', `/api/v1/groups/${group}`)).body)
}

/** A consumer by Kafka's protocol that has been given both partitions of `orders`. */
async function joinReaders(api: TestApi): Promise<void> {
  const { groups } = api.agent
  const name = { groupId: 'readers', memberId: '', instanceId: null, clientId: 'reader-1', clientHost: '/127.0.0.1' }
  const timeouts = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 }
  const protocols = [{ name: 'range', metadata: Buffer.from('0000000000010006' + '6f7264657273' + 'ffffffff', 'hex') }]
  const joined = await groups.join({ ...name, ...timeouts, protocolType: 'consumer', protocols, mustKnowMemberId: false })
  const { memberId, generation } = joined
  const assignment = Buffer.from('0000000000010006' + '6f7264657273' + '000000020000000000000001' + 'ffffffff', 'hex')
  const assignments = [{ memberId, assignment }]
  const member = { groupId: 'readers', memberId, instanceId: null, generation }
  await groups.sync({ ...member, protocolType: 'consumer', protocol: 'range', assignments })
}

test('a group without members commits, and its lag is what is left', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await fill(api, 10)
  await fill(api, 5, { partition: 1 })
  await commit(api, 'simple', [{ partition: 0, offset: 4, metadata: 'mine' }])
  await commit(api, 'simple', [{ partition: 1, offset: 5 }])
  const { offsets, lag, state, memberCount } = await view(api, 'simple')
  assert.deepEqual(offsets, [
    { topic: 'orders', partition: 0, committedOffset: 4, metadata: 'mine', endOffset: 10, lag: 6 },
    { topic: 'orders', partition: 1, committedOffset: 5, endOffset: 5, lag: 0 },
  ])
  assert.deepEqual([lag, state, memberCount], [6, 'Empty', 0])
  await api.agent.deleteRecords({ topic: 'orders', partition: 0 }, 7)
  assert.equal((await view(api, 'simple')).lag, 3, 'what was deleted is not left to read')
})

test('what kafkajs commits when it resets a group is no place, and the group can be read and reset', async () => {
  await using api = await startApi()
  await createOrders(api)
  await fill(api, 3)
  const offsets = [{ topic: 'orders', partition: 0, offset: -2, leaderEpoch: -1, metadata: '' }]
  await api.agent.groups.commitOffsets({ groupId: 'reset', memberId: '', instanceId: null, generation: -1, offsets })
  assert.deepEqual((await view(api, 'reset')).offsets, [])
  const read = await api.call('GET', '/api/v1/topics/orders/records?group=reset')
  assert.equal(read.status, 200, JSON.stringify(read.body))
  const reset = await api.call('POST', '/api/v1/groups/reset/reset', { topic: 'orders', to: 'latest' })
  assert.equal(reset.status, 200, JSON.stringify(reset.body))
  assert.equal((await view(api, 'reset')).offsets[0]?.committedOffset, 3)
})

test('groups are listed, searched and forgotten', async () => {
  await using api = await startApi()
  await createOrders(api)
  for (const group of ['b', 'a', 'tail-1']) await commit(api, group, [{ partition: 0, offset: 0 }])
  const list = async (query = '') =>
    Value.Parse(groupListSchema, (await api.call('GET', `/api/v1/groups${query}`)).body).items.map(({ group }) => group)
  assert.deepEqual(await list(), ['a', 'b', 'tail-1'])
  assert.deepEqual(await list('?search=TAIL'), ['tail-1'])
  assert.equal((await api.call('DELETE', '/api/v1/groups/b')).status, 204)
  assert.deepEqual(await list(), ['a', 'tail-1'])
  assert.equal((await refusal(api.fetch('/api/v1/groups/b'))).code, 'GROUP_NOT_FOUND')
})

test('members are shown with what they read, and nobody changes offsets under them', async (t) => {
  await using api = await startApi()
  await createOrders(api, 2)
  await fill(api, 3, { partition: 1 })
  await joinReaders(api)
  const group = await view(api, 'readers')
  assert.deepEqual([group.state, group.protocol, group.memberCount, group.lag], ['Stable', 'range', 1, 3])
  const [member] = group.members
  assert.partialDeepStrictEqual(member, {
    clientId: 'reader-1',
    partitions: [
      { topic: 'orders', partition: 0 },
      { topic: 'orders', partition: 1 },
    ],
  })
  assert.deepEqual(group.offsets, [
    { topic: 'orders', partition: 0, endOffset: 0, lag: 0, memberId: member?.memberId },
    { topic: 'orders', partition: 1, endOffset: 3, lag: 3, memberId: member?.memberId },
  ])
  const json = (body: unknown): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  for (const [name, path, init] of [
    ['committing', 'offsets', json({ topic: 'orders', offsets: [{ partition: 0, offset: 0 }] })],
    ['a reset', 'reset', json({ topic: 'orders', to: 'latest' })],
    ['forgetting offsets', 'offsets?topic=orders', { method: 'DELETE' }],
    ['forgetting the group', '', { method: 'DELETE' }],
  ] as const) {
    await t.test(name, async () => {
      assert.equal((await refusal(api.fetch(`/api/v1/groups/readers/${path}`.replace(/\/$/, ''), init))).code, 'GROUP_NOT_EMPTY')
    })
  }
  const dry = await api.call('POST', '/api/v1/groups/readers/reset', { topic: 'orders', to: 'latest', dryRun: true })
  assert.equal(dry.status, 200)
})

test('offsets are reset to any place, within what is there', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await produce(
    api,
    [1, 2, 3, 4].map((day) => ({ value: day, timestamp: `2026-01-0${day}T00:00:00Z`, partition: 0 })),
  )
  await api.agent.deleteRecords({ topic: 'orders', partition: 0 }, 1)
  await commit(api, 'g', [{ partition: 0, offset: 2 }])
  const reset = async (body: Record<string, unknown>) => {
    const answer = await api.call('POST', '/api/v1/groups/g/reset', { topic: 'orders', ...body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return Value.Parse(groupResetAnswerSchema, answer.body)
  }
  const one = { partitions: [0] }
  assert.deepEqual(await reset({ to: 'earliest', dryRun: true }), {
    isDone: false,
    offsets: [
      { topic: 'orders', partition: 0, before: 2, after: 1, lag: 3 },
      { topic: 'orders', partition: 1, after: 0, lag: 0 },
    ],
  })
  assert.equal((await view(api, 'g')).offsets[0]?.committedOffset, 2, 'a dry run changes nothing')
  for (const [body, after] of [
    [{ to: 'latest', ...one }, 4],
    [{ to: 'shift', shift: -2, ...one }, 2],
    [{ to: 'shift', shift: 100, ...one }, 4],
    [{ to: 'offset', offset: 0, ...one }, 1],
    [{ to: 'offset', offset: 3, ...one }, 3],
    [{ to: 'time', time: '2026-01-03T00:00:00Z', ...one }, 2],
    [{ to: 'time', time: '2027-01-01T00:00:00Z', ...one }, 4],
    [{ to: 'earliest' }, 1],
  ] as const) {
    const answer = await reset(body)
    assert.deepEqual([answer.isDone, answer.offsets[0]?.after], [true, after], JSON.stringify(body))
    assert.equal((await view(api, 'g')).offsets[0]?.committedOffset, after)
  }
  await reset({ to: 'latest', ...one })
  const made = await api.call('POST', '/api/v1/groups/new/reset', { topic: 'orders', to: 'latest' })
  assert.equal(made.status, 200, 'also for a group that is to begin there')
  assert.equal((await view(api, 'new')).lag, 0)
})

test('committed offsets are forgotten, one or all', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  await commit(api, 'g', [
    { partition: 0, offset: 0 },
    { partition: 1, offset: 0 },
  ])
  await api.call('DELETE', '/api/v1/groups/g/offsets?topic=orders&partition=0')
  assert.deepEqual(
    (await view(api, 'g')).offsets.map(({ partition }) => partition),
    [1],
  )
  await api.call('DELETE', '/api/v1/groups/g/offsets?topic=orders')
  assert.deepEqual((await view(api, 'g')).offsets, [])
})

test('what cannot be is refused with its reason', async (t) => {
  await using api = await startApi()
  await createOrders(api, 2)
  await commit(api, 'g', [{ partition: 0, offset: 0 }])
  for (const [name, method, path, body, code, message] of [
    ['an unknown group', 'GET', 'nope', undefined, 'GROUP_NOT_FOUND', /"nope"/],
    ['forgetting an unknown group', 'DELETE', 'nope', undefined, 'GROUP_NOT_FOUND', /"nope"/],
    ['offsets of an unknown group', 'DELETE', 'nope/offsets?topic=orders', undefined, 'GROUP_NOT_FOUND', /"nope"/],
    ['an unknown topic', 'POST', 'g/offsets', { topic: 'x', offsets: [{ partition: 0, offset: 0 }] }, 'TOPIC_NOT_FOUND', /"x"/],
    [
      'an unknown partition',
      'POST',
      'g/offsets',
      { topic: 'orders', offsets: [{ partition: 2, offset: 0 }] },
      'PARTITION_NOT_FOUND',
      /2/,
    ],
    [
      'a negative offset',
      'POST',
      'g/offsets',
      { topic: 'orders', offsets: [{ partition: 0, offset: -1 }] },
      'REQUEST_INVALID',
      /offset/,
    ],
    ['no offsets', 'POST', 'g/offsets', { topic: 'orders', offsets: [] }, 'REQUEST_INVALID', /body\.offsets/],
    ['a reset of an unknown topic', 'POST', 'g/reset', { topic: 'x', to: 'latest' }, 'TOPIC_NOT_FOUND', /"x"/],
    [
      'a reset of an unknown partition',
      'POST',
      'g/reset',
      { topic: 'orders', to: 'latest', partitions: [5] },
      'PARTITION_NOT_FOUND',
      /5/,
    ],
    ['a reset to nowhere', 'POST', 'g/reset', { topic: 'orders', to: 'noon' }, 'REQUEST_INVALID', /body\.to must be one of/],
    [
      'a reset without its value',
      'POST',
      'g/reset',
      { topic: 'orders', to: 'offset' },
      'REQUEST_INVALID',
      /body\.offset is required/,
    ],
    [
      'a reset with another value',
      'POST',
      'g/reset',
      { topic: 'orders', to: 'latest', shift: 1 },
      'REQUEST_INVALID',
      /body\.shift does not/,
    ],
    [
      'a reset to no time',
      'POST',
      'g/reset',
      { topic: 'orders', to: 'time', time: 'x' },
      'REQUEST_INVALID',
      /body\.time is neither/,
    ],
    [
      'a shift from nowhere',
      'POST',
      'g/reset',
      { topic: 'orders', to: 'shift', shift: 1 },
      'REQUEST_INVALID',
      /partition 1 has none/,
    ],
  ] as const) {
    await t.test(name, async () => {
      const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
      const refused = await refusal(api.fetch(`/api/v1/groups/${path}`, { method, ...init }))
      assert.equal(refused.code, code, refused.message)
      assert.match(refused.message, message)
    })
  }
  assert.equal((await api.call('GET', orders)).status, 200)
})
