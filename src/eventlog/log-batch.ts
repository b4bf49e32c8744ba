import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import type { AppError } from '#lib/errors.ts'
import type { AckLevel } from './topic-config.ts'
import type { WalPosition } from './wal/wal.ts'

/** How far a batch has come. */
type Progress = 'appended' | 'synced' | 'committed'

const progressOf = { none: 'appended', wal: 'synced', object: 'committed' } as const satisfies Record<AckLevel, Progress>
const rank = { appended: 0, synced: 1, committed: 2 } as const satisfies Record<Progress, number>

/** Somebody who waits until a batch is durable. Hears once: of that, or of the error that ended it. */
export interface AckWait {
  readonly ack: AckLevel
  /** Another one who waits for the same batch; belongs to the batch. */
  next: AckWait | undefined
  reached(): void
  ended(error: AppError): void
}

/**
 * One batch of a partition, from its append until it has left memory. Its bytes may be given back while it lies in the write-ahead log, from where it can
 * be read again.
 */
export class LogBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly sizeBytes: number
  /** As in the header; the rest of it is not kept, for there may be a million of these. */
  readonly producerId: number
  readonly maxTimestampMs: number
  // Where its bytes are, in memory and in the write-ahead log, without an object for either: these would be larger than all the rest, and live as long.
  #memory: ArrayBufferLike | undefined
  #memoryAt = 0
  #segment = -1
  #segmentAt = 0
  #progress: Progress = 'appended'
  #failure: AppError | undefined
  #waits: AckWait | undefined

  /** `header` is as the producer wrote it; `baseOffset` is what the partition assigned. */
  constructor(header: BatchHeader, baseOffset: number, bytes: Buffer | undefined) {
    this.baseOffset = baseOffset
    this.lastOffset = baseOffset + header.lastOffsetDelta
    this.sizeBytes = header.sizeBytes
    this.producerId = header.producerId
    this.maxTimestampMs = header.maxTimestampMs
    this.#memory = bytes?.buffer
    this.#memoryAt = bytes?.byteOffset ?? 0
  }

  get bytes(): Buffer | undefined {
    return this.#memory && Buffer.from(this.#memory, this.#memoryAt, this.sizeBytes)
  }
  /** What its bytes take. */
  get memoryBytes(): number {
    return this.#memory ? this.sizeBytes : 0
  }
  /** Gives its bytes back. */
  forgetBytes(): void {
    this.#memory = undefined
  }

  /** Where it lies in the write-ahead log, once it is synced there. */
  get position(): WalPosition | undefined {
    if (this.#segment < 0) return undefined
    return { segment: this.#segment, positionBytes: this.#segmentAt, lengthBytes: this.sizeBytes }
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

  /** Nobody will hear of this batch again; what it had reached stays true. */
  fail(error: AppError): void {
    this.#failure ??= error
    for (let wait = this.#takeWaits(); wait;) {
      const { next } = wait
      wait.ended(error)
      wait = next
    }
  }

  /** Tells when the batch is as durable as is waited for: at once, if it is. */
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

/** Whether the batch is as durable as this. */
export function hasReachedAck(batch: LogBatch, ack: AckLevel): boolean {
  return batch.hasReached(progressOf[ack])
}
