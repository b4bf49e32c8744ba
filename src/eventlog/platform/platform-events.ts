import { decodeBatch, encodeBatch, type LogRecord, type NewRecord } from '#formats/kafka/records.ts'
import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { LogAgent } from '../agent.ts'
import { truncatedType, type EventInput, type EventLog, type EventPage, type EventRecord } from '../event-log.ts'
import { fromRecord, toRecord } from './cloud-event.ts'

/** The topic of the platform's own events; one partition, so that they have one order. */
export const eventsTopic = 'millrace.events'

/** Events that may wait for the log. When it is away for longer than that, the oldest are lost, counted and logged. */
const queueCapacity = 10_000
const batchCapacity = 500
/** Half of what one batch may have. */
const batchBytes = 524_288
const readBytes = 1_048_576
const followBatch = 256
/** A follower asks again after this time even when nothing happened. */
const pollMs = 30_000

type Deps = {
  readonly agent: LogAgent
  readonly source: string
  readonly retentionMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly newId: () => string
  readonly random: () => number
  readonly log: Logger
}

const place = { topic: eventsTopic, partition: 0 } as const

/** What happens in Millrace, as records of one topic: kept, replayed from any offset, and read by any Kafka client. The offset is the sequence. */
export class PlatformEvents implements EventLog, AsyncDisposable {
  readonly #deps: Deps
  #queue: NewRecord[] = []
  #lost = 0
  #sending: Promise<void> | undefined
  #isClosed = false

  private constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Makes the topic when it is not there, and gives it the retention of the settings. */
  static async open(deps: Deps): Promise<PlatformEvents> {
    const { topics } = deps.agent
    const config = { retentionMs: deps.retentionMs }
    const topic = await topics.ensure({ name: eventsTopic, partitionCount: 1, config })
    if (topic.config.retentionMs !== deps.retentionMs) await topics.configure(eventsTopic, config)
    return new PlatformEvents(deps)
  }

  append(event: EventInput): void {
    const { clock, newId, source } = this.#deps
    if (this.#queue.length === queueCapacity) {
      this.#queue.shift()
      this.#lost += 1
    }
    this.#queue.push(toRecord(event, { id: newId(), source, nowMs: clock.nowMs() }))
    this.#sending ??= this.#send().finally(() => (this.#sending = undefined))
  }

  async read({ from, limit }: { from: number; limit: number }): Promise<EventPage> {
    const { oldest, next } = this.#bounds()
    const isTruncated = from !== 0 && (from < oldest || from > next)
    let at = isTruncated || from === 0 ? oldest : from
    const items: EventRecord[] = []
    while (items.length < limit && at < next) {
      const records = await this.#readRecords(at)
      if (records.length === 0) break
      for (const record of records.slice(0, limit - items.length)) {
        at = record.offset + 1
        const event = fromRecord(record)
        if (event) items.push(event)
      }
    }
    return { items, next: at, oldestSequence: oldest, nextSequence: next, isTruncated }
  }

  async *follow({ from, signal }: { from?: number; signal: AbortSignal }): AsyncGenerator<EventRecord, void, undefined> {
    let next = from ?? this.#bounds().next
    while (!signal.aborted) {
      const page = await this.read({ from: next, limit: followBatch })
      if (page.isTruncated) yield this.#truncated(next, page.oldestSequence)
      yield* page.items
      next = page.next
      if (next < page.nextSequence) continue
      const position = { ...place, offset: next, maxBytes: 1 }
      await this.#deps.agent.fetch({ partitions: [position], maxBytes: 1, minBytes: 1, maxWaitMs: pollMs, signal })
    }
  }

  /** Waits until what was appended is kept, or the log refuses. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#sending
  }

  async #send(): Promise<void> {
    const { log, timers, random } = this.#deps
    const backoff = new Backoff({ firstMs: 100, maxMs: 5000, random })
    while (this.#queue.length > 0) {
      const records = this.#takeBatch()
      try {
        await this.#deps.agent.append(place, encodeBatch(records), { isOwn: true })
        backoff.reset()
        if (this.#lost > 0) log.warn({ lost: this.#lost }, 'events were lost while the event log was away')
        this.#lost = 0
      } catch (thrown) {
        const error = toAppError(thrown)
        if (backoff.attempts === 0) log.warn({ code: error.code, err: error, events: records.length }, 'events are not kept now')
        if (this.#isClosed) return
        if (error.code === 'RECORD_BATCH_TOO_LARGE') continue
        this.#queue = [...records, ...this.#queue].slice(-queueCapacity)
        await new Promise<void>((resolve) => void timers.after(backoff.nextMs(), resolve))
      }
    }
  }

  /** The oldest events, as many as fit into a batch; at least one. */
  #takeBatch(): NewRecord[] {
    let [count, sizeBytes] = [0, 0]
    for (const { value } of this.#queue.slice(0, batchCapacity)) {
      sizeBytes += value?.length ?? 0
      if (count > 0 && sizeBytes > batchBytes) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  async #readRecords(offset: number): Promise<readonly LogRecord[]> {
    const position = { ...place, offset, maxBytes: readBytes }
    const [fetched] = await this.#deps.agent.fetch({ partitions: [position], maxBytes: readBytes, minBytes: 0, maxWaitMs: 0 })
    if (fetched?.error) throw fetched.error
    return (fetched?.batches ?? []).flatMap((batch) => decodeBatch(batch)).filter((record) => record.offset >= offset)
  }

  #bounds(): { oldest: number; next: number } {
    const partition = this.#deps.agent.topics.get(eventsTopic).partition(0)
    return { oldest: partition.logStart, next: partition.highWatermark }
  }

  #truncated(from: number, oldestSequence: number): EventRecord {
    return {
      sequence: oldestSequence - 1,
      at: new Date(this.#deps.clock.nowMs()).toISOString(),
      type: truncatedType,
      subject: 'events',
      data: { from, oldestSequence },
    }
  }
}
