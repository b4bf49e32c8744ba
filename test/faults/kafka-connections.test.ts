import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { KafkaNode } from '../support/kafka-server.ts'
import { kafkajsClient } from '../support/kafkajs.ts'
import { runKcat } from '../support/kcat.ts'
import { seededRandom } from '../support/random.ts'
import { storedBatches, storedValues } from '../support/stored-records.ts'
import { TcpProxy, type CutPlan } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const records = 20_000
const batchRecords = 200
/** After so many cuts connections hold, so that a test ends on any machine. */
const maxCuts = 60

type Limits = { readonly upBytes: number; readonly downBytes: number; readonly isBetween?: boolean }

/** Every connection lives for so many bytes at most, to be cut on the way there or back. */
function randomCuts(random: () => number, { upBytes, downBytes, isBetween = false }: Limits): CutPlan {
  let planned = 0
  return () => {
    planned += 1
    if (planned > maxCuts) return undefined
    const isUp = random() < 0.5
    return { direction: isUp ? 'up' : 'down', afterBytes: 1 + Math.floor(random() * (isUp ? upBytes : downBytes)), isBetween }
  }
}

suite(`connections that are cut at any byte (seed ${seed})`, () => {
  const random = seededRandom(seed)
  const stack = new AsyncDisposableStack()
  const sent = Array.from({ length: records }, (_, index) => `record ${index} of an idempotent producer`)
  let proxy: TcpProxy
  let node: KafkaNode
  /** Clients are told the address of the proxy. */
  const open = async (plan: CutPlan): Promise<void> => {
    proxy = stack.use(await TcpProxy.open(plan))
    node = stack.use(await KafkaNode.open({ settings: { advertisedPort: proxy.port } }))
    proxy.targetPort = node.port
  }
  after(() => stack.disposeAsync())

  const check = async (topic: string): Promise<void> => {
    assert.ok(proxy.cuts >= 5, `${proxy.cuts} cuts`)
    assert.deepEqual(await storedValues(node.agent, topic), sent)
    const headers = (await storedBatches(node.agent, topic)).map((batch) => readBatchHeader(batch))
    assert.ok(headers.every(({ producerId }) => producerId >= 0))
  }

  suite('kcat, with many requests in flight', () => {
    before(() => open(randomCuts(random, { upBytes: 40_000, downBytes: 800 })))

    test(`each of ${records} records of an idempotent producer is there once, in order`, { timeout: 180_000 }, async (t) => {
      const settings = [
        'enable.idempotence=true',
        `batch.num.messages=${batchRecords}`,
        'linger.ms=1',
        'reconnect.backoff.ms=1',
        'reconnect.backoff.max.ms=20',
        'retry.backoff.ms=5',
      ]
      const args = ['-E', '-P', '-t', 'numbered', ...settings.flatMap((setting) => ['-X', setting])]
      const { code, stderr } = await runKcat(proxy, args, sent.join('\n'))
      assert.equal(code, 0, stderr.slice(-2000))
      t.diagnostic(`${proxy.cuts} cuts`)
      await check('numbered')
    })
  })

  suite('kafkajs, one request at a time', () => {
    // kafkajs 2.2.4 takes half an answer for the beginning of the first one of its next connection.
    before(() => open(randomCuts(random, { upBytes: 40_000, downBytes: 1000, isBetween: true })))

    test(`each of ${records} records of an idempotent producer is there once, in order`, { timeout: 180_000 }, async (t) => {
      const kafka = kafkajsClient(proxy, { retry: { retries: 1000, initialRetryTime: 5, maxRetryTime: 20 } })
      const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
      // Alone among its calls this one is not repeated.
      const connect = () =>
        producer.connect().then(
          () => true,
          () => false,
        )
      await until(connect, { what: 'a connection', timeoutMs: 60_000 })
      for (let from = 0; from < records; from += batchRecords) {
        const messages = sent.slice(from, from + batchRecords).map((value) => ({ value }))
        // What it gives up is sent again, under the same sequence numbers.
        await until(() => producer.send({ topic: 'numbered', messages }).catch(() => undefined), {
          what: 'a batch',
          timeoutMs: 60_000,
        })
      }
      await producer.disconnect()
      t.diagnostic(`${proxy.cuts} cuts`)
      await check('numbered')
    })
  })
})
