import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import kafkajs, { type Admin, type Kafka, type Producer } from 'kafkajs'
import { KafkaNode } from '../support/kafka-server.ts'
import { Follower, kafkajsClient } from '../support/kafkajs.ts'
import { until } from '../support/until.ts'

// CommonJS: not all names can be imported.
const { AssignerProtocol, ConfigResourceTypes } = kafkajs

suite("kafkajs' administrator", () => {
  let node: KafkaNode
  let kafka: Kafka
  let admin: Admin
  let producer: Producer
  const stack = new AsyncDisposableStack()

  before(async () => {
    node = stack.use(await KafkaNode.open())
    kafka = kafkajsClient(node)
    admin = kafka.admin()
    producer = kafka.producer()
    await Promise.all([admin.connect(), producer.connect()])
    stack.defer(() => admin.disconnect())
    stack.defer(() => producer.disconnect())
  })
  after(() => stack.disposeAsync())

  const fill = async (topic: string, count: number, partition = 0): Promise<void> => {
    await producer.send({ topic, messages: Array.from({ length: count }, (_, index) => ({ value: `v${index}`, partition })) })
  }
  test('topics are made with settings, shown, and removed', async () => {
    const configEntries = [
      { name: 'retention.ms', value: '3600000' },
      { name: 'max.message.bytes', value: '2000000' },
      { name: 'cleanup.policy', value: 'delete' },
    ]
    assert.equal(
      await admin.createTopics({ waitForLeaders: true, topics: [{ topic: 'made', numPartitions: 3, configEntries }] }),
      true,
    )
    assert.deepEqual(node.agent.topics.get('made').config, {
      durability: 'wal',
      retentionMs: 3_600_000,
      retentionBytes: -1,
      maxMessageBytes: 2_000_000,
      timestampType: 'CreateTime',
    })
    assert.equal(await admin.createTopics({ topics: [{ topic: 'made' }] }), false, 'it is there')
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] })
    assert.deepEqual(
      topics.map(({ name, partitions }) => [name, partitions.map(({ leader, replicas, isr }) => [leader, replicas, isr])]),
      [['made', Array.from({ length: 3 }, () => [1, [1], [1]])]],
    )
    assert.ok((await admin.listTopics()).includes('made'))
    await admin.deleteTopics({ topics: ['made'] })
    assert.equal(node.agent.topics.find('made'), undefined)
    // It would repeat this for a minute.
    const hasty = kafkajsClient(node, { retry: { retries: 0 } }).admin()
    await hasty.connect()
    await assert.rejects(hasty.deleteTopics({ topics: ['made'] }), /does not host this topic-partition/)
    await hasty.disconnect()
  })

  const refused: readonly [what: string, topic: Parameters<Admin['createTopics']>[0]['topics'][number], type: string][] = [
    ['a name that cannot be', { topic: 'no spaces' }, 'INVALID_TOPIC_EXCEPTION'],
    ['no partitions', { topic: 'none', numPartitions: 0 }, 'INVALID_PARTITIONS'],
    ['three replicas', { topic: 'replicas', replicationFactor: 3 }, 'INVALID_REPLICATION_FACTOR'],
    ['compaction', { topic: 'compact', configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }, 'INVALID_CONFIG'],
    ['a setting that there is not', { topic: 'odd', configEntries: [{ name: 'colour', value: 'blue' }] }, 'INVALID_CONFIG'],
    [
      'a broker of its own',
      { topic: 'placed', replicaAssignment: [{ partition: 0, replicas: [7] }] },
      'INVALID_REPLICA_ASSIGNMENT',
    ],
  ]
  for (const [what, topic, type] of refused) {
    test(`a topic with ${what} is refused with ${type}`, async () => {
      assert.equal(await refusalOf(admin.createTopics({ topics: [topic] })), type)
      assert.equal(node.agent.topics.find(topic.topic), undefined)
    })
  }

  test('what is only to be validated is not made', async () => {
    assert.equal(await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics: [{ topic: 'tried' }] }), true)
    assert.equal(node.agent.topics.find('tried'), undefined)
  })

  test('partitions are added, and never taken away', async () => {
    await admin.createTopics({ topics: [{ topic: 'growing', numPartitions: 2 }] })
    await fill('growing', 5, 1)
    await admin.createPartitions({ topicPartitions: [{ topic: 'growing', count: 4 }] })
    assert.equal(
      await refusalOf(admin.createPartitions({ topicPartitions: [{ topic: 'growing', count: 3 }] })),
      'INVALID_PARTITIONS',
    )
    // A client that knew two partitions learns of the others.
    const late = kafka.producer()
    await late.connect()
    const [told] = await late.send({ topic: 'growing', messages: [{ value: 'x', partition: 3 }] })
    await late.disconnect()
    assert.deepEqual([told?.partition, told?.baseOffset], [3, '0'])
  })

  test('settings are shown with where they come from, and changed', async () => {
    await admin.createTopics({ topics: [{ topic: 'set', configEntries: [{ name: 'retention.bytes', value: '1000000' }] }] })
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'set' }
    const look = async (...configNames: string[]) => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames }] })
      return resources[0]?.configEntries.map(({ configName, configValue, isDefault }) => [configName, configValue, isDefault])
    }
    assert.deepEqual(await look('retention.bytes', 'retention.ms'), [
      ['retention.bytes', '1000000', false],
      ['retention.ms', '604800000', true],
    ])
    const alter = (name: string, value: string, validateOnly = false) =>
      admin.alterConfigs({ validateOnly, resources: [{ ...resource, configEntries: [{ name, value }] }] })
    await alter('retention.ms', '1000', true)
    assert.equal(node.agent.topics.get('set').config.retentionMs, 604_800_000)
    await alter('retention.ms', '7200000')
    // All at once: what is not said is at its default again.
    assert.deepEqual(await look('retention.bytes', 'retention.ms'), [
      ['retention.bytes', '-1', true],
      ['retention.ms', '7200000', false],
    ])
    assert.equal(await refusalOf(alter('retention.ms', 'long')), 'INVALID_CONFIG')
    await node.restart()
    assert.deepEqual(await look('retention.ms'), [['retention.ms', '7200000', false]])
    const all = await admin.describeConfigs({
      includeSynonyms: true,
      resources: [{ type: ConfigResourceTypes.BROKER, name: '1' }],
    })
    assert.ok(all.resources[0]?.configEntries.some(({ configName, readOnly }) => configName === 'broker.id' && readOnly))
  })

  test('records are deleted, and offsets by time and end are told', async () => {
    const topic = 'cut'
    await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
    const times = ['1700000000000', '1700000001000', '1700000002000']
    for (const timestamp of times) await producer.send({ topic, messages: [{ value: timestamp, timestamp, partition: 0 }] })
    const offsetsOf = async () => {
      const offsets = (await admin.fetchTopicOffsets(topic)).toSorted((a, b) => a.partition - b.partition)
      return offsets.map(({ partition, low, high }) => [partition, low, high])
    }
    assert.deepEqual(await offsetsOf(), [
      [0, '0', '3'],
      [1, '0', '0'],
    ])
    const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, 1_700_000_000_500)
    assert.equal(byTime.find(({ partition }) => partition === 0)?.offset, '1')
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
    assert.deepEqual((await offsetsOf())[0], [0, '2', '3'])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
    assert.deepEqual((await offsetsOf())[0], [0, '3', '3'])
    assert.match((await refusalOf(admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '9' }] }))) ?? '', /./)
    // A consumer from the beginning begins where records are.
    await fill(topic, 2)
    await using follower = await Follower.start(kafka, { groupId: 'cut-group', topic })
    await follower.until(({ seen }) => seen.length === 2, 'what is left')
    assert.deepEqual(
      follower.seen.map(({ offset }) => offset),
      [3, 4],
    )
  })

  test('the offsets of a group are set, reset, fetched, and gone with the group', async () => {
    const topic = 'offsets'
    const groupId = 'offsets-group'
    await admin.createTopics({ topics: [{ topic }] })
    await fill(topic, 30)
    const fetched = async (resolveOffsets = false) =>
      (await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets }))[0]?.partitions[0]?.offset
    assert.equal(await fetched(), '-1')
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '20' }] })
    assert.equal(await fetched(), '20')
    {
      await using follower = await Follower.start(kafka, { groupId, topic })
      await follower.until(({ seen }) => seen.length === 10, 'ten records')
      assert.equal(follower.seen[0]?.offset, 20)
      const inUse = admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '0' }] })
      assert.match((await refusalOf(inUse)) ?? '', /must have no running instances/)
      const { groups } = await admin.describeGroups([groupId])
      assert.deepEqual(
        groups.map(({ state, protocol, protocolType }) => [state, protocol, protocolType]),
        [['Stable', 'RoundRobinAssigner', 'consumer']],
      )
      const [member] = groups[0]?.members ?? []
      assert.ok(member)
      assert.deepEqual(AssignerProtocol.MemberAssignment.decode(member.memberAssignment)?.assignment, { [topic]: [0] })
      assert.match(member.clientHost, /^\/127\.0\.0\.1$/)
      assert.equal(await refusalOf(admin.deleteGroups([groupId])), 'NON_EMPTY_GROUP')
    }
    assert.equal(await fetched(), '30')
    await admin.resetOffsets({ groupId, topic, earliest: true })
    assert.equal(await fetched(true), '0')
    {
      await using again = await Follower.start(kafka, { groupId, topic })
      await again.until(({ seen }) => seen.length === 30, 'all once more')
    }
    await admin.resetOffsets({ groupId, topic, earliest: false })
    assert.equal(await fetched(true), '30')
    assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId && group.protocolType === 'consumer'))
    await admin.deleteGroups([groupId])
    assert.equal(await fetched(), '-1')
    assert.equal(await refusalOf(admin.deleteGroups([groupId])), 'GROUP_ID_NOT_FOUND')
    assert.equal((await admin.describeGroups([groupId])).groups[0]?.state, 'Dead')
  })

  test('the cluster is one node', async () => {
    const { brokers, controller, clusterId } = await admin.describeCluster()
    assert.deepEqual([brokers, controller, clusterId], [[{ nodeId: 1, host: '127.0.0.1', port: node.port }], 1, 'test-cluster'])
  })

  test('without users there are no access rules, and that is said', async () => {
    assert.equal(
      await refusalOf(admin.describeAcls({ resourceType: 1, resourcePatternType: 1, operation: 1, permissionType: 1 })),
      'SECURITY_DISABLED',
    )
  })

  test('a topic that is made again under its name begins anew', async () => {
    const topic = 'again'
    await admin.createTopics({ topics: [{ topic }] })
    await fill(topic, 7)
    await admin.deleteTopics({ topics: [topic] })
    await admin.createTopics({ topics: [{ topic }] })
    await until(
      async () => {
        const [told] = await producer.send({ topic, messages: [{ value: 'first' }] })
        return told?.baseOffset === '0'
      },
      { what: 'offset 0' },
    )
  })
})

/** The name of Kafka's error with which kafkajs rejects, wherever it puts it; its own message where there is none. */
async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return typeIn(error) ?? String(error)
  }
}

function typeIn(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('type' in error && typeof error.type === 'string') return error.type
  const [nested]: unknown[] =
    'errors' in error && Array.isArray(error.errors)
      ? error.errors
      : 'groups' in error && Array.isArray(error.groups)
        ? error.groups
        : []
  return typeIn(nested) ?? typeIn('error' in error ? error.error : undefined)
}
