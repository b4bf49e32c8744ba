import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import {
  Admin,
  ConfigResourceTypes,
  Consumer,
  IncrementalAlterConfigOperationTypes,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
  type ConsumerOptions,
  type MessagesStream,
} from '@platformatic/kafka'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { storedBatches, storedRecords, storedValues } from '../support/stored-records.ts'
import { until } from '../support/until.ts'

const patienceMs = 60_000
const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

type Messages = MessagesStream<string, string, string, string>
const numbered = (topic: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ topic, key: `k${from + index}`, value: `v${from + index}` }))
const values = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `v${from + index}`)

/** Takes messages until there are so many. */
async function take(stream: Messages, count: number): Promise<string[]> {
  const taken: string[] = []
  if (count === 0) return taken
  for await (const { value } of stream) {
    taken.push(value)
    if (taken.length === count) break
  }
  return taken
}

suite('@platformatic/kafka, which speaks the newest versions', () => {
  let node: KafkaNode
  let base: { clientId: string; bootstrapBrokers: string[] }
  let producer: Producer<string, string, string, string>
  let admin: Admin
  const stack = new AsyncDisposableStack()

  before(async () => {
    node = stack.use(await KafkaNode.open())
    base = { clientId: 'test', bootstrapBrokers: [node.brokers] }
    producer = new Producer({ ...base, serializers: stringSerializers, autocreateTopics: true })
    admin = new Admin(base)
    stack.defer(() => producer.close())
    stack.defer(() => admin.close())
  })
  after(() => stack.disposeAsync())

  const send = (messages: ReturnType<typeof numbered>) => producer.send({ messages, acks: ProduceAcks.ALL })
  /** Closed in the end, whatever the test comes to. */
  const consumerOf = (groupId: string, options: Partial<ConsumerOptions<string, string, string, string>> = {}) => {
    const consumer = new Consumer<string, string, string, string>({
      ...base,
      groupId,
      deserializers: stringDeserializers,
      maxWaitTime: 200,
      sessionTimeout: 10_000,
      heartbeatInterval: 300,
      ...options,
    })
    stack.defer(() => consumer.close(true))
    return consumer
  }
  const untilGroup = (groupId: string, members: number): Promise<unknown> =>
    until(
      () => {
        const view = node.agent.groups.describe(groupId)
        return view?.members.length === members && view.state === (members === 0 ? 'Empty' : 'Stable')
      },
      { what: `group ${groupId} to have ${members} members`, timeoutMs: patienceMs },
    )

  test('with each compression it reads back what it sent', async () => {
    for (const compression of compressions) {
      const messages = Array.from({ length: 50 }, (_, index) => ({
        topic: 'codecs',
        key: `k${index}`,
        value: `${compression} ${index}`,
        headers: { kind: compression },
      }))
      await producer.send({ messages, compression, acks: ProduceAcks.ALL })
    }
    const consumer = consumerOf('codecs-group')
    const stream = await consumer.consume({ topics: ['codecs'], mode: MessagesStreamModes.EARLIEST, autocommit: true })
    const expected = compressions.flatMap((compression) => Array.from({ length: 50 }, (_, index) => `${compression} ${index}`))
    const taken: string[] = []
    for await (const { value, headers } of stream) {
      assert.equal(headers.get('kind'), value.split(' ')[0])
      taken.push(value)
      if (taken.length === expected.length) break
    }
    assert.deepEqual(taken, expected)
    await consumer.close(true)
  })

  for (const [name, acks] of [['no', ProduceAcks.NO_RESPONSE] as const, ['the leader', ProduceAcks.LEADER] as const]) {
    test(`records that wait for ${name} acknowledgement are taken`, async () => {
      const topic = `acks-${acks}`
      await node.agent.topics.create({ name: topic })
      await producer.send({ messages: numbered(topic, 100), acks })
      await until(() => node.agent.topics.get(topic).partitions[0]?.highWatermark === 100, { what: 'the records' })
      assert.deepEqual(await storedValues(node.agent, topic), values(100))
    })
  }

  test('an idempotent producer numbers its batches, and is told offsets', async () => {
    await node.agent.topics.create({ name: 'idempotent' })
    const idempotent = new Producer({ ...base, serializers: stringSerializers, idempotent: true })
    for (let from = 0; from < 500; from += 50) {
      const { offsets } = await idempotent.send({ messages: numbered('idempotent', 50, from), acks: ProduceAcks.ALL })
      assert.deepEqual(offsets, [{ topic: 'idempotent', partition: 0, offset: BigInt(from) }])
    }
    await idempotent.close()
    assert.deepEqual(await storedValues(node.agent, 'idempotent'), values(500))
    for (const batch of await storedBatches(node.agent, 'idempotent')) {
      const { baseOffset, baseSequence } = readBatchHeader(batch)
      assert.equal(baseSequence, baseOffset)
    }
  })

  test('a stream of messages is written as fast as it is taken', async () => {
    await node.agent.topics.create({ name: 'streamed' })
    const stream = producer.asStream({ batchSize: 100, batchTime: 10 })
    for (const message of numbered('streamed', 2000)) {
      if (!stream.write(message)) await new Promise((resolve) => stream.once('drain', resolve))
    }
    await stream.close()
    await until(() => node.agent.topics.get('streamed').partitions[0]?.highWatermark === 2000, { what: 'the records' })
    assert.deepEqual(await storedValues(node.agent, 'streamed'), values(2000))
  })

  test('a group shares partitions, and goes on where it was', async () => {
    const topic = 'shared'
    await node.agent.topics.create({ name: topic, partitionCount: 4 })
    await send(numbered(topic, 400))
    const streams: Messages[] = []
    const seen: string[] = []
    const join = async () => {
      const consumer = consumerOf('shared-group')
      const stream = await consumer.consume({
        topics: [topic],
        mode: MessagesStreamModes.COMMITTED,
        fallbackMode: MessagesStreamFallbackModes.EARLIEST,
        autocommit: 100,
      })
      stream.on('data', ({ value }) => seen.push(value))
      streams.push(stream)
      return consumer
    }
    const first = await join()
    await until(() => new Set(seen).size === 400, { what: 'all records', timeoutMs: patienceMs })
    const second = await join()
    await untilGroup('shared-group', 2)
    const assigned = () =>
      [first, second].map(({ assignments }) => assignments?.flatMap(({ partitions }) => partitions).length ?? 0)
    await until(() => assigned().every((count) => count === 2), { what: 'two partitions each', timeoutMs: patienceMs })
    await send(numbered(topic, 400, 400))
    await until(() => new Set(seen).size === 800, { what: 'the records after the rebalance', timeoutMs: patienceMs })
    await second.close(true)
    await untilGroup('shared-group', 1)
    await send(numbered(topic, 100, 800))
    await until(() => new Set(seen).size === 900, { what: 'the records after the other has left', timeoutMs: patienceMs })
    const committed = async () =>
      (await node.agent.groups.committedOffsets('shared-group')).reduce((sum, { offset }) => sum + offset, 0)
    await until(async () => (await committed()) === 900, { what: 'all offsets to be committed', timeoutMs: patienceMs })
    await first.close(true)
    await untilGroup('shared-group', 0)
  })

  test('a static member that comes back is no rebalance', async () => {
    const topic = 'static'
    await send(numbered(topic, 10))
    const join = async () => {
      const consumer = consumerOf('static-group', { groupInstanceId: 'one' })
      const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST })
      return { consumer, stream }
    }
    const before = await join()
    assert.deepEqual(await take(before.stream, 10), values(10))
    const generation = node.agent.groups.describe('static-group')?.generation
    // A member that has a name does not leave when it closes.
    await before.consumer.close(true)
    const again = await join()
    assert.deepEqual(await take(again.stream, 10), values(10))
    const view = node.agent.groups.describe('static-group')
    const [member] = view?.members ?? []
    assert.equal(member?.instanceId, 'one')
    await again.consumer.close(true)
    assert.equal(view?.generation, generation)
  })

  test('commits by hand hold', async () => {
    const topic = 'manual'
    await send(numbered(topic, 20))
    const consumer = consumerOf('manual-group')
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false })
    for await (const message of stream) {
      if (message.value !== 'v11') continue
      await message.commit()
      break
    }
    const committed = await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] })
    assert.deepEqual(committed.get(topic), [12n])
    await consumer.close(true)
    const next = consumerOf('manual-group')
    const rest = await next.consume({ topics: [topic], mode: MessagesStreamModes.COMMITTED })
    assert.deepEqual(await take(rest, 8), values(8, 12))
    await next.close(true)
  })

  test('offsets by time and at both ends', async () => {
    const topic = 'times'
    const times = [1_700_000_000_000n, 1_700_000_001_000n, 1_700_000_002_000n]
    for (const timestamp of times) await producer.send({ messages: [{ topic, key: 'k', value: String(timestamp), timestamp }] })
    const listed = async (timestamp: bigint) => {
      const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }] })
      return found?.partitions[0]
    }
    assert.equal((await listed(-2n))?.offset, 0n)
    assert.equal((await listed(-1n))?.offset, 3n)
    assert.deepEqual(
      [await listed(1_700_000_000_500n), await listed(-3n)].map((found) => [found?.offset, found?.timestamp]),
      [
        [1n, 1_700_000_001_000n],
        [2n, 1_700_000_002_000n],
      ],
    )
    assert.equal((await listed(1_800_000_000_000n))?.offset, -1n)
    assert.equal((await storedRecords(node.agent, topic)).length, 3)
  })

  suite('administrator', () => {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: 'made' }

    test('topics with settings', async () => {
      const created = await admin.createTopics({
        topics: ['made'],
        partitions: 3,
        replicas: 1,
        configs: [{ name: 'retention.ms', value: '3600000' }],
      })
      assert.deepEqual(
        created.map(({ id, name, partitions, replicas, configuration }) => [
          id,
          name,
          partitions,
          replicas,
          configuration['retention.ms'],
        ]),
        [[node.agent.topics.get('made').id, 'made', 3, 1, '3600000']],
      )
      await admin.createPartitions({ topics: [{ name: 'made', count: 5, assignments: [] }] })
      assert.equal(node.agent.topics.get('made').partitions.length, 5)
      assert.ok((await admin.listTopics()).includes('made'))
      const metadata = await admin.metadata({ topics: ['made'], forceUpdate: true })
      assert.equal(metadata.id, 'test-cluster')
      assert.equal(metadata.topics.get('made')?.partitionsCount, 5)
      assert.equal(metadata.topics.get('made')?.id, node.agent.topics.get('made').id)
    })

    test('settings, all of them and one by one', async () => {
      const look = async (...configurationKeys: string[]) => {
        const [described] = await admin.describeConfigs({
          resources: [{ ...resource, configurationKeys }],
          includeDocumentation: true,
        })
        return described?.configs.map(({ name, value }) => [name, value])
      }
      const { SET, DELETE } = IncrementalAlterConfigOperationTypes
      await admin.incrementalAlterConfigs({
        resources: [{ ...resource, configs: [{ name: 'max.message.bytes', configOperation: SET, value: '5000' }] }],
      })
      assert.deepEqual(await look('max.message.bytes', 'retention.ms'), [
        ['max.message.bytes', '5000'],
        ['retention.ms', '3600000'],
      ])
      await admin.incrementalAlterConfigs({
        resources: [{ ...resource, configs: [{ name: 'max.message.bytes', configOperation: DELETE }] }],
      })
      assert.deepEqual(await look('max.message.bytes'), [['max.message.bytes', '1048588']])
      await admin.alterConfigs({ resources: [{ ...resource, configs: [{ name: 'retention.bytes', value: '1000' }] }] })
      assert.deepEqual(await look('retention.bytes', 'retention.ms'), [
        ['retention.bytes', '1000'],
        ['retention.ms', '604800000'],
      ])
    })

    test('records before an offset are deleted', async () => {
      await send(numbered('deleted', 10))
      const deleted = await admin.deleteRecords({ topics: [{ name: 'deleted', partitions: [{ partition: 0, offset: 4n }] }] })
      assert.deepEqual(deleted, [{ name: 'deleted', partitions: [{ partition: 0, lowWatermark: 4n }] }])
      const consumer = consumerOf('deleted-group')
      const stream = await consumer.consume({ topics: ['deleted'], mode: MessagesStreamModes.EARLIEST })
      assert.deepEqual(await take(stream, 6), values(6, 4))
      await consumer.close(true)
    })

    test('groups are listed, described, given offsets, and removed', async () => {
      const topic = 'grouped'
      await send(numbered(topic, 10))
      const consumer = consumerOf('grouped-group')
      const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: true })
      assert.deepEqual(await take(stream, 10), values(10))
      await untilGroup('grouped-group', 1)
      assert.equal((await admin.listGroups({ states: ['STABLE'] })).get('grouped-group')?.protocolType, 'consumer')
      const described = (await admin.describeGroups({ groups: ['grouped-group'] })).get('grouped-group')
      const [member] = described?.members.values() ?? []
      assert.deepEqual(member?.assignments?.get(topic)?.partitions, [0])
      await admin.removeMembersFromConsumerGroup({ groupId: 'grouped-group' })
      await consumer.close(true)
      await untilGroup('grouped-group', 0)
      const offsets = { groupId: 'grouped-group', topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 3n }] }] }
      await admin.alterConsumerGroupOffsets(offsets)
      const [listed] = await admin.listConsumerGroupOffsets({ groups: ['grouped-group'] })
      assert.equal(listed?.topics[0]?.partitions[0]?.committedOffset, 3n)
      await admin.deleteConsumerGroupOffsets({ groupId: 'grouped-group', topics: [{ name: topic, partitionIndexes: [0] }] })
      assert.deepEqual(await node.agent.groups.committedOffsets('grouped-group'), [])
      await admin.deleteGroups({ groups: ['grouped-group'] })
      assert.equal(node.agent.groups.describe('grouped-group'), undefined)
    })

    test('topics are removed', async () => {
      await admin.deleteTopics({ topics: ['made'] })
      assert.equal(node.agent.topics.find('made'), undefined)
    })
  })
})
