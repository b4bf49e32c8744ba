import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { apis } from '#formats/kafka/apis.ts'
import { encodeRequest } from '#formats/kafka/frame.ts'
import { readBatchHeader, splitBatches } from '#formats/kafka/record-batch.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { fetchOf, KafkaTestClient, produceOf } from '#servers/kafka/kafka.fixture.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { storedValues } from '../support/stored-records.ts'
import { until } from '../support/until.ts'

const patienceMs = 60_000
const everything = { topics: null }

function batchOf(values: readonly string[], producer?: { id: number; epoch: number; baseSequence: number }): Buffer {
  const records = values.map((value) => ({ key: null, value: Buffer.from(value), headers: [], timestampMs: 1_700_000_000_000 }))
  return encodeBatch(records, producer ? { producer } : {})
}

function valuesIn(records: Buffer | null | undefined): string[] {
  return splitBatches(records ?? Buffer.alloc(0))
    .flatMap((batch) => decodeBatch(batch))
    .map(({ value }) => String(value))
}

suite('the Kafka protocol in front of the event log', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open()
  })
  after(() => node[Symbol.asyncDispose]())

  const connect = (): Promise<KafkaTestClient> => KafkaTestClient.connect(node.port)
  /** A topic of the test's own. */
  const topicOf = async (name: string): Promise<string> => (await node.agent.topics.create({ name })).name
  const produce = async (client: KafkaTestClient, request: ReturnType<typeof produceOf>) => {
    const { responses } = await client.request('produce', 9, request)
    const [told] = responses[0]?.partitionResponses ?? []
    assert.ok(told)
    return told
  }
  const fetch = async (client: KafkaTestClient, topic: string, offset: number) => {
    const { responses } = await client.request('fetch', 12, fetchOf([topic], { offset }))
    const [found] = responses[0]?.partitions ?? []
    assert.ok(found)
    return found
  }

  test('records pass in every version of Produce and Fetch', async () => {
    const topic = await topicOf('versions')
    await using client = await connect()
    const sent: string[] = []
    for (let version = 3; version <= apis.produce.max; version++) {
      const value = `version ${version}`
      const { responses } = await client.request('produce', version, produceOf(topic, batchOf([value])))
      assert.equal(responses[0]?.partitionResponses[0]?.baseOffset, sent.length)
      sent.push(value)
    }
    for (let version = apis.fetch.min; version <= apis.fetch.max; version++) {
      const { responses } = await client.request('fetch', version, fetchOf([topic]))
      const [found] = responses[0]?.partitions ?? []
      assert.deepEqual(
        [valuesIn(found?.records), found?.highWatermark, found?.errorCode],
        [sent, sent.length, 0],
        `version ${version}`,
      )
    }
    for (const version of [0, 1, 2]) {
      const { responses } = await client.request('produce', version, produceOf(topic, batchOf(['old'])))
      assert.equal(responses[0]?.partitionResponses[0]?.errorCode, 35, `version ${version}`)
    }
  })

  /** A batch of two records with one thing wrong. */
  const damaged = (change: (batch: Buffer) => void): Buffer => {
    const batch = batchOf(['one', 'two'])
    change(batch)
    return batch
  }
  const refused: readonly [what: string, code: number, request: (topic: string) => ReturnType<typeof produceOf>][] = [
    ['acks=5', 21, (topic) => produceOf(topic, batchOf(['x']), { acks: 5 })],
    ['acks=-2', 21, (topic) => produceOf(topic, batchOf(['x']), { acks: -2 })],
    ['a partition that there is not', 3, (topic) => produceOf(topic, batchOf(['x']), { index: 7 })],
    ['a negative partition', 3, (topic) => produceOf(topic, batchOf(['x']), { index: -1 })],
    ['a topic that there is not', 3, () => produceOf('nowhere', batchOf(['x']))],
    ['a transaction', 53, (topic) => ({ ...produceOf(topic, batchOf(['x'])), transactionalId: 'mine' })],
    [
      'a batch whose checksum is wrong',
      2,
      (topic) =>
        produceOf(
          topic,
          damaged((batch) => batch.writeUInt8(0xff, batch.length - 3)),
        ),
    ],
    ['two batches', 87, (topic) => produceOf(topic, Buffer.concat([batchOf(['one']), batchOf(['two'])]))],
    ['half a batch', 87, (topic) => produceOf(topic, batchOf(['one']).subarray(0, 66))],
    ['a few bytes', 87, (topic) => produceOf(topic, Buffer.alloc(20))],
    ['no records', 87, (topic) => produceOf(topic, null)],
    [
      'an older format of records',
      87,
      (topic) =>
        produceOf(
          topic,
          damaged((batch) => batch.writeInt8(1, 16)),
        ),
    ],
    ['a batch above the limit', 10, (topic) => produceOf(topic, batchOf(['x'.repeat(2_000_000)]))],
  ]
  test('what cannot be taken is refused with its code, and the connection goes on', async () => {
    const topic = await topicOf('refused')
    await using client = await connect()
    for (const [what, code, request] of refused) {
      const { errorCode, baseOffset } = await produce(client, request(topic))
      assert.deepEqual([errorCode, baseOffset], [code, -1], what)
    }
    assert.equal((await produce(client, produceOf(topic, batchOf(['good'])))).errorCode, 0)
    assert.deepEqual(await storedValues(node.agent, topic), ['good'])
    assert.equal(node.agent.topics.find('nowhere'), undefined, 'producing alone makes no topic')
  })

  test('one partition of many may be refused', async () => {
    const topic = await topicOf('mixed')
    await using client = await connect()
    const { responses } = await client.request('produce', 9, {
      ...produceOf(topic, null),
      topicData: [
        {
          name: topic,
          partitionData: [
            { index: 0, records: batchOf(['good']) },
            { index: 1, records: batchOf(['nowhere']) },
          ],
        },
        { name: 'nothing', partitionData: [{ index: 0, records: batchOf(['lost']) }] },
      ],
    })
    const codes = responses.map(({ partitionResponses }) => partitionResponses.map(({ errorCode }) => errorCode))
    assert.deepEqual(codes, [[0, 3], [3]])
  })

  test('offsets that clients put into batches do not count', async () => {
    const topic = await topicOf('own-offsets')
    await using client = await connect()
    const batch = damaged((bytes) => bytes.writeBigInt64BE(1_000_000n, 0))
    assert.equal((await produce(client, produceOf(topic, batch))).baseOffset, 0)
    const { records } = await fetch(client, topic, 0)
    assert.equal(readBatchHeader(records ?? Buffer.alloc(0)).baseOffset, 0)
  })

  test('a fetch behind the end or before the start is out of range; at the end it is empty', async () => {
    const topic = await topicOf('ranges')
    await using client = await connect()
    await produce(client, produceOf(topic, batchOf(['a', 'b', 'c', 'd'])))
    await node.agent.deleteRecords({ topic, partition: 0 }, 2)
    const codeAt = async (offset: number) => {
      const { errorCode, records, highWatermark, logStartOffset } = await fetch(client, topic, offset)
      return [errorCode, valuesIn(records).length, highWatermark, logStartOffset]
    }
    assert.deepEqual(await codeAt(1), [1, 0, 4, 2])
    // A batch comes whole; clients pass over what they have not asked for.
    assert.deepEqual(await codeAt(2), [0, 4, 4, 2])
    assert.deepEqual(await codeAt(4), [0, 0, 4, 2])
    assert.deepEqual(await codeAt(5), [1, 0, 4, 2])
    assert.deepEqual((await codeAt(-1))[0], 1)
    const { responses } = await client.request('fetch', 12, fetchOf(['nowhere']))
    assert.equal(responses[0]?.partitions[0]?.errorCode, 3)
  })

  test('requests that come at once are answered in order, whatever they wait for', async () => {
    const topic = await topicOf('pipelined')
    await using client = await connect()
    const fetched = client.send('fetch', 12, fetchOf([topic], { maxWaitMs: 500 }))
    const produced = Array.from({ length: 50 }, (_, index) => client.send('produce', 9, produceOf(topic, batchOf([`v${index}`]))))
    const listed = client.send('metadata', 12, everything)
    assert.deepEqual((await fetched()).responses.length, 1)
    for (const [index, answer] of produced.entries()) {
      assert.equal((await answer()).responses[0]?.partitionResponses[0]?.baseOffset, index)
    }
    assert.ok((await listed()).topics.some(({ name }) => name === topic))
  })

  test('a fetch that waits is answered when records come, and not before', async () => {
    const topic = await topicOf('waiting')
    await using consumer = await connect()
    await using producer = await connect()
    // Longer than the test would wait.
    const waiting = consumer.send('fetch', 12, fetchOf([topic], { maxWaitMs: 30_000 }))
    await producer.request('metadata', 12, everything)
    assert.equal(consumer.waiting, 0)
    await produce(producer, produceOf(topic, batchOf(['now'])))
    const { responses } = await waiting()
    assert.deepEqual(valuesIn(responses[0]?.partitions[0]?.records), ['now'])
  })

  test('a fetch that wants more waits for more', async () => {
    const topic = await topicOf('more')
    await using consumer = await connect()
    await using producer = await connect()
    const waiting = consumer.send('fetch', 12, fetchOf([topic], { maxWaitMs: 30_000, minBytes: 5000 }))
    for (let index = 0; index < 10; index++) await produce(producer, produceOf(topic, batchOf(['x'.repeat(1000)])))
    const found = valuesIn((await waiting()).responses[0]?.partitions[0]?.records)
    assert.ok(found.length >= 5, `${found.length} records`)
  })

  test('a client that does not read gets no more memory than its share, and all of it later', async () => {
    const topic = await topicOf('slow')
    await using producer = await connect()
    const value = 'y'.repeat(900_000)
    for (let index = 0; index < 20; index++) await produce(producer, produceOf(topic, batchOf([value])))
    await using slow = await connect()
    slow.socket.pause()
    const asked = Array.from({ length: 40 }, () => slow.send('fetch', 11, fetchOf([topic], { maxBytes: 20_000_000 })))
    await until(() => node.server.stats.answerBytes > 1_000_000, { what: 'answers to pile up', timeoutMs: patienceMs })
    // Others are served meanwhile.
    assert.equal((await produce(producer, produceOf(topic, batchOf(['last'])))).errorCode, 0)
    const { answerBytes } = node.server.stats
    assert.ok(answerBytes < 40_000_000, `${answerBytes} bytes wait for one client`)
    slow.socket.resume()
    for (const answer of asked) {
      const found = valuesIn((await answer()).responses[0]?.partitions[0]?.records)
      assert.ok(found.length > 0 && found[0] === value)
    }
    await until(() => node.server.stats.answerBytes === 0, { what: 'the memory to be given back', timeoutMs: patienceMs })
  })

  suite('idempotent producers', () => {
    const idOf = async (client: KafkaTestClient, known = { producerId: -1, producerEpoch: -1 }) => {
      const { errorCode, producerId, producerEpoch } = await client.request('initProducerId', 4, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
        ...known,
      })
      assert.equal(errorCode, 0)
      return { producerId, producerEpoch }
    }

    test('have ids of their own', async () => {
      await using client = await connect()
      const ids = await Promise.all(Array.from({ length: 5 }, () => idOf(client)))
      assert.equal(new Set(ids.map(({ producerId }) => producerId)).size, 5)
    })

    test('a batch that comes again has the offset it had, also behind others, at once, and after a restart', async () => {
      const topic = await topicOf('again')
      await using client = await connect()
      const { producerId: id, producerEpoch: epoch } = await idOf(client)
      const batch = (baseSequence: number) => batchOf([`${baseSequence}`, `${baseSequence + 1}`], { id, epoch, baseSequence })
      const send = (sequence: number) => produce(client, produceOf(topic, batch(sequence)))
      for (const sequence of [0, 2, 4, 6, 8]) assert.equal((await send(sequence)).baseOffset, sequence)
      for (const sequence of [8, 0, 4])
        assert.deepEqual([(await send(sequence)).errorCode, (await send(sequence)).baseOffset], [0, sequence])
      const twice = [10, 10, 12, 12].map((sequence) => client.send('produce', 9, produceOf(topic, batch(sequence))))
      const offsets: (number | undefined)[] = []
      for (const answer of twice) offsets.push((await answer()).responses[0]?.partitionResponses[0]?.baseOffset)
      assert.deepEqual(offsets, [10, 10, 12, 12])
      await node.restart()
      await using again = await connect()
      assert.equal((await produce(again, produceOf(topic, batch(12)))).baseOffset, 12)
      assert.equal((await produce(again, produceOf(topic, batch(14)))).baseOffset, 14)
      assert.deepEqual(
        await storedValues(node.agent, topic),
        Array.from({ length: 16 }, (_, index) => String(index)),
      )
    })

    test('a batch that is missing, and an epoch that is over, are refused', async () => {
      const topic = await topicOf('gaps')
      await using client = await connect()
      const { producerId: id } = await idOf(client)
      const send = (baseSequence: number, epoch: number) =>
        produce(client, produceOf(topic, batchOf(['x'], { id, epoch, baseSequence })))
      assert.equal((await send(0, 0)).errorCode, 0)
      assert.equal((await send(2, 0)).errorCode, 45)
      assert.equal((await send(1, 0)).errorCode, 0)
      assert.equal((await send(5, 1)).errorCode, 45)
      assert.equal((await send(0, 1)).errorCode, 0)
      assert.equal((await send(2, 0)).errorCode, 47)
      assert.equal((await send(1, 1)).errorCode, 0)
    })
  })

  suite('hostile clients', () => {
    const header = { correlationId: 1, clientId: 'hostile' }
    const produceBytes = encodeRequest(apis.produce, 3, header, produceOf('steady', batchOf(['x'])))
    const lengthOf = (bytes: Buffer, length: number): Buffer => {
      const changed = Buffer.from(bytes)
      changed.writeInt32BE(length, 0)
      return changed
    }
    /** The count of topics, behind header (4 + 2 + 2 + 4 + 2 + 7), transactional id (2), acks (2) and timeout (4). */
    const countAt = 29
    const manyTopics = Buffer.from(produceBytes)
    manyTopics.writeInt32BE(0x7fff_ffff, countAt)
    const negativeTopics = Buffer.from(produceBytes)
    negativeTopics.writeInt32BE(-7, countAt)
    const cases: readonly [what: string, bytes: Buffer][] = [
      ['an API that there is not', Buffer.from('0000000a7fff000000000001ffff', 'hex')],
      ['a version that there is not', Buffer.from('0000000a0003006300000001ffff', 'hex')],
      ['a frame above the limit', Buffer.from('7fffffff', 'hex')],
      ['a negative length', Buffer.from('ffffffff', 'hex')],
      ['a message that ends before its fields', lengthOf(produceBytes.subarray(0, 40), 36)],
      ['2^31 topics', manyTopics],
      ['-7 topics', negativeTopics],
      ['HTTP', Buffer.from('POST /topics HTTP/1.1\r\nHost: here\r\n\r\n')],
      ['TLS', Buffer.from('1603010200010001fc0303', 'hex')],
      ['zeros', Buffer.alloc(1000)],
    ]
    for (const [what, bytes] of cases) {
      test(`${what} ends that connection, and only that`, async () => {
        assert.equal(produceBytes.readInt32BE(countAt), 1)
        await using other = await connect()
        await using client = await connect()
        client.socket.write(bytes)
        await client.untilClosed()
        assert.equal((await other.request('metadata', 9, everything)).clusterId, 'test-cluster')
      })
    }

    test('a frame that is announced and never comes holds up nobody, and takes no memory', async () => {
      const before = process.memoryUsage().arrayBuffers
      const clients = await Promise.all(Array.from({ length: 20 }, connect))
      for (const client of clients) client.socket.write(Buffer.from('06000000', 'hex'))
      await using other = await connect()
      await other.request('metadata', 9, everything)
      assert.ok(process.memoryUsage().arrayBuffers - before < 200_000_000)
      for (const client of clients) await client[Symbol.asyncDispose]()
    })

    test('requests in single bytes are requests', async () => {
      const topic = await topicOf('bytes')
      await using client = await connect()
      for (const byte of encodeRequest(apis.produce, 9, header, produceOf(topic, batchOf(['slow'])))) {
        client.socket.write(Buffer.of(byte))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await client.frame()
      assert.deepEqual(await storedValues(node.agent, topic), ['slow'])
    })

    test('a client that goes away in the middle leaves nothing behind', async () => {
      const topic = await topicOf('gone')
      const request = encodeRequest(apis.produce, 9, header, produceOf(topic, batchOf(['x'.repeat(100_000)])))
      for (const part of [10, 1000, 99_000]) {
        const client = await connect()
        client.socket.write(request.subarray(0, part))
        client.send('fetch', 12, fetchOf([topic], { maxWaitMs: 30_000 }))
        await client[Symbol.asyncDispose]()
      }
      await until(() => node.server.stats.connections === 0, { what: 'all connections to be gone', timeoutMs: patienceMs })
      assert.deepEqual([node.server.stats.requestBytes, node.server.stats.answerBytes], [0, 0])
      assert.deepEqual(await storedValues(node.agent, topic), [])
    })
  })
})
