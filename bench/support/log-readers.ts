import { apis } from '#formats/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '#formats/kafka/frame.ts'
import { readBatchHeader, splitBatches } from '#formats/kafka/record-batch.ts'
import type { ConsumeOrder } from './log-orders.ts'
import { topic } from './log-kafka.ts'
import { natsHello, NatsMessages, streamOf } from './log-nats.ts'
import { keyOf } from './log-redis.ts'
import { digitsAt, Leftover } from './log-wire.ts'

/** Where a reader is: `send` writes to its connection, `onRecords` and `onEnd` hear of what came, and that the end of the lane was reached. */
type Place = {
  readonly lane: number
  readonly valueBytes: number
  readonly send: (bytes: Buffer | string) => void
  readonly onRecords: (count: number) => void
  readonly onEnd: () => void
}

/** Reads one lane of one system over one connection, from the start to the end. */
interface LaneReader {
  begin(): void
  push(chunk: Buffer): void
}

export const readers: Record<ConsumeOrder['system'], (place: Place) => LaneReader> = {
  kafka: (place) => new KafkaReader(place),
  nats: (place) => new NatsReader(place),
  redis: (place) => new RedisReader(place),
}

const fetchVersion = 11
const fetchBytes = 1_048_576

/** Fetches of up to 1 MiB, the default of Kafka's clients. */
class KafkaReader implements LaneReader {
  readonly #place: Place
  #offset = 0
  #chunks: Buffer[] = []
  #receivedBytes = 0

  constructor(place: Place) {
    this.#place = place
  }

  begin(): void {
    this.#offset = 0
    this.#ask()
  }

  /** One answer at a time, so that no bytes follow it. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#receivedBytes += chunk.length
    const [first = chunk] = this.#chunks
    if (first.length < 4) throw new Error('an answer that begins with less than its length')
    if (this.#receivedBytes < first.readInt32BE(0) + 4) return
    const frame = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#receivedBytes = 0
    this.#take(frame.subarray(4))
  }

  #take(frame: Buffer): void {
    const { body } = decodeResponse(apis.fetch, fetchVersion, frame)
    const partition = body.responses[0]?.partitions[0]
    if (!partition || partition.errorCode !== 0) throw new Error(`Kafka refuses a fetch with error ${partition?.errorCode}`)
    for (const batch of splitBatches(partition.records ?? Buffer.alloc(0))) {
      const { baseOffset, recordCount } = readBatchHeader(batch)
      this.#offset = baseOffset + recordCount
      this.#place.onRecords(recordCount)
    }
    if (this.#offset < partition.highWatermark) this.#ask()
    else this.#place.onEnd()
  }

  #ask(): void {
    const partitions = [{ partition: this.#place.lane, fetchOffset: this.#offset, partitionMaxBytes: fetchBytes }]
    const body = { replicaId: -1, maxWaitMs: 500, minBytes: 1, maxBytes: fetchBytes, topics: [{ topic, partitions }] }
    this.#place.send(encodeRequest(apis.fetch, fetchVersion, { correlationId: 1, clientId: 'bench' }, body))
  }
}

/** Messages that one pull asks for, and pulls under way. */
const [pullSize, pullsInFlight] = [1000, 4]

/** An ephemeral pull consumer without acknowledgements, anew for each pass. */
class NatsReader implements LaneReader {
  readonly #place: Place
  readonly #messages: NatsMessages
  readonly #inbox: string
  #isGreeted = false
  #left: number | undefined
  #untilPull = 0
  #consumer = ''

  constructor(place: Place) {
    this.#place = place
    this.#inbox = `r.${place.lane}`
    this.#messages = new NatsMessages(place.send)
  }

  begin(): void {
    const { lane, send } = this.#place
    if (!this.#isGreeted) send(natsHello(this.#inbox).bytes)
    this.#isGreeted = true
    const stream = streamOf(lane)
    const config = { deliver_policy: 'all', ack_policy: 'none', replay_policy: 'instant' }
    const body = JSON.stringify({ stream_name: stream, config })
    send(`PUB $JS.API.CONSUMER.CREATE.${stream} ${this.#inbox} ${body.length}\r\n${body}\r\n`)
  }

  push(chunk: Buffer): void {
    let count = 0
    this.#messages.push(chunk, (bytes, at, lengthBytes) => {
      if (this.#left === undefined) this.#created(bytes.toString('utf8', at, at + lengthBytes))
      else count += 1
    })
    if (this.#left !== undefined) this.#count(this.#left, count)
  }

  #created(answer: string): void {
    const created: { name?: string; num_pending?: number } = JSON.parse(answer)
    if (created.name === undefined || created.num_pending === undefined) throw new Error(`no consumer: ${answer}`)
    this.#consumer = created.name
    this.#left = created.num_pending
    this.#untilPull = pullSize
    for (let index = 0; index < pullsInFlight; index++) this.#pull()
  }

  #count(left: number, count: number): void {
    this.#place.onRecords(count)
    this.#left = left - count
    this.#untilPull -= count
    for (; this.#untilPull <= 0; this.#untilPull += pullSize) this.#pull()
    if (this.#left > 0) return
    this.#left = undefined
    this.#place.onEnd()
  }

  #pull(): void {
    const body = JSON.stringify({ batch: pullSize })
    this.#place.send(
      `PUB $JS.API.CONSUMER.MSG.NEXT.${streamOf(this.#place.lane)}.${this.#consumer} ${this.#inbox} ${body.length}\r\n${body}\r\n`,
    )
  }
}

const rangeCount = 1000

/** XRANGE COUNT 1000, each from behind the last entry of the one before. */
class RedisReader implements LaneReader {
  readonly #place: Place
  readonly #rest = new Leftover()
  /** What an entry has behind its id. */
  readonly #fieldBytes: number
  #entriesLeft = 0

  constructor(place: Place) {
    this.#place = place
    this.#fieldBytes = `*2\r\n$1\r\nv\r\n$${place.valueBytes}\r\n\r\n`.length + place.valueBytes
  }

  begin(): void {
    this.#ask('-')
  }

  /** One answer at a time, so that no bytes follow it. */
  push(chunk: Buffer): void {
    this.#rest.scan(chunk, (bytes) => (this.#entriesLeft === 0 ? this.#takeCount(bytes) : this.#takeEntries(bytes, 0)))
  }

  #takeCount(bytes: Buffer): number {
    const lineEnd = bytes.indexOf('\r\n')
    if (lineEnd < 0) return 0
    if (bytes.toString('latin1', 0, 1) !== '*') throw new Error(`Redis refuses: ${bytes.toString('utf8', 0, lineEnd)}`)
    this.#entriesLeft = digitsAt(bytes, 1)
    if (this.#entriesLeft > 0) return this.#takeEntries(bytes, lineEnd + 2)
    this.#place.onEnd()
    return lineEnd + 2
  }

  /** `*2`, `$` and the length of the id, the id, and what is the same for all. */
  #takeEntries(bytes: Buffer, from: number): number {
    let at = from
    let count = 0
    let lastId: string | undefined
    while (this.#entriesLeft > 0) {
      const idBytes = digitsAt(bytes, at + 5)
      const idAt = at + (idBytes > 9 ? 9 : 8)
      const end = idAt + idBytes + 2 + this.#fieldBytes
      if (end > bytes.length) break
      this.#entriesLeft -= 1
      count += 1
      if (this.#entriesLeft === 0) lastId = bytes.toString('latin1', idAt, idAt + idBytes)
      at = end
    }
    this.#place.onRecords(count)
    if (lastId !== undefined) this.#ask(`(${lastId}`)
    return at
  }

  #ask(from: string): void {
    this.#place.send(`XRANGE ${keyOf(this.#place.lane)} ${from} + COUNT ${rangeCount}\r\n`)
  }
}
