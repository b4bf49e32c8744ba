import { AppError, toAppError, type ErrorCode } from '#lib/errors.ts'
import type { Appended } from '#eventlog/append-run.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { makeBatch, type SentBatch } from './batches.ts'
import { Violation } from './model.ts'
import type { Scenario, TopicState } from './scenario.ts'

/** A batch on its way: until it is acknowledged it is sent again and again, the same bytes with the same sequence. */
type Pending = { readonly batch: SentBatch; isInFlight: boolean; attempts: number; lastError: string }

/** What a producer sends to one partition. */
type Lane = {
  readonly topic: TopicState
  readonly generation: number
  readonly partition: number
  /** One for all: acknowledgements come in order then. */
  readonly ack: AckLevel
  /** The log has acknowledged something. */
  isKnown: boolean
  epoch: number
  nextSequence: number
  readonly pending: Pending[]
}

const maxInFlight = 4
/** A client repeats after these; `LOG_DAMAGED` only where bits were flipped. */
const retriable: readonly ErrorCode[] = ['TIMEOUT', 'LOG_UNAVAILABLE', 'LOG_FULL', 'PARTITION_NOT_OWNED', 'SHUTTING_DOWN']

/** Sends batches as a Kafka client does: some in flight at once, in order, idempotent or not. */
export class Producer {
  readonly #scenario: Scenario
  readonly #name: string
  readonly #isIdempotent: boolean
  readonly #random: () => number
  readonly #lanes = new Map<string, Lane>()
  #producerId = -1
  #count = 0

  constructor({ scenario, name, isIdempotent }: { scenario: Scenario; name: string; isIdempotent: boolean }) {
    this.#scenario = scenario
    this.#name = name
    this.#isIdempotent = isIdempotent
    this.#random = scenario.world.random(`producer ${name}`)
  }

  /** What it still waits for; undefined: nothing. */
  get waitsFor(): string | undefined {
    for (const { topic, partition, pending } of this.#lanes.values()) {
      const [first] = pending
      if (first)
        return `${first.batch.name} for ${topic.name}/${partition}, tried ${first.attempts} times, last ${first.lastError}`
    }
    return undefined
  }

  async run(): Promise<void> {
    const { time } = this.#scenario.world
    while (!this.#scenario.isOver) {
      await time.sleep(this.#scenario.isEnding ? 500 : 20 + this.#random() ** 2 * 2000)
      if (!this.#scenario.running) continue
      if (this.#isIdempotent && this.#producerId < 0) await this.#allocate()
      else await this.#turn()
    }
  }

  async #allocate(): Promise<void> {
    const { running } = this.#scenario
    if (!running) return
    try {
      const id = await running.life.outcome(running.agent.allocateProducerId())
      if (id) this.#producerId = this.#scenario.uniqueProducerId(id.value)
    } catch (error) {
      if (toAppError(error).code !== 'DATABASE_UNAVAILABLE') this.#scenario.world.fail(error)
    }
  }

  async #turn(): Promise<void> {
    if (!this.#scenario.isEnding) for (let count = Math.floor(this.#random() * 4); count > 0; count--) this.#make()
    for (const [key, lane] of this.#lanes) {
      if (lane.topic.isLive && lane.topic.generation === lane.generation) await this.#send(lane)
      else this.#lanes.delete(key)
    }
  }

  #make(): void {
    const live = this.#scenario.topics.filter(({ isLive }) => isLive)
    const topic = live[Math.floor(this.#random() * live.length)]
    if (!topic) return
    const partition = Math.floor(this.#random() * topic.partitionCount)
    const key = `${topic.name}/${topic.generation}/${partition}`
    const lane = this.#lanes.get(key) ?? this.#newLane(topic, partition)
    this.#lanes.set(key, lane)
    if (lane.pending.length >= maxInFlight) return
    if (this.#isIdempotent && lane.pending.length === 0 && this.#random() < 0.02) {
      lane.epoch += 1
      lane.nextSequence = 0
    }
    this.#count += 1
    const recordCount = 1 + Math.floor(this.#random() ** 3 * 20)
    const batch = makeBatch({
      name: `${this.#name}-${this.#count}`,
      recordCount,
      valueBytes: Math.floor(this.#random() ** 4 * 1500),
      timestampMs: this.#scenario.world.time.nowMs(),
      producer: this.#isIdempotent ? { id: this.#producerId, epoch: lane.epoch, baseSequence: lane.nextSequence } : undefined,
    })
    lane.nextSequence += recordCount
    lane.pending.push({ batch, isInFlight: false, attempts: 0, lastError: 'none' })
    this.#scenario.world.model.sending(batch)
  }

  #newLane(topic: TopicState, partition: number): Lane {
    const chance = this.#random()
    const ack = !this.#isIdempotent && chance < 0.2 ? 'none' : chance < 0.6 ? 'wal' : 'object'
    return {
      topic,
      generation: topic.generation,
      partition,
      ack,
      isKnown: !this.#isIdempotent,
      epoch: 0,
      nextSequence: 0,
      pending: [],
    }
  }

  /** All that is not in flight, in order. The first of all goes alone: any sequence is right for a producer that the log does not know. */
  async #send(lane: Lane): Promise<void> {
    const ready = lane.pending.slice(0, lane.isKnown ? maxInFlight : 1).filter(({ isInFlight }) => !isInFlight)
    if (this.#random() < 0.5) return this.#sendTogether(lane, ready)
    for (const pending of ready) {
      if (!pending.isInFlight && lane.pending.includes(pending)) this.#sendTogether(lane, [pending])
      for (let turns = Math.floor(this.#random() ** 2 * 40); turns > 0; turns--) await Promise.resolve()
    }
  }

  /** In one append, as requests of one connection that came together. */
  #sendTogether(lane: Lane, batches: readonly Pending[]): void {
    const { running } = this.#scenario
    if (!running) return
    let end = 0
    const ends = batches.map(({ batch }) => (end += batch.bytes.length))
    const packed = { bytes: Buffer.concat(batches.map(({ batch }) => batch.bytes)), ends }
    const answers = batches.map(() => Promise.withResolvers<Appended>())
    for (const [index, pending] of batches.entries()) {
      const answer = answers[index]?.promise
      if (answer) void this.#await(lane, pending, { running, answer })
    }
    const options = { ack: lane.ack, ...(this.#random() < 0.7 ? { timeoutMs: 100 + this.#random() * 3000 } : {}) }
    running.agent.offer({ topic: lane.topic.name, partition: lane.partition }, packed, options, (results) => {
      for (const [index, result] of results.entries()) {
        if (result instanceof AppError) answers[index]?.reject(result)
        else answers[index]?.resolve(result)
      }
    })
  }

  async #await(
    lane: Lane,
    pending: Pending,
    { running, answer: appended }: { running: NonNullable<Scenario['running']>; answer: Promise<Appended> },
  ): Promise<void> {
    const { world } = this.#scenario
    const { batch } = pending
    const { ack } = lane
    const isFirst = lane.pending[0] === pending
    const ref = { topic: lane.topic.name, partition: lane.partition }
    pending.isInFlight = true
    pending.attempts += 1
    try {
      const id = running.agent.topics.find(ref.topic)?.partitions[ref.partition]?.id
      const answer = await running.life.outcome(appended)
      if (answer && id !== undefined) {
        const { baseOffset, isDuplicate } = answer.value
        world.note(`${batch.name} ${ack} ${ref.topic}/${ref.partition} at ${baseOffset}${isDuplicate ? ' again' : ''}`)
        world.model.acked(world.model.partition(id), batch, answer.value)
        lane.isKnown = true
        lane.pending.splice(lane.pending.indexOf(pending), 1)
      } else pending.lastError = 'a crash'
    } catch (thrown) {
      this.#failed(lane, pending, { thrown, isFirst })
    } finally {
      pending.isInFlight = false
    }
  }

  #failed(lane: Lane, pending: Pending, { thrown, isFirst }: { thrown: unknown; isFirst: boolean }): void {
    const { world } = this.#scenario
    if (!(thrown instanceof AppError)) return world.fail(thrown)
    const { code, message } = thrown
    const text = `${pending.batch.name} ${lane.topic.name}/${lane.partition}: ${code} ${message}`
    if (pending.lastError !== code) world.note(text)
    pending.lastError = code
    const isGone = !lane.topic.isLive || lane.topic.generation !== lane.generation
    const isExpected =
      retriable.includes(code) ||
      (code === 'LOG_DAMAGED' && world.isDamaged) ||
      (code === 'PRODUCER_SEQUENCE_GAP' && (!isFirst || world.isDamaged)) ||
      ((code === 'TOPIC_NOT_FOUND' || code === 'PARTITION_NOT_FOUND') && isGone)
    if (!isExpected) world.fail(new Violation(`producer got ${text}`, { cause: thrown }))
  }
}
