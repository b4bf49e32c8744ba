import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zeroUuid } from '#formats/kafka/codec.ts'
import type { RequestInputOf } from '#formats/kafka/apis.ts'
import { startKafkaServer } from '../kafka.fixture.ts'

type NewTopic = RequestInputOf<'createTopics'>['topics'][number]
const plain: NewTopic = { name: 'a', numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
const timeoutMs = 1000

test('a topic is made, told, changed, given partitions, and removed', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const configs = [{ name: 'retention.ms', value: '1000' }]
  const created = await client.request('createTopics', 7, { topics: [{ ...plain, numPartitions: 3, configs }], timeoutMs })
  const [topic] = created.topics
  assert.deepEqual([topic?.errorCode, topic?.numPartitions, topic?.replicationFactor], [0, 3, 1])
  assert.deepEqual(
    topic?.configs?.find(({ name }) => name === 'retention.ms'),
    { name: 'retention.ms', value: '1000', readOnly: false, configSource: 1, isSensitive: false },
  )
  const topicId = topic.topicId
  const byId = await client.request('metadata', 12, {
    topics: [
      { topicId, name: null },
      { topicId: zeroUuid.replace('0', '1'), name: null },
    ],
  })
  assert.deepEqual(
    byId.topics.map(({ errorCode, name, partitions }) => [errorCode, name, partitions.map(({ leaderId }) => leaderId)]),
    [
      [0, 'a', [1, 1, 1]],
      [100, null, []],
    ],
  )
  const grown = await client.request('createPartitions', 3, {
    topics: [
      { name: 'a', count: 5, assignments: null },
      { name: 'a', count: 5, assignments: null },
      { name: 'b', count: 5, assignments: null },
      { name: 'a', count: 9, assignments: [{ brokerIds: [1] }] },
    ],
    timeoutMs,
    validateOnly: false,
  })
  assert.deepEqual(
    grown.results.map(({ errorCode }) => errorCode),
    [0, 37, 3, 39],
  )
  assert.equal(kafka.hub.topics.find('a')?.partitions.length, 5)
  const deleted = await client.request('deleteTopics', 6, {
    topics: [
      { name: null, topicId },
      { name: 'a', topicId: zeroUuid },
    ],
    timeoutMs,
  })
  assert.deepEqual(
    deleted.responses.map(({ errorCode, name, topicId: id }) => [errorCode, name, id]),
    [
      [0, 'a', topicId],
      [3, 'a', zeroUuid],
    ],
  )
})

const refused: [name: string, topic: Partial<NewTopic>, errorCode: number][] = [
  ['a name that cannot be', { name: 'a b' }, 17],
  ['a topic that there is', { name: 'old' }, 36],
  ['no partitions', { numPartitions: 0 }, 37],
  ['three replicas', { replicationFactor: 3 }, 38],
  ['an assignment of replicas', { assignments: [{ partitionIndex: 0, brokerIds: [1] }] }, 39],
  ['compaction', { configs: [{ name: 'cleanup.policy', value: 'compact' }] }, 40],
  ['a setting that there is not', { configs: [{ name: 'color', value: 'red' }] }, 40],
]
for (const [name, topic, errorCode] of refused) {
  test(`creating ${name} is answered ${errorCode}, and so is trying it`, async () => {
    await using kafka = await startKafkaServer()
    await kafka.hub.topics.create({ name: 'old' })
    await using client = await kafka.connect()
    for (const validateOnly of [true, false]) {
      const { topics } = await client.request('createTopics', 7, { topics: [{ ...plain, ...topic }], timeoutMs, validateOnly })
      assert.equal(topics[0]?.errorCode, errorCode)
      assert.ok((topics[0].errorMessage ?? '').length > 10)
    }
    assert.equal(kafka.hub.topics.list().length, 1)
  })
}

test('a topic that is only tried is not made, and one that is asked for twice is not either', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const tried = await client.request('createTopics', 5, { topics: [plain], timeoutMs, validateOnly: true })
  assert.equal(tried.topics[0]?.errorCode, 0)
  const doubled = await client.request('createTopics', 2, { topics: [plain, plain, { ...plain, name: 'b' }], timeoutMs })
  assert.deepEqual(
    doubled.topics.map(({ errorCode }) => errorCode),
    [42, 42, 0],
  )
  assert.deepEqual(
    kafka.hub.topics.list().map(({ name }) => name),
    ['b'],
  )
})

test('a topic is made when it is asked for, unless the client does not want that', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const codesOf = async (name: string, allowAutoTopicCreation: boolean) =>
    (await client.request('metadata', 9, { topics: [{ name }], allowAutoTopicCreation })).topics.map(({ errorCode }) => errorCode)
  assert.deepEqual(
    [await codesOf('a', false), await codesOf('a', true), await codesOf('a', false), await codesOf('a b', true)],
    [[3], [0], [0], [17]],
  )
  const all = await client.request('metadata', 0, { topics: [] })
  assert.deepEqual(
    all.topics.map(({ name }) => name),
    ['a'],
  )
})

test('settings are told with where they come from, changed one by one, and all together', async () => {
  await using kafka = await startKafkaServer()
  await kafka.hub.topics.create({ name: 'a' })
  await using client = await kafka.connect()
  const settingsOf = async (names: string[] | null) => {
    const resources = [{ resourceType: 2, resourceName: 'a', configurationKeys: names }]
    return (
      (await client.request('describeConfigs', 4, { resources, includeSynonyms: true, includeDocumentation: true })).results[0]
        ?.configs ?? []
    )
  }
  const valuesOf = async (...names: string[]) =>
    (await settingsOf(names)).map(({ name, value, configSource }) => `${name}=${value} ${configSource}`)
  assert.deepEqual(await valuesOf('retention.ms', 'cleanup.policy'), ['cleanup.policy=delete 5', 'retention.ms=604800000 5'])
  assert.ok((await settingsOf(null)).length > 20)
  const change = async (configs: { name: string; configOperation: number; value: string | null }[], validateOnly = false) => {
    const resources = [{ resourceType: 2, resourceName: 'a', configs }]
    return (await client.request('incrementalAlterConfigs', 1, { resources, validateOnly })).responses[0]?.errorCode
  }
  assert.equal(await change([{ name: 'retention.ms', configOperation: 0, value: '5' }], true), 0)
  assert.equal(await change([{ name: 'max.message.bytes', configOperation: 0, value: '2000' }]), 0)
  assert.equal(await change([{ name: 'retention.bytes', configOperation: 0, value: '7' }]), 0)
  assert.equal(await change([{ name: 'cleanup.policy', configOperation: 2, value: 'delete' }]), 0)
  assert.equal(await change([{ name: 'cleanup.policy', configOperation: 2, value: 'compact' }]), 40)
  assert.equal(await change([{ name: 'retention.ms', configOperation: 2, value: '1' }]), 40)
  assert.equal(await change([{ name: 'retention.ms', configOperation: 9, value: '1' }]), 40)
  assert.equal(await change([{ name: 'retention.bytes', configOperation: 1, value: null }]), 0)
  assert.deepEqual(await valuesOf('retention.ms', 'max.message.bytes', 'retention.bytes'), [
    'max.message.bytes=2000 1',
    'retention.bytes=-1 5',
    'retention.ms=604800000 5',
  ])
  const resources = [{ resourceType: 2, resourceName: 'a', configs: [{ name: 'retention.ms', value: '9' }] }]
  assert.equal((await client.request('alterConfigs', 2, { resources, validateOnly: false })).responses[0]?.errorCode, 0)
  assert.deepEqual(await valuesOf('retention.ms', 'max.message.bytes'), ['max.message.bytes=1048588 5', 'retention.ms=9 1'])
})

test('the broker tells a few settings and lets none be changed', async () => {
  await using kafka = await startKafkaServer()
  await using client = await kafka.connect()
  const resources = ['1', '2'].map((resourceName) => ({ resourceType: 4, resourceName, configurationKeys: null }))
  const { results } = await client.request('describeConfigs', 1, {
    resources: [...resources, { resourceType: 8, resourceName: '1', configurationKeys: null }],
  })
  assert.deepEqual(
    results.map(({ errorCode }) => errorCode),
    [0, 42, 42],
  )
  assert.equal(
    results[0]?.configs.find(({ name }) => name === 'advertised.listeners')?.value,
    `PLAINTEXT://127.0.0.1:${kafka.server.port}`,
  )
  const change = { resourceType: 4, resourceName: '1', configs: [{ name: 'broker.id', value: '7' }] }
  assert.equal(
    (await client.request('alterConfigs', 1, { resources: [change], validateOnly: false })).responses[0]?.errorCode,
    42,
  )
})

test('the cluster has one node, which has the advertised address', async () => {
  await using kafka = await startKafkaServer({ settings: { advertisedHost: 'log.example.org', advertisedPort: 19_092 } })
  await using client = await kafka.connect()
  const node = { host: 'log.example.org', port: 19_092, rack: null }
  const described = await client.request('describeCluster', 1, { includeClusterAuthorizedOperations: false })
  assert.deepEqual(
    [described.clusterId, described.controllerId, described.brokers],
    ['test-cluster', 1, [{ brokerId: 1, ...node }]],
  )
  assert.equal(
    (await client.request('describeCluster', 1, { includeClusterAuthorizedOperations: false, endpointType: 2 })).errorCode,
    42,
  )
  const told = await client.request('metadata', 9, { topics: null })
  assert.deepEqual([told.clusterId, told.controllerId, told.brokers], ['test-cluster', 1, [{ nodeId: 1, ...node }]])
  const coordinators = await client.request('findCoordinator', 4, { keyType: 0, coordinatorKeys: ['g', 'h'] })
  assert.deepEqual(
    coordinators.coordinators.map(({ key, nodeId, host, errorCode }) => [key, nodeId, host, errorCode]),
    [
      ['g', 1, 'log.example.org', 0],
      ['h', 1, 'log.example.org', 0],
    ],
  )
})
