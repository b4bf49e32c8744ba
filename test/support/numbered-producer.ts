import { setTimeout as delay } from 'node:timers/promises'
import { encodeBatch } from '#formats/kafka/records.ts'
import { KafkaWire } from './kafka-wire.ts'

/** As many as Kafka's clients have in flight for one partition at most. */
const window = 5
const maxBatchRecords = 50
const patienceMs = 5000
const retryMs = 10
/** Errors after which clients look the leader up and send again: 3, 5, 6, 7, 56. */
const retriable = new Set([3, 5, 6, 7, 56])

type Told = { readonly errorCode: number; readonly baseOffset: number }
type Batch = { readonly from: number; readonly to: number; readonly bytes: Buffer }

export type NumberedProducerOptions = {
  readonly port: number
  readonly topic: string
  readonly partition: number
  readonly random: () => number
  /** An idempotent producer, under this id; absent: one that knows nothing of what it sent before. */
  readonly producerId?: number
}

/**
 * Writes numbered records into one partition as fast as they are acknowledged, several requests in flight. Whatever happens to the connection, it comes back and sends
 * again, in order, what was not acknowledged. A producer with an id, alone in its partition, so brings record n to offset n.
 */
export class NumberedProducer implements AsyncDisposable {
  readonly #options: NumberedProducerOptions
  readonly #unacked: Batch[] = []
  readonly #done: Promise<void>
  #wire: KafkaWire | undefined
  #next = 0
  #isEnding = false
  #isGone = false
  /** Ranges of numbers that were acknowledged. */
  readonly acked: (readonly [from: number, to: number])[] = []
  ackedRecords = 0
  /** Batches that were sent once more. */
  repeated = 0

  constructor(options: NumberedProducerOptions) {
    this.#options = options
    this.#done = this.#run()
    this.#done.catch(() => undefined)
  }

  get sentRecords(): number {
    return this.#next
  }

  /** Sends nothing new; resolves when everything is acknowledged. Throws when the server has said what it may not. */
  async finish(): Promise<void> {
    this.#isEnding = true
    await this.#done
  }

  /** Throws when the server has said what it may not. */
  async check(): Promise<void> {
    await Promise.race([this.#done, Promise.resolve()])
  }

  /** Ends at once, whatever is acknowledged. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = this.#isGone = true
    await this.#wire?.[Symbol.asyncDispose]()
    await this.#done.catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (!this.#isGone && (!this.#isEnding || this.#unacked.length > 0)) {
      const wire = await KafkaWire.connect(this.#options.port).catch(() => undefined)
      if (wire) {
        await using open = wire
        this.#wire = open
        await this.#drive(open)
      }
      await delay(retryMs)
    }
  }

  /** Returns when the connection is of no more use, or there is nothing left to do. */
  async #drive(wire: KafkaWire): Promise<void> {
    const send = (batch: Batch): Promise<Told | undefined> => this.#send(wire, batch).catch(() => undefined)
    const inFlight = this.#unacked.map(send)
    this.repeated += inFlight.length
    for (;;) {
      while (inFlight.length < window && !this.#isEnding) inFlight.push(send(this.#make()))
      const answer = inFlight.shift()
      const [batch] = this.#unacked
      if (!answer || !batch) return
      const told = await answer
      if (!told || retriable.has(told.errorCode)) return
      this.#take(batch, told)
      this.#unacked.shift()
    }
  }

  #take({ from, to }: Batch, { errorCode, baseOffset }: Told): void {
    const { partition, producerId } = this.#options
    if (errorCode !== 0) throw new Error(`partition ${partition}: error ${errorCode} for records ${from} to ${to}`)
    if (producerId !== undefined && baseOffset !== from) {
      throw new Error(`partition ${partition}: records from ${from} on are said to be at ${baseOffset}`)
    }
    this.acked.push([from, to])
    this.ackedRecords += to - from
  }

  #make(): Batch {
    const { random, producerId } = this.#options
    const from = this.#next
    const to = from + 1 + Math.floor(random() * maxBatchRecords)
    this.#next = to
    const records = Array.from({ length: to - from }, (_, index) => {
      const value = Buffer.from(`${from + index} ${'.'.repeat(Math.floor(random() * 200))}`)
      return { key: null, value, headers: [], timestampMs: 1_700_000_000_000 + from + index }
    })
    // Sequence numbers have 31 bits, as many as no test sends.
    const producer = producerId === undefined ? {} : { producer: { id: producerId, epoch: 0, baseSequence: from } }
    const batch = { from, to, bytes: encodeBatch(records, { ...producer, compression: random() < 0.3 ? 'lz4' : 'none' }) }
    this.#unacked.push(batch)
    return batch
  }

  async #send(wire: KafkaWire, { bytes }: Batch): Promise<Told> {
    const { topic, partition } = this.#options
    const { responses } = await wire.request('produce', 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: patienceMs,
      topicData: [{ name: topic, partitionData: [{ index: partition, records: bytes }] }],
    })
    const [told] = responses[0]?.partitionResponses ?? []
    if (!told) throw new Error('an answer without the partition')
    return told
  }
}

/** The number of a record that such a producer has written. */
export function numberOf(value: Buffer | null): number {
  return Number.parseInt(value?.toString('latin1') ?? '', 10)
}
