import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import type { AppError } from '#lib/errors.ts'
import type { AckLevel } from './topic-config.ts'
import type { WalPosition } from './wal/wal.ts'

/** How far a span has come. */
type Progress = 'appended' | 'synced' | 'committed'

const progressOf = { none: 'appended', wal: 'synced', object: 'committed' } as const satisfies Record<AckLevel, Progress>
const rank = { appended: 0, synced: 1, committed: 2 } as const satisfies Record<Progress, number>

/** Somebody who waits until a span is durable. Hears once: of that, or of the error that ended it. */
export interface AckWait {
  readonly ack: AckLevel
  /** Another one who waits for the same span; belongs to the span. */
  next: AckWait | undefined
  reached(): void
  ended(error: AppError): void
}

/** What a span takes at most, unless it is one batch: whoever reads from memory reads whole ones. */
const maxSpanBytes = 65_536

/**
 * Consecutive batches of one producer in a partition that were appended together, from their append until they have left memory: one entry of the write-ahead
 * log, durable together. Many small batches cost little more than one: an object for each, which lives for seconds, is what the garbage collector would work on.
 * The bytes may be given back while they lie in the write-ahead log, from where they can be read again.
 */
export class LogSpan {
  readonly baseOffset: number
  /** As in the headers; the rest of them is not kept, for there may be a million spans. */
  readonly producerId: number
  #lastOffset: number
  #sizeBytes: number
  #batchCount = 1
  #minTimestampMs: number
  #maxTimestampMs: number
  // Where its bytes are, in memory and in the write-ahead log, without an object for either: these would be larger than all the rest, and live as long.
  #memory: ArrayBufferLike | undefined
  #memoryAt = 0
  #segment = -1
  #segmentAt = 0
  #progress: Progress = 'appended'
  #failure: AppError | undefined
  #waits: AckWait | undefined

  /** A span of one batch, which begins at `at`. `header` is as the producer wrote it; `baseOffset` is what the partition assigned. */
  constructor(header: BatchHeader, baseOffset: number, bytes: Buffer | undefined, at = 0) {
    this.baseOffset = baseOffset
    this.producerId = header.producerId
    this.#lastOffset = baseOffset + header.lastOffsetDelta
    this.#sizeBytes = header.sizeBytes
    this.#minTimestampMs = header.baseTimestampMs
    this.#maxTimestampMs = header.maxTimestampMs
    this.#memory = bytes?.buffer
    this.#memoryAt = (bytes?.byteOffset ?? 0) + at
  }

  get lastOffset(): number {
    return this.#lastOffset
  }
  get sizeBytes(): number {
    return this.#sizeBytes
  }
  get batchCount(): number {
    return this.#batchCount
  }
  /** The earliest of the times that the batches begin with. */
  get minTimestampMs(): number {
    return this.#minTimestampMs
  }
  get maxTimestampMs(): number {
    return this.#maxTimestampMs
  }

  /** Whether the batch at `at` may become part of it: it lies behind the others in memory. */
  isContinuedBy({ producerId, sizeBytes }: BatchHeader, bytes: Buffer, at: number): boolean {
    if (this.#memory !== bytes.buffer || this.#memoryAt + this.#sizeBytes !== bytes.byteOffset + at) return false
    return this.producerId === producerId && this.#sizeBytes + sizeBytes <= maxSpanBytes
  }

  /** Takes one more batch, before anybody else has seen the span. */
  extend(header: BatchHeader): void {
    this.#lastOffset += header.lastOffsetDelta + 1
    this.#sizeBytes += header.sizeBytes
    this.#batchCount += 1
    this.#minTimestampMs = Math.min(this.#minTimestampMs, header.baseTimestampMs)
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, header.maxTimestampMs)
  }

  /** The batches, one behind the other. */
  get bytes(): Buffer | undefined {
    return this.#memory && Buffer.from(this.#memory, this.#memoryAt, this.#sizeBytes)
  }
  /** What its bytes take. */
  get memoryBytes(): number {
    return this.#memory ? this.#sizeBytes : 0
  }
  /** Gives its bytes back. */
  forgetBytes(): void {
    this.#memory = undefined
  }

  /** Where it lies in the write-ahead log, once it is synced there. */
  get position(): WalPosition | undefined {
    if (this.#segment < 0) return undefined
    return { segment: this.#segment, positionBytes: this.#segmentAt, lengthBytes: this.#sizeBytes }
  }
  placeAt({ segment, positionBytes }: WalPosition): void {
    this.#segment = segment
    this.#segmentAt = positionBytes
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }
  /** Why nobody will hear of it again. */
  get failure(): AppError | undefined {
    return this.#failure
  }

  hasReached(progress: Progress): boolean {
    return rank[this.#progress] >= rank[progress]
  }

  reach(progress: Progress): void {
    if (this.hasReached(progress)) return
    this.#progress = progress
    for (let wait = this.#takeWaits(); wait;) {
      const { next } = wait
      if (hasReachedAck(this, wait.ack)) wait.reached()
      else this.#add(wait)
      wait = next
    }
  }

  /** Nobody will hear of this span again; what it had reached stays true. */
  fail(error: AppError): void {
    this.#failure ??= error
    for (let wait = this.#takeWaits(); wait;) {
      const { next } = wait
      wait.ended(error)
      wait = next
    }
  }

  /** Tells when the span is as durable as is waited for: at once, if it is. */
  wait(wait: AckWait): void {
    if (hasReachedAck(this, wait.ack)) wait.reached()
    else if (this.#failure) wait.ended(this.#failure)
    else this.#add(wait)
  }

  #add(wait: AckWait): void {
    wait.next = this.#waits
    this.#waits = wait
  }

  #takeWaits(): AckWait | undefined {
    const waits = this.#waits
    this.#waits = undefined
    return waits
  }
}

/** Whether the span is as durable as this. */
export function hasReachedAck(span: LogSpan, ack: AckLevel): boolean {
  return span.hasReached(progressOf[ack])
}
