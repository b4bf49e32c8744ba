import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiName, RequestInputOf } from '#formats/kafka/apis.ts'
import { batchOf, fetchOf, MemoryHub, produceOf, startKafkaServer, userAccess, type KafkaTestClient } from '../kafka.fixture.ts'

const literal = 3
const prefixed = 4
const allow = 3
const all = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
}

function ruleOf(operation: number, resourceType = 2, resourceName = 'a', resourcePatternType = literal) {
  return { resourceType, resourceName, resourcePatternType, principal: 'User:alice', host: '*', operation, permissionType: allow }
}

/** Every error code in an answer, wherever it is. */
function codesIn(value: unknown): number[] {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'errorCode' && typeof inner === 'number' ? [inner] : codesIn(inner),
  )
}

type Ask = (client: KafkaTestClient) => Promise<unknown>
function ask<N extends ApiName>(name: N, version: number, body: RequestInputOf<N>): Ask {
  return (client) => client.request(name, version, body)
}

const partition = { partitionIndex: 0 }
const topicResource = { resourceType: 2, resourceName: 'a' }
const timeoutMs = 1000
const newTopic = { name: 'a', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
const commit = { ...partition, committedOffset: 1, committedMetadata: '' }
const member = { groupId: 'g', generationId: 1, memberId: 'm' }

/** What alice is refused with, and the rule that lets her: an operation, and a type and name of resource other than topic `a`. */
const guarded: [name: string, ask: Ask, refusal: number, rules: ReturnType<typeof ruleOf>[]][] = [
  ['produce', ask('produce', 9, produceOf('a', batchOf(1))), 29, [ruleOf(4)]],
  ['fetch', ask('fetch', 11, fetchOf(['a'])), 29, [ruleOf(3)]],
  ['metadata', ask('metadata', 9, { topics: [{ name: 'a' }] }), 29, [ruleOf(8)]],
  [
    'listOffsets',
    ask('listOffsets', 5, { replicaId: -1, topics: [{ name: 'a', partitions: [{ ...partition, timestamp: -1 }] }] }),
    29,
    [ruleOf(8)],
  ],
  [
    'offsetForLeaderEpoch',
    ask('offsetForLeaderEpoch', 2, { topics: [{ topic: 'a', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
    29,
    [ruleOf(8)],
  ],
  [
    'deleteRecords',
    ask('deleteRecords', 2, { timeoutMs, topics: [{ name: 'a', partitions: [{ ...partition, offset: 0 }] }] }),
    29,
    [ruleOf(6)],
  ],
  ['deleteTopics', ask('deleteTopics', 5, { topicNames: ['a'], timeoutMs }), 29, [ruleOf(6)]],
  ['createTopics', ask('createTopics', 7, { topics: [{ ...newTopic, name: 'b' }], timeoutMs }), 29, [ruleOf(5, 2, 'b')]],
  [
    'createTopics anywhere',
    ask('createTopics', 7, { topics: [{ ...newTopic, name: 'b' }], timeoutMs }),
    29,
    [ruleOf(5, 4, 'kafka-cluster')],
  ],
  [
    'createPartitions',
    ask('createPartitions', 3, { topics: [{ name: 'a', count: 2, assignments: null }], timeoutMs, validateOnly: false }),
    29,
    [ruleOf(7)],
  ],
  [
    'describeConfigs',
    ask('describeConfigs', 4, { resources: [{ ...topicResource, configurationKeys: null }] }),
    29,
    [ruleOf(10)],
  ],
  [
    'alterConfigs',
    ask('alterConfigs', 2, { resources: [{ ...topicResource, configs: [] }], validateOnly: false }),
    29,
    [ruleOf(11)],
  ],
  [
    'initProducerId',
    ask('initProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1 }),
    31,
    [ruleOf(4, 2, 'any', prefixed)],
  ],
  ['findCoordinator', ask('findCoordinator', 3, { key: 'g' }), 30, [ruleOf(8, 3, 'g')]],
  ['describeGroups', ask('describeGroups', 5, { groups: ['g'] }), 30, [ruleOf(8, 3, 'g')]],
  ['offsetFetch', ask('offsetFetch', 7, { groupId: 'g', topics: null }), 30, [ruleOf(3, 3, 'g')]],
  [
    'offsetCommit to a group',
    ask('offsetCommit', 8, { groupId: 'g', topics: [{ name: 'a', partitions: [commit] }] }),
    30,
    [ruleOf(3, 3, 'g'), ruleOf(3)],
  ],
  ['describeAcls', ask('describeAcls', 3, all), 31, [ruleOf(8, 4, 'kafka-cluster')]],
  ['createAcls', ask('createAcls', 3, { creations: [ruleOf(3)] }), 31, [ruleOf(7, 4, 'kafka-cluster')]],
  [
    'deleteAcls',
    ask('deleteAcls', 3, { filters: [{ ...all, resourceNameFilter: 'none' }] }),
    31,
    [ruleOf(7, 4, 'kafka-cluster')],
  ],
  ['describeUserScramCredentials', ask('describeUserScramCredentials', 0, { users: null }), 31, [ruleOf(8, 4, 'kafka-cluster')]],
]
for (const [name, run, refusal, rules] of guarded) {
  test(`${name} is refused with ${refusal} until a rule allows it`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    await kafka.hub.topics.create({ name: 'a' })
    await using alice = await kafka.connect()
    await alice.login('alice')
    assert.ok(codesIn(await run(alice)).every((code) => code === 0 || code === refusal))
    assert.deepEqual(kafka.server.stats.errorsByCode, { [refusal]: 1 })
    await using root = await kafka.connect()
    await root.login('root')
    assert.ok(codesIn(await root.request('createAcls', 3, { creations: rules })).every((code) => code === 0))
    assert.ok(codesIn(await run(alice)).every((code) => code === 0))
  })
}

const groupsOnly: [name: string, ask: Ask][] = [
  [
    'joinGroup',
    ask('joinGroup', 9, { groupId: 'g', sessionTimeoutMs: 1, memberId: '', protocolType: 'consumer', protocols: [] }),
  ],
  ['syncGroup', ask('syncGroup', 5, { ...member, assignments: [] })],
  ['heartbeat', ask('heartbeat', 4, member)],
  ['leaveGroup', ask('leaveGroup', 5, { groupId: 'g', members: [] })],
  ['deleteGroups', ask('deleteGroups', 2, { groupsNames: ['g'] })],
  ['offsetDelete', ask('offsetDelete', 0, { groupId: 'g', topics: [] })],
]
for (const [name, run] of groupsOnly) {
  test(`${name} of a group that one may not use is refused with 30`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    await using alice = await kafka.connect()
    await alice.login('alice')
    assert.deepEqual(codesIn(await run(alice)), [30])
  })
}

test('topics that one may not see are not told, and not told apart from those that there are not', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  for (const name of ['a', 'secret']) await kafka.hub.topics.create({ name })
  await using root = await kafka.connect()
  await root.login('root')
  await root.request('createAcls', 3, { creations: [ruleOf(3)] })
  await using alice = await kafka.connect()
  await alice.login('alice')
  const seen = await alice.request('metadata', 12, { topics: null })
  assert.deepEqual(
    seen.topics.map(({ name }) => name),
    ['a'],
  )
  const asked = await alice.request('metadata', 12, { topics: [{ name: 'secret' }, { name: 'none' }] })
  assert.deepEqual(
    asked.topics.map(({ errorCode, topicId, partitions }) => [errorCode, topicId, partitions.length]),
    [29, 29].map((code) => [code, '00000000-0000-0000-0000-000000000000', 0]),
  )
  const topicId = kafka.hub.topics.find('secret')?.id ?? ''
  const byId = await alice.request('metadata', 12, { topics: [{ topicId, name: null }] })
  assert.deepEqual(byId.topics[0], { ...byId.topics[0], errorCode: 100, name: null })
  assert.equal(
    (await alice.request('deleteTopics', 6, { topics: [{ name: null, topicId }], timeoutMs })).responses[0]?.errorCode,
    100,
  )
  assert.ok(kafka.hub.topics.find('secret'))
})

test('rules are shown, found by what they are about, removed, and outlive a restart', async () => {
  const hub = new MemoryHub()
  const creations = [ruleOf(3), ruleOf(4), ruleOf(3, 2, 'app-', prefixed), ruleOf(3, 3, '*'), ruleOf(1), ruleOf(3, 5, 'tx')]
  {
    await using kafka = await startKafkaServer({ access: userAccess, hub })
    await using root = await kafka.connect()
    await root.login('root')
    const { results } = await root.request('createAcls', 3, { creations })
    assert.deepEqual(
      results.map(({ errorCode }) => errorCode),
      [0, 0, 0, 0, 42, 42],
    )
  }
  await using kafka = await startKafkaServer({ access: userAccess, hub })
  await using root = await kafka.connect()
  await root.login('root')
  const found = async (filter: object) =>
    (await root.request('describeAcls', 3, { ...all, ...filter })).resources.map(
      ({ resourceName, acls }) => `${resourceName} ${acls.length}`,
    )
  assert.deepEqual(await found({}), ['a 2', 'app- 1', '* 1'])
  assert.deepEqual(await found({ resourceTypeFilter: 2, resourceNameFilter: 'app-1', patternTypeFilter: 2 }), ['app- 1'])
  assert.deepEqual(await found({ resourceTypeFilter: 3, resourceNameFilter: 'g', patternTypeFilter: 2 }), ['* 1'])
  assert.deepEqual(await found({ resourceNameFilter: 'app-1', patternTypeFilter: 4 }), [])
  assert.deepEqual(await found({ operation: 4 }), ['a 1'])
  const { filterResults } = await root.request('deleteAcls', 3, { filters: [{ ...all, resourceNameFilter: 'a' }] })
  assert.deepEqual(
    filterResults[0]?.matchingAcls.map(({ operation }) => operation),
    [3, 4],
  )
  assert.deepEqual(await found({}), ['app- 1', '* 1'])
})

test('where there are no users there are no rules', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  assert.equal((await client.request('describeAcls', 3, all)).errorCode, 54)
  assert.equal((await client.request('createAcls', 3, { creations: [ruleOf(3)] })).results[0]?.errorCode, 54)
})

const salt = Buffer.from('salt')
const good = { name: 'carol', mechanism: 1, iterations: 4096, salt, saltedPassword: Buffer.alloc(32) }
const credentials: [name: string, upsertion: typeof good, errorCode: number][] = [
  ['one that is fine', good, 0],
  ['too few rounds', { ...good, iterations: 4095 }, 93],
  ['too many rounds', { ...good, iterations: 16_385 }, 93],
  ['a password of the wrong length', { ...good, saltedPassword: Buffer.alloc(64) }, 93],
  ['no salt', { ...good, salt: Buffer.alloc(0) }, 93],
  ['no name', { ...good, name: '' }, 93],
  ['a user of the configuration', { ...good, name: 'root' }, 93],
  ['another mechanism', { ...good, mechanism: 3 }, 33],
]
for (const [name, upsertion, errorCode] of credentials) {
  test(`a SCRAM credential with ${name} is answered ${errorCode}`, async () => {
    await using kafka = await startKafkaServer({ access: userAccess })
    await using root = await kafka.connect()
    await root.login('root')
    const altered = await root.request('alterUserScramCredentials', 0, { deletions: [], upsertions: [upsertion] })
    assert.deepEqual(
      altered.results.map((result) => [result.user, result.errorCode]),
      [[upsertion.name, errorCode]],
    )
    const { results } = await root.request('describeUserScramCredentials', 0, { users: null })
    assert.deepEqual(
      results.map(({ user, credentialInfos }) => [user, credentialInfos]),
      errorCode === 0 ? [['carol', [{ mechanism: 1, iterations: 4096 }]]] : [],
    )
  })
}

test('SCRAM credentials are removed once, and doubled changes are refused', async () => {
  await using kafka = await startKafkaServer({ access: userAccess })
  await using root = await kafka.connect()
  await root.login('root')
  const change = async (deletions: { name: string; mechanism: number }[], upsertions: (typeof good)[]) =>
    (await root.request('alterUserScramCredentials', 0, { deletions, upsertions })).results.map(({ errorCode }) => errorCode)
  const ref = { name: 'carol', mechanism: 1 }
  assert.deepEqual(await change([], [good]), [0])
  assert.deepEqual(await change([ref], [good]), [92])
  assert.deepEqual(await change([ref], []), [0])
  assert.deepEqual(await change([ref], []), [91])
  assert.equal((await root.request('describeUserScramCredentials', 0, { users: [{ name: 'carol' }] })).results[0]?.errorCode, 91)
})
