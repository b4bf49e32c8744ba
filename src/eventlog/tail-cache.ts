import { batchOverheadBytes } from './backlog.ts'
import type { LogBatch } from './log-batch.ts'
import type { Partition } from './partition.ts'

/** Committed batches that stay in memory for consumers at the end of their partition: the newest, over all partitions, up to a size. */
export class TailCache {
  readonly #capacityBytes: number
  #entries: { partition: Partition; batch: LogBatch }[] = []
  #dropped = 0
  #sizeBytes = 0

  constructor({ capacityBytes }: { capacityBytes: number }) {
    this.#capacityBytes = capacityBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Batches that were just committed, in order. Those that memory had given back already are not worth a place. */
  add(partition: Partition, batches: readonly LogBatch[]): void {
    for (const batch of batches) {
      this.#entries.push({ partition, batch })
      this.#sizeBytes += costOf(batch)
    }
    this.#trim()
  }

  #trim(): void {
    for (;;) {
      const oldest = this.#entries[this.#dropped]
      if (oldest === undefined || (this.#sizeBytes <= this.#capacityBytes && oldest.batch.memoryBytes > 0)) break
      this.#dropped += 1
      this.#sizeBytes -= costOf(oldest.batch)
      // A partition's batches come in order, so this one is the first that it still has.
      oldest.partition.recent.dropFirst()
    }
    if (this.#dropped * 2 <= this.#entries.length) return
    this.#entries = this.#entries.slice(this.#dropped)
    this.#dropped = 0
  }
}

function costOf({ memoryBytes }: LogBatch): number {
  return batchOverheadBytes + memoryBytes
}
