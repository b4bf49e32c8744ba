import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { splitBatches } from '#formats/kafka/record-batch.ts'
import { decodeBatch } from '#formats/kafka/records.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { sqlObjectExtents } from '#eventlog/metadata/sql-object-extents.ts'
import { verifyLog } from '#eventlog/objects/verify.ts'
import { systemClock } from '#lib/clock.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { KafkaWire } from '../support/kafka-wire.ts'
import { openLog, type OpenedLog } from '../support/log-agent.ts'
import { numberOf, NumberedProducer } from '../support/numbered-producer.ts'
import { seededRandom } from '../support/random.ts'
import { storedRecords } from '../support/stored-records.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'
import { ServerProcess, type Disk } from './log-server.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
/** One server for each, side by side. */
const disks: readonly Disk[] = ['quick', 'slow']
const killsPerDisk = 25
const longestLifeMs = 700
/** One of so many kills comes while the server starts. */
const startKillEvery = 5
const longestStartMs = 600
const patienceMs = 60_000
const topic = 'numbered'
/** Partitions of idempotent producers, and one of a producer without an id. */
const sequenced = [0, 1, 2]
const plain = 3

test(
  `killed at any moment, the log keeps what it acknowledged, once and in order (seed ${seed})`,
  { timeout: 300_000 },
  async (t) => {
    const reports = await Promise.all(disks.map((disk, lane) => killAgainAndAgain(seededRandom(seed + lane), disk)))
    for (const report of reports) t.diagnostic(report)
  },
)

/** Kills and starts the server in one directory while producers and a consumer go on; checks everything in the end. */
async function killAgainAndAgain(random: () => number, disk: Disk): Promise<string> {
  await using directory = await temporaryDirectory()
  await using server = new ServerProcess(directory.path, disk)
  await server.start()
  const ids = await prepare(server.port)
  const place = { port: server.port, topic, random }
  await using stack = new AsyncDisposableStack()
  const producers = ids.map((producerId, partition) => stack.use(new NumberedProducer({ ...place, partition, producerId })))
  const plainProducer = stack.use(new NumberedProducer({ ...place, partition: plain }))
  await using follower = new Follower(server.port)
  const all = [...producers, plainProducer]
  for (let kill = 0; kill < killsPerDisk; kill++) {
    await delay(random() * longestLifeMs)
    await server.kill()
    if (kill % startKillEvery === 0) await server.killWhileStarting(random() * longestStartMs)
    await server.start()
    const before = all.map(({ ackedRecords }) => ackedRecords)
    const isOn = async (): Promise<boolean> => {
      await Promise.all([...all.map((producer) => producer.check()), follower.check()])
      return all.every(({ ackedRecords }, index) => ackedRecords > (before[index] ?? 0))
    }
    await until(isOn, { what: `producers to go on after kill ${kill}`, timeoutMs: patienceMs })
  }
  await Promise.all(all.map((producer) => producer.finish()))
  const ends = producers.map(({ sentRecords }) => sentRecords)
  await follower.untilAt(ends)
  await server.kill()
  await using log = await openLog({ directory: directory.path })
  for (const [partition, { sentRecords }] of producers.entries()) await checkSequenced(log, partition, sentRecords)
  await checkPlain(log, plainProducer)
  await log.agent.flush()
  await checkObjects(log, directory.path)
  const repeated = all.reduce((sum, producer) => sum + producer.repeated, 0)
  return `${disk} disk: ${server.kills} kills, ${ends.join(' + ')} records of idempotent producers, ${plainProducer.sentRecords} of the other, ${repeated} batches sent again`
}

/** Makes the topic, and gives each idempotent producer its id. */
async function prepare(port: number): Promise<number[]> {
  await using wire = await KafkaWire.connect(port)
  const asked = { name: topic, numPartitions: plain + 1, replicationFactor: -1, assignments: [], configs: [] }
  const { topics } = await wire.request('createTopics', 7, { topics: [asked], timeoutMs: patienceMs, validateOnly: false })
  assert.equal(topics[0]?.errorCode, 0)
  return await Promise.all(
    sequenced.map(async () => {
      const { errorCode, producerId } = await wire.request('initProducerId', 4, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
        producerId: -1,
        producerEpoch: -1,
      })
      assert.equal(errorCode, 0)
      return producerId
    }),
  )
}

async function checkSequenced({ agent }: OpenedLog, partition: number, sentRecords: number): Promise<void> {
  const numbers = (await storedRecords(agent, topic, partition)).map(({ value }) => numberOf(value))
  const wrong = numbers.findIndex((number, index) => number !== index)
  assert.equal(wrong, -1, `partition ${partition}: ${numbers.slice(Math.max(0, wrong - 2), wrong + 3).join(', ')}`)
  assert.equal(numbers.length, sentRecords, `partition ${partition}`)
}

/** What came again may be there twice; what was acknowledged is there. */
async function checkPlain({ agent }: OpenedLog, producer: NumberedProducer): Promise<void> {
  const numbers = new Set((await storedRecords(agent, topic, plain)).map(({ value }) => numberOf(value)))
  for (const [from, to] of producer.acked) {
    for (let number = from; number < to; number++) assert.ok(numbers.has(number), `record ${number} was acknowledged and is lost`)
  }
}

async function checkObjects({ database }: OpenedLog, directory: string): Promise<void> {
  const objects = await DirectoryStore.open({ directory: join(directory, 'objects'), clock: systemClock })
  const metadata = { ...sqlLogMetadata(database), ...sqlObjectExtents(database) }
  for await (const step of verifyLog({ metadata, objects })) {
    assert.equal(step.kind, 'progress', JSON.stringify(step))
  }
}

/** Reads what becomes visible, whatever happens to the server, and sees to it that it stays as it was: record n at offset n. */
class Follower implements AsyncDisposable {
  readonly #port: number
  readonly #offsets = sequenced.map(() => 0)
  readonly #done: Promise<void>
  #isEnding = false

  constructor(port: number) {
    this.#port = port
    this.#done = this.#run()
    this.#done.catch(() => undefined)
  }

  async check(): Promise<void> {
    await Promise.race([this.#done, Promise.resolve()])
  }

  async untilAt(ends: readonly number[]): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      await this.check()
      return ends.every((end, partition) => this.#offsets[partition] === end)
    }
    await until(isThere, {
      what: `the consumer, at ${this.#offsets.join(', ')}, to be at ${ends.join(', ')}`,
      timeoutMs: patienceMs,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    await this.#done.catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      const wire = await KafkaWire.connect(this.#port).catch(() => undefined)
      if (wire) {
        await using _open = wire
        while (await this.#fetch(wire)) continue
      }
      await delay(10)
    }
  }

  /** False: the connection is of no more use, or nothing more is wanted. */
  async #fetch(wire: KafkaWire): Promise<boolean> {
    const partitions = this.#offsets.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes: 1_000_000 }))
    const answer = await wire
      .request('fetch', 11, { replicaId: -1, maxWaitMs: 100, minBytes: 1, maxBytes: 4_000_000, topics: [{ topic, partitions }] })
      .catch(() => undefined)
    if (!answer || this.#isEnding) return false
    for (const { partitionIndex, errorCode, records } of answer.responses[0]?.partitions ?? []) {
      assert.ok([0, 3, 5, 6].includes(errorCode), `fetch of partition ${partitionIndex}: error ${errorCode}`)
      this.#take(partitionIndex, records ?? Buffer.alloc(0))
    }
    return true
  }

  #take(partition: number, bytes: Buffer): void {
    for (const batch of splitBatches(bytes)) {
      for (const { offset, value } of decodeBatch(batch)) {
        if (offset < (this.#offsets[partition] ?? 0)) continue
        assert.deepEqual([offset, numberOf(value)], [this.#offsets[partition], offset], `partition ${partition}`)
        this.#offsets[partition] = offset + 1
      }
    }
  }
}
