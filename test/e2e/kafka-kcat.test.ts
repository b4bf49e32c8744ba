import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { partitionFor } from '#formats/kafka/partitioner.ts'
import { compressionOf, readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { kcat, KcatProcess, runKcat } from '../support/kcat.ts'
import { storedBatches } from '../support/stored-records.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const firstMs = 1_700_000_000_000
const fromStart = ['-o', 'beginning', '-e', '-q', '-X', 'check.crcs=true']

/** Numbered lines of about 100 bytes. */
function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index} ${'the same again '.repeat(6)}`)
}

suite('kcat, with the default settings on both sides', () => {
  let node: KafkaNode
  before(async () => {
    node = await KafkaNode.open()
  })
  after(() => node[Symbol.asyncDispose]())

  test('-L names the node, its topics and their partitions', async () => {
    await node.agent.topics.create({ name: 'listed', partitionCount: 3 })
    const [text] = await kcat(node, ['-L', '-J', '-t', 'listed'])
    const answer: unknown = JSON.parse(text ?? '')
    const [host, port] = node.brokers.split(':')
    const partition = (index: number) => ({ partition: index, leader: 1, replicas: [{ id: 1 }], isrs: [{ id: 1 }] })
    assert.deepEqual(answer, {
      originating_broker: { id: 1, name: `${node.brokers}/1` },
      query: { topic: 'listed' },
      controllerid: 1,
      brokers: [{ id: 1, name: `${host}:${port}` }],
      topics: [{ topic: 'listed', partitions: [partition(0), partition(1), partition(2)] }],
    })
  })

  for (const codec of codecs) {
    test(`what is produced with ${codec} is consumed in order, and kept as it was compressed`, async () => {
      const topic = `codec-${codec}`
      const sent = lines(5000)
      await kcat(node, ['-P', '-t', topic, '-z', codec], sent.join('\n'))
      assert.deepEqual(await kcat(node, ['-C', '-t', topic, ...fromStart]), sent)
      const kept = await storedBatches(node.agent, topic)
      assert.deepEqual([...new Set(kept.map((batch) => compressionOf(readBatchHeader(batch))))], [codec])
    })
  }

  test('a topic that is not there is made by producing to it, and not by reading it', async () => {
    await kcat(node, ['-P', '-t', 'made-by-writing'], 'first')
    assert.deepEqual(await kcat(node, ['-C', '-t', 'made-by-writing', ...fromStart]), ['first'])
    const unknown = await runKcat(node, ['-C', '-t', 'never-written', '-p', '0', ...fromStart])
    assert.equal(unknown.stdout, '')
    assert.equal(node.agent.topics.find('never-written'), undefined)
    assert.equal(node.agent.topics.find('made-by-writing')?.partitions.length, 1)
  })

  test('keys, headers, null values and empty ones arrive as they were sent', async () => {
    const topic = 'tombstones'
    const input = ['a:1', 'b:', 'c:two words:and a colon', ':no key'].join('\n')
    await kcat(node, ['-P', '-t', topic, '-K', ':', '-Z', '-H', 'trace=12', '-H', 'trace=34', '-H', 'empty='], input)
    await kcat(node, ['-P', '-t', topic, '-k', 'd', '-H', 'nothing'], 'plain')
    const printed = await kcat(node, ['-C', '-t', topic, ...fromStart, '-f', '%o|%K|%k|%S|%s|%h\\n'])
    assert.deepEqual(printed, [
      '0|1|a|1|1|trace=12,trace=34,empty=',
      '1|1|b|-1||trace=12,trace=34,empty=',
      '2|1|c|21|two words:and a colon|trace=12,trace=34,empty=',
      '3|-1||6|no key|trace=12,trace=34,empty=',
      '4|1|d|5|plain|nothing=NULL',
    ])
  })

  test('records of any bytes pass', async () => {
    const topic = 'bytes'
    const value = randomBytes(50_000)
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'value')
    await writeFile(file, value)
    await kcat(node, ['-P', '-t', topic, file])
    const { stdout } = await runKcat(node, ['-C', '-t', topic, ...fromStart, '-f', '%S\\n'])
    assert.equal(stdout, '50000\n')
    const [batch] = await storedBatches(node.agent, topic)
    assert.ok(batch?.includes(value))
  })

  suite('offsets', () => {
    const topic = 'positions'
    const values = Array.from({ length: 20 }, (_, index) => `r${index}`)
    const read = (...args: string[]): Promise<string[]> => kcat(node, ['-C', '-t', topic, '-q', ...args])

    before(async () => {
      await node.agent.topics.create({ name: topic })
      // Ten records a batch, a second apart; the second batch is compressed.
      for (const [at, compression] of [[0, 'none'] as const, [10, 'gzip'] as const]) {
        const records = values.slice(at, at + 10).map((value, index) => {
          return { key: null, value: Buffer.from(value), headers: [], timestampMs: firstMs + (at + index) * 1000 }
        })
        await node.agent.append({ topic, partition: 0 }, encodeBatch(records, { compression }))
      }
    })

    const cases: readonly [what: string, args: readonly string[], from: number, to: number][] = [
      ['the beginning', ['-o', 'beginning', '-e'], 0, 20],
      ['an offset in a batch', ['-o', '7', '-e'], 7, 20],
      ['an offset in a compressed batch, so many', ['-o', '13', '-c', '4'], 13, 17],
      ['so many before the end', ['-o', '-5', '-e'], 15, 20],
      ['the end', ['-o', 'end', '-e'], 20, 20],
      ['a time before all', ['-o', 's@1', '-e'], 0, 20],
      ['a time between two records', ['-o', `s@${firstMs + 3500}`, '-e'], 4, 20],
      ['a time in a compressed batch', ['-o', `s@${firstMs + 15_000}`, '-e'], 15, 20],
      ['a time to a time', ['-o', `s@${firstMs + 5000}`, '-o', `e@${firstMs + 12_000}`], 5, 12],
      ['a time after all', ['-o', `s@${firstMs + 60_000}`, '-e'], 20, 20],
    ]
    for (const [what, args, from, to] of cases) {
      test(`read from ${what}`, async () => {
        assert.deepEqual(await read(...args), values.slice(from, to))
      })
    }

    test('-Q finds offsets by time', async () => {
      const asked = [-2, -1, firstMs, firstMs + 3500, firstMs + 15_000, firstMs + 60_000]
      for (const [index, offset] of [0, 20, 0, 4, 15, -1].entries()) {
        const [found] = await kcat(node, ['-Q', '-t', `${topic}:0:${asked[index]}`])
        assert.equal(found, `${topic} [0] offset ${offset}`, `time ${asked[index]}`)
      }
    })

    test('an offset behind the end is put right by the client, and said to it', async () => {
      const { stdout } = await runKcat(node, [
        '-C',
        '-t',
        topic,
        '-q',
        '-o',
        '500',
        '-e',
        '-X',
        'topic.auto.offset.reset=earliest',
      ])
      assert.equal(stdout, `${values.join('\n')}\n`)
      const refused = await runKcat(node, ['-C', '-t', topic, '-o', '500', '-e', '-X', 'topic.auto.offset.reset=error'])
      assert.match(refused.stderr, /Offset out of range/)
    })

    test('times of the log are those of the append where the topic says so', async () => {
      await node.agent.topics.create({ name: 'append-time', config: { timestampType: 'LogAppendTime' } })
      const beforeMs = Date.now()
      await kcat(node, ['-P', '-t', 'append-time', '-z', 'lz4'], lines(100).join('\n'))
      const printed = await kcat(node, ['-C', '-t', 'append-time', ...fromStart, '-J'])
      for (const line of printed) {
        const { tstype, ts }: { tstype?: unknown; ts?: unknown } = JSON.parse(line)
        assert.equal(tstype, 'logappend')
        assert.ok(Number(ts) >= beforeMs && Number(ts) <= Date.now())
      }
      assert.equal(printed.length, 100)
    })
  })

  for (const acks of ['0', '1', 'all']) {
    test(`acks=${acks} takes everything`, async () => {
      const topic = `acks-${acks}`
      const sent = lines(2000)
      // Without answers the first records could go to a topic that is being made.
      await node.agent.topics.create({ name: topic })
      await kcat(node, ['-P', '-t', topic, '-X', `acks=${acks}`], sent.join('\n'))
      const end = () => node.agent.topics.get(topic).partitions[0]?.highWatermark === sent.length
      await until(end, { what: 'all records to be taken', timeoutMs: 30_000 })
      assert.deepEqual(await kcat(node, ['-C', '-t', topic, ...fromStart]), sent)
    })
  }

  test('an idempotent producer numbers its batches', async () => {
    const sent = lines(5000)
    await kcat(node, ['-P', '-t', 'idempotent', '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=100'], sent.join('\n'))
    assert.deepEqual(await kcat(node, ['-C', '-t', 'idempotent', ...fromStart]), sent)
    const headers = (await storedBatches(node.agent, 'idempotent')).map((batch) => readBatchHeader(batch))
    assert.ok(headers.length >= 50)
    for (const { producerId, producerEpoch, baseSequence, baseOffset } of headers) {
      assert.deepEqual([producerId, producerEpoch, baseSequence], [headers[0]?.producerId, 0, baseOffset])
    }
    assert.ok((headers[0]?.producerId ?? -1) >= 0)
  })

  test('a message just below the limit is taken, one just above is refused, and the next one passes', async () => {
    const topic = 'large'
    const maxMessageBytes = 1_048_588
    // Of the batch: 61 bytes; of the record: length (3), attributes, time, offset, key (1 each), length of the value (3), headers (1).
    const largest = maxMessageBytes - 61 - 11
    await using directory = await temporaryDirectory()
    const send = async (bytes: number): Promise<string> => {
      const file = join(directory.path, String(bytes))
      await writeFile(file, Buffer.alloc(bytes, 'x'))
      return (await runKcat(node, ['-P', '-t', topic, '-X', 'message.max.bytes=5000000', file])).stderr
    }
    assert.equal(await send(largest), '')
    assert.match(await send(largest + 1), /Message size too large/)
    assert.match(await send(3_000_000), /Message size too large/)
    assert.equal(await send(10), '')
    const sizes = ['-f', '%o %S\\n']
    assert.deepEqual(await kcat(node, ['-C', '-t', topic, ...fromStart, ...sizes]), [`0 ${largest}`, '1 10'])
    // A batch that is larger than all that the client asks for comes all the same.
    const little = ['-X', 'fetch.message.max.bytes=1000', '-X', 'fetch.max.bytes=1000', '-X', 'message.max.bytes=1000']
    assert.deepEqual(await kcat(node, ['-C', '-t', topic, ...fromStart, ...sizes, ...little]), [`0 ${largest}`, '1 10'])
  })

  test('a topic may take larger messages', async () => {
    await node.agent.topics.create({ name: 'larger', config: { maxMessageBytes: 20_000_000 } })
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'value')
    await writeFile(file, randomBytes(15_000_000))
    await kcat(node, ['-P', '-t', 'larger', '-X', 'message.max.bytes=20000000', file])
    assert.deepEqual(await kcat(node, ['-C', '-t', 'larger', ...fromStart, '-f', '%S\\n']), ['15000000'])
  })

  test('keys go to the partition to which the Java client would bring them', async () => {
    await node.agent.topics.create({ name: 'keyed', partitionCount: 6 })
    const keys = Array.from({ length: 200 }, (_, index) => `key-${index}`)
    const input = keys.map((key) => `${key}:v`).join('\n')
    await kcat(node, ['-P', '-t', 'keyed', '-K', ':', '-X', 'topic.partitioner=murmur2_random'], input)
    const printed = await kcat(node, ['-C', '-t', 'keyed', ...fromStart, '-f', '%k %p\\n'])
    assert.deepEqual(printed.toSorted(), keys.map((key) => `${key} ${partitionFor(Buffer.from(key), 6)}`).toSorted())
  })

  test('a consumer at the end gets each record as it comes', async () => {
    await node.agent.topics.create({ name: 'live' })
    await using consumer = await KcatProcess.start(node, ['-C', '-t', 'live', '-o', 'beginning', '-u'])
    await consumer.until(({ messages }) => messages.some((line) => line.includes('Reached end')), 'the end of the topic')
    for (const value of ['one', 'two', 'three']) {
      await kcat(node, ['-P', '-t', 'live'], value)
      await consumer.until(({ lines: printed }) => printed.at(-1) === value, value)
    }
    assert.deepEqual(consumer.lines, ['one', 'two', 'three'])
  })

  test('what was committed to the object store is read as well as what is in memory', async () => {
    const sent = lines(3000)
    await kcat(node, ['-P', '-t', 'cold', '-z', 'snappy'], sent.slice(0, 2000).join('\n'))
    await node.agent.flush()
    await kcat(node, ['-P', '-t', 'cold', '-z', 'zstd'], sent.slice(2000).join('\n'))
    assert.deepEqual(await kcat(node, ['-C', '-t', 'cold', ...fromStart]), sent)
    await node.restart()
    assert.deepEqual(await kcat(node, ['-C', '-t', 'cold', ...fromStart]), sent)
  })

  test('transactions are refused, and said to be', async () => {
    const { stderr, code } = await runKcat(node, ['-P', '-t', 'transactions', '-X', 'transactional.id=one'], 'value')
    assert.notEqual(code, 0)
    assert.match(stderr, /TRANSACTIONAL_ID_AUTHORIZATION_FAILED|Transactional Id authorization failed/i)
  })
})
