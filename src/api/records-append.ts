import type { StickyChoice } from '#eventlog/sticky-choice.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { encodeBatch, type NewRecord } from '#formats/kafka/records.ts'
import { partitionFor } from '#formats/kafka/partitioner.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { ProducedOffsets } from './log-contract.ts'
import type { LogHub, LogTopic } from './log-hub.ts'
import type { ProducedRecord } from './records-input.ts'

/** A request is answered after this time; what it brought may still come to be. */
const appendTimeoutMs = 30_000
/** Records of a request become batches of about this size. */
const targetBatchBytes = 512 * 1024
/** A request waits before it sends more than this that is not acknowledged yet, or keeps more that is not sent. */
const windowBytes = 2 * 1024 * 1024
/** The most that lengths, times and offsets of a record take in a batch, and of one of its headers. */
const recordOverheadBytes = 36
const headerOverheadBytes = 10
const batchOverheadBytes = 61

type Gathered = { readonly records: NewRecord[]; sizeBytes: number }

type Options = {
  readonly log: Pick<LogHub, 'append'>
  readonly topic: LogTopic
  readonly sticky: StickyChoice
  /** For records that name none. */
  readonly partition: number | undefined
  readonly ack: AckLevel | undefined
}

/**
 * Brings the records of one request into a topic: chooses partitions as Kafka's Java client does, gathers batches, and appends them in order. After a
 * failure nothing more is sent.
 */
export class RecordAppender {
  readonly #options: Options
  readonly #targetBytes: number
  readonly #gathered = new Map<number, Gathered>()
  readonly #kept = new Map<number, ProducedOffsets>()
  readonly #inFlight = new Set<Promise<void>>()
  #gatheredBytes = 0
  #inFlightBytes = 0
  #stickyPartition: number | undefined
  #ack: AckLevel | undefined
  #failure: AppError | undefined

  /** Throws `PARTITION_NOT_FOUND`. */
  constructor(options: Options) {
    this.#options = options
    const { topic, partition } = options
    if (partition !== undefined) topic.partition(partition)
    this.#targetBytes = Math.min(targetBatchBytes, topic.config.maxMessageBytes)
  }

  /** Nothing waits to be acknowledged. */
  get isIdle(): boolean {
    return this.#inFlight.size === 0
  }

  /** Throws `PARTITION_NOT_FOUND`, and `RECORD_BATCH_TOO_LARGE` for a record that no batch of the topic can hold; neither has taken anything. */
  check(record: ProducedRecord): void {
    const { topic } = this.#options
    if (record.partition !== undefined) topic.partition(record.partition)
    const { maxMessageBytes } = topic.config
    if (largestSizeOf(record) + batchOverheadBytes <= maxMessageBytes) return
    const sizeBytes = encodeBatch([record]).length
    if (sizeBytes <= maxMessageBytes) return
    const message = `a record of ${sizeBytes} bytes is above maxMessageBytes (${maxMessageBytes}) of topic "${topic.name}"`
    throw new AppError('RECORD_BATCH_TOO_LARGE', message)
  }

  /** Gathers a record; sends what is enough for a batch. */
  add(record: ProducedRecord): void {
    const partition = this.#choose(record)
    const sizeBytes = largestSizeOf(record)
    const open = this.#gathered.get(partition)
    if (open && open.sizeBytes + sizeBytes > this.#targetBytes) this.#send(partition, open)
    const gathered = this.#gathered.get(partition)
    if (gathered) {
      gathered.records.push(record)
      gathered.sizeBytes += sizeBytes
    } else this.#gathered.set(partition, { records: [record], sizeBytes: sizeBytes + batchOverheadBytes })
    this.#gatheredBytes += sizeBytes
    if (this.#gatheredBytes > windowBytes) this.flush()
  }

  /** Appends a whole record batch as it is. */
  addBatch(partition: number, batch: Buffer): void {
    this.#append(partition, batch)
  }

  /** Sends what is gathered. */
  flush(): void {
    for (const [partition, gathered] of this.#gathered) this.#send(partition, gathered)
  }

  /** Resolves when little enough is on its way to send more. Throws when something has failed. */
  async room(): Promise<void> {
    while (this.#inFlightBytes > windowBytes && !this.#failure) await Promise.race(this.#inFlight)
    if (this.#failure) throw this.#failure
  }

  /** Sends the rest and waits for all of it. Throws the first failure. */
  async finish(): Promise<{ ack: AckLevel; offsets: ProducedOffsets[] }> {
    this.flush()
    await Promise.all(this.#inFlight)
    if (this.#failure) throw this.#failure
    return { ack: this.#ack ?? 'none', offsets: this.#offsets() }
  }

  /** Keeps what came before something went wrong, if that can be, and returns the error with the offsets of what was kept. */
  async abandon(thrown: unknown): Promise<AppError> {
    this.flush()
    await Promise.all(this.#inFlight)
    const error = toAppError(thrown)
    const offsets = this.#offsets()
    if (offsets.length === 0) return error
    const message = `${error.message}; what was kept nevertheless is in details.offsets`
    return new AppError(error.code, message, { cause: error.cause ?? error, details: { ...error.details, offsets } })
  }

  #choose({ key, partition }: ProducedRecord): number {
    const { topic, sticky } = this.#options
    const named = partition ?? this.#options.partition
    if (named !== undefined) return named
    if (key !== null) return partitionFor(key, topic.partitions.length)
    return (this.#stickyPartition ??= sticky.next(topic))
  }

  #send(partition: number, { records, sizeBytes }: Gathered): void {
    this.#gathered.delete(partition)
    this.#gatheredBytes -= sizeBytes - batchOverheadBytes
    if (partition === this.#stickyPartition) this.#stickyPartition = undefined
    this.#append(partition, encodeBatch(records))
  }

  #append(partition: number, batch: Buffer): void {
    if (this.#failure) return
    const { log, topic, ack } = this.#options
    const { length } = batch
    this.#inFlightBytes += length
    const sent: Promise<void> = log
      .append({ topic: topic.name, partition }, batch, { timeoutMs: appendTimeoutMs, ...(ack === undefined ? {} : { ack }) })
      .then(
        (appended) => this.#keep(partition, appended),
        (error: unknown) => void (this.#failure ??= toAppError(error)),
      )
      .then(() => {
        this.#inFlightBytes -= length
        this.#inFlight.delete(sent)
      })
    this.#inFlight.add(sent)
  }

  #keep(partition: number, { baseOffset, lastOffset, ack }: { baseOffset: number; lastOffset: number; ack: AckLevel }): void {
    this.#ack = ack
    const count = lastOffset - baseOffset + 1
    const before = this.#kept.get(partition) ?? { baseOffset, lastOffset, count: 0 }
    this.#kept.set(partition, {
      partition,
      // An idempotent producer may send a batch that was kept long ago.
      baseOffset: Math.min(before.baseOffset, baseOffset),
      lastOffset: Math.max(before.lastOffset, lastOffset),
      count: before.count + count,
    })
  }

  #offsets(): ProducedOffsets[] {
    return [...this.#kept.values()].toSorted((a, b) => a.partition - b.partition)
  }
}

function largestSizeOf({ key, value, headers }: NewRecord): number {
  let sizeBytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers) sizeBytes += headerOverheadBytes + header.key.length * 3 + (header.value?.length ?? 0)
  return sizeBytes
}
