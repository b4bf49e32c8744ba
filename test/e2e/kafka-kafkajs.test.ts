import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs'
import { partitionFor } from '#formats/kafka/partitioner.ts'
import { compressionOf, readBatchHeader } from '#formats/kafka/record-batch.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { Follower, kafkajsClient, severableClient } from '../support/kafkajs.ts'
import { storedBatches, storedRecords, storedValues } from '../support/stored-records.ts'
import { until } from '../support/until.ts'

// CommonJS: not all names can be imported.
const { CompressionTypes } = kafkajs
const patienceMs = 60_000

const messages = (count: number, from = 0): Message[] =>
  Array.from({ length: count }, (_, index) => ({ key: `k${from + index}`, value: `v${from + index}` }))
const values = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `v${from + index}`)

suite('kafkajs, with its default settings', () => {
  let node: KafkaNode
  let kafka: Kafka
  let producer: Producer
  const stack = new AsyncDisposableStack()

  before(async () => {
    node = stack.use(await KafkaNode.open())
    kafka = kafkajsClient(node)
    producer = kafka.producer()
    await producer.connect()
    stack.defer(() => producer.disconnect())
  })
  after(() => stack.disposeAsync())

  suite('producers', () => {
    for (const acks of [0, 1, -1]) {
      test(`acks ${acks} takes everything, in order`, async () => {
        const topic = `acks-${acks}`
        await node.agent.topics.create({ name: topic })
        for (let from = 0; from < 1000; from += 100) await producer.send({ topic, acks, messages: messages(100, from) })
        const isAll = () => node.agent.topics.get(topic).partitions[0]?.highWatermark === 1000
        await until(isAll, { what: 'all records to be taken', timeoutMs: patienceMs })
        assert.deepEqual(await storedValues(node.agent, topic), values(1000))
      })
    }

    test('a producer is told where its records are', async () => {
      const topic = 'told'
      await producer.send({ topic, messages: messages(3) })
      const [told] = await producer.send({ topic, messages: messages(2) })
      assert.deepEqual([told?.partition, told?.errorCode, told?.baseOffset, told?.logAppendTime], [0, 0, '3', '-1'])
      await node.agent.topics.create({ name: 'told-time', config: { timestampType: 'LogAppendTime' } })
      const [timed] = await producer.send({ topic: 'told-time', messages: messages(1) })
      assert.ok(Math.abs(Number(timed?.logAppendTime) - Date.now()) < patienceMs)
    })

    test('gzip is kept as it came', async () => {
      await producer.send({ topic: 'gzip', compression: CompressionTypes.GZIP, messages: messages(500) })
      const batches = await storedBatches(node.agent, 'gzip')
      assert.deepEqual(
        batches.map((batch) => compressionOf(readBatchHeader(batch))),
        ['gzip'],
      )
      assert.deepEqual(await storedValues(node.agent, 'gzip'), values(500))
    })

    test('an idempotent producer with several partitions numbers its batches in each', async () => {
      await node.agent.topics.create({ name: 'idempotent', partitionCount: 3 })
      const idempotent = kafka.producer({ idempotent: true })
      await idempotent.connect()
      for (let from = 0; from < 1000; from += 100) await idempotent.send({ topic: 'idempotent', messages: messages(100, from) })
      await idempotent.disconnect()
      const kept = await Promise.all([0, 1, 2].map((partition) => storedBatches(node.agent, 'idempotent', partition)))
      for (const batches of kept) {
        for (const batch of batches) {
          const { baseOffset, baseSequence, producerId } = readBatchHeader(batch)
          assert.equal(baseSequence, baseOffset)
          assert.ok(producerId >= 0)
        }
      }
      const all = await Promise.all([0, 1, 2].map((partition) => storedValues(node.agent, 'idempotent', partition)))
      assert.deepEqual(all.flat().toSorted(), values(1000).toSorted())
    })

    test('headers, times, null keys and null values are kept, and keys find their partition', async () => {
      const topic = 'forms'
      await node.agent.topics.create({ name: topic, partitionCount: 5 })
      const headers = { kind: 'test', many: ['a', 'b'], empty: '' }
      await producer.send({ topic, messages: [{ partition: 2, key: null, value: null, headers, timestamp: '1700000000123' }] })
      const [record] = await storedRecords(node.agent, topic, 2)
      assert.deepEqual([record?.key, record?.value, record?.timestampMs], [null, null, 1_700_000_000_123])
      assert.deepEqual(
        record?.headers.map(({ key, value }) => `${key}=${String(value)}`),
        ['kind=test', 'many=a', 'many=b', 'empty='],
      )
      const told = await producer.send({ topic, messages: [{ key: 'some key', value: 'x' }] })
      assert.deepEqual(
        told.map(({ partition }) => partition),
        [partitionFor(Buffer.from('some key'), 5)],
      )
    })

    test('one request may go to many topics', async () => {
      const names = Array.from({ length: 20 }, (_, index) => `many-${index}`)
      const told = await producer.sendBatch({ topicMessages: names.map((topic) => ({ topic, messages: messages(5) })) })
      assert.equal(told.length, 20)
      for (const topic of names) assert.deepEqual(await storedValues(node.agent, topic), values(5))
    })

    test('a topic may ask for the object store, and its producers wait for that', async () => {
      await node.agent.topics.create({ name: 'durable', config: { durability: 'object' } })
      await producer.send({ topic: 'durable', messages: messages(10) })
      assert.equal(node.agent.topics.get('durable').partitions[0]?.committedEnd, 10)
    })

    test('what is too large is refused as that, and said once', async () => {
      const large = { topic: 'large', messages: [{ value: Buffer.alloc(2_000_000) }] }
      await producer.send({ topic: 'large', messages: messages(1) })
      await assert.rejects(producer.send(large), { type: 'MESSAGE_TOO_LARGE' })
      await producer.send({ topic: 'large', messages: messages(1, 1) })
      assert.deepEqual(await storedValues(node.agent, 'large'), values(2))
    })
  })

  suite('consumers', () => {
    const produce = (topic: string, count: number, from = 0) => producer.send({ topic, messages: messages(count, from) })
    const untilAll = (followers: readonly Follower[], count: number): Promise<boolean> => {
      const seen = () => new Set(followers.flatMap((follower) => follower.values)).size
      return until(() => seen() >= count, { what: `${count} records`, timeoutMs: patienceMs })
    }
    const untilShared = (followers: readonly Follower[], topic: string, partitions: number): Promise<boolean> => {
      const assigned = () => followers.flatMap(({ assignment }) => assignment[topic] ?? [])
      const isShared = () =>
        assigned().length === partitions &&
        new Set(assigned()).size === partitions &&
        followers.every(({ assignment }) => (assignment[topic] ?? []).length > 0)
      return until(isShared, { what: `${partitions} partitions to be shared by ${followers.length}`, timeoutMs: patienceMs })
    }

    test('members come and go while records flow, and none is left out', async () => {
      const topic = 'flow'
      const groupId = 'flow-group'
      await node.agent.topics.create({ name: topic, partitionCount: 6 })
      await using first = await Follower.start(kafka, { groupId, topic })
      await produce(topic, 300)
      await untilShared([first], topic, 6)
      await using second = await Follower.start(kafka, { groupId, topic })
      await produce(topic, 300, 300)
      await untilShared([first, second], topic, 6)
      await using third = await Follower.start(kafka, { groupId, topic })
      await produce(topic, 300, 600)
      await untilShared([first, second, third], topic, 6)
      await produce(topic, 300, 900)
      await untilAll([first, second, third], 1200)
      await second.consumer.disconnect()
      await produce(topic, 300, 1200)
      await untilShared([first, third], topic, 6)
      await untilAll([first, second, third], 1500)
      await first.consumer.disconnect()
      await third.consumer.disconnect()
      await until(() => node.agent.groups.describe(groupId)?.state === 'Empty', { what: 'the group to be empty' })
      await produce(topic, 100, 1500)
      await using later = await Follower.start(kafka, { groupId, topic })
      await untilAll([later], 100)
      assert.deepEqual(later.values.toSorted(), values(100, 1500).toSorted(), 'where the group was, and no earlier')
    })

    test('the partitions of a member that falls silent move', async () => {
      const topic = 'silent'
      const groupId = 'silent-group'
      await node.agent.topics.create({ name: topic, partitionCount: 4 })
      const failing = severableClient(node)
      await using stays = await Follower.start(kafka, { groupId, topic })
      await using goes = await Follower.start(failing.kafka, { groupId, topic })
      await untilShared([stays, goes], topic, 4)
      await produce(topic, 200)
      await untilAll([stays, goes], 200)
      failing.sever()
      await produce(topic, 200, 200)
      await untilShared([stays], topic, 4)
      await untilAll([stays, goes], 400)
    })

    test('batches with manual commits: a group goes on behind what was committed', async () => {
      const topic = 'manual'
      await node.agent.topics.create({ name: topic })
      for (let from = 0; from < 100; from += 10) await produce(topic, 10, from)
      const timing = { sessionTimeout: 10_000, heartbeatInterval: 300, maxWaitTimeInMs: 100 }
      const consumer = kafka.consumer({ groupId: 'manual-group', ...timing })
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      let handled = 0
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => {
          const { batch } = payload
          for (const { offset } of batch.messages) {
            if (handled === 42) return
            payload.resolveOffset(offset)
            handled += 1
          }
          assert.equal(batch.highWatermark, '100')
          assert.ok(payload.uncommittedOffsets().topics.length <= 1)
          await payload.heartbeat()
        },
      })
      await until(() => handled === 42, { what: '42 records to be handled', timeoutMs: patienceMs })
      await consumer.commitOffsets([{ topic, partition: 0, offset: '42', metadata: 'by hand' }])
      await consumer.disconnect()
      const [committed] = await node.agent.groups.committedOffsets('manual-group')
      assert.deepEqual([committed?.offset, committed?.metadata], [42, 'by hand'])
      await using next = await Follower.start(kafka, { groupId: 'manual-group', topic })
      await untilAll([next], 58)
      assert.deepEqual(next.values, values(58, 42))
    })

    test('seek goes back and forth, pause stops one partition and resume lets it go on', async () => {
      const topic = 'seek'
      await node.agent.topics.create({ name: topic, partitionCount: 2 })
      const into = (partition: number, count: number, from: number) =>
        producer.send({ topic, messages: messages(count, from).map((message) => ({ ...message, partition })) })
      await into(0, 50, 0)
      await into(1, 50, 1000)
      await using follower = await Follower.start(kafka, { groupId: 'seek-group', topic })
      const { consumer } = follower
      const countOf = (value: string) => follower.values.filter((one) => one === value).length
      await untilAll([follower], 100)
      consumer.seek({ topic, partition: 0, offset: '10' })
      await follower.until(() => countOf('v49') === 2, 'the records to come again')
      assert.deepEqual([countOf('v9'), countOf('v10'), countOf('v1000')], [1, 2, 1])
      consumer.pause([{ topic, partitions: [1] }])
      await into(1, 10, 1050)
      await into(0, 10, 50)
      await follower.until(() => countOf('v59') === 1, 'the partition that is not paused')
      assert.equal(countOf('v1050'), 0)
      consumer.resume([{ topic, partitions: [1] }])
      await follower.until(() => countOf('v1059') === 1, 'the other one')
    })

    test('a consumer that is not from the beginning gets what comes', async () => {
      const topic = 'latest'
      await produce(topic, 10)
      const consumer = kafka.consumer({ groupId: 'latest-group', maxWaitTimeInMs: 100 })
      await using follower = new Follower(consumer)
      await consumer.connect()
      await consumer.subscribe({ topics: [topic] })
      await consumer.run({
        eachMessage: async ({ partition, message }) => {
          follower.seen.push({ partition, offset: Number(message.offset), value: String(message.value) })
        },
      })
      await follower.until(({ joins }) => joins > 0, 'the group')
      let sent = 10
      // The consumer looks up where the end is some time after it has joined.
      await follower.until(({ seen }) => {
        if (seen.length === 0) void produce(topic, 1, sent++)
        return seen.length > 0
      }, 'something new')
      assert.ok((follower.seen[0]?.offset ?? 0) >= 10)
    })

    test('answers of little bytes bring everything all the same', async () => {
      const topic = 'little'
      for (let from = 0; from < 200; from += 20) await produce(topic, 20, from)
      const consumer = kafka.consumer({ groupId: 'little-group', maxBytesPerPartition: 300, maxBytes: 500, maxWaitTimeInMs: 50 })
      await using follower = new Follower(consumer)
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        eachMessage: async ({ partition, message }) => {
          follower.seen.push({ partition, offset: Number(message.offset), value: String(message.value) })
        },
      })
      await untilAll([follower], 200)
      assert.deepEqual(follower.values, values(200))
    })

    test('a restart of the server does not end clients', async () => {
      const topic = 'restarted'
      await node.agent.topics.create({ name: topic, partitionCount: 2 })
      await using follower = await Follower.start(kafka, { groupId: 'restarted-group', topic })
      await produce(topic, 100)
      await untilAll([follower], 100)
      const generation = node.agent.groups.describe('restarted-group')?.generation
      await node.restart()
      await produce(topic, 100, 100)
      await untilAll([follower], 200)
      assert.equal(node.agent.groups.describe('restarted-group')?.generation, generation)
    })
  })
})
