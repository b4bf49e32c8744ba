import { spanOverheadBytes } from './backlog.ts'
import type { LogSpan } from './log-span.ts'
import type { Partition } from './partition.ts'

/** Committed spans that stay in memory for consumers at the end of their partition: the newest, over all partitions, up to a size. */
export class TailCache {
  readonly #capacityBytes: number
  #entries: { partition: Partition; span: LogSpan }[] = []
  #dropped = 0
  #sizeBytes = 0

  constructor({ capacityBytes }: { capacityBytes: number }) {
    this.#capacityBytes = capacityBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Spans that were just committed, in order. Those that memory had given back already are not worth a place. */
  add(partition: Partition, spans: readonly LogSpan[]): void {
    for (const span of spans) {
      this.#entries.push({ partition, span })
      this.#sizeBytes += costOf(span)
    }
    this.#trim()
  }

  #trim(): void {
    for (;;) {
      const oldest = this.#entries[this.#dropped]
      if (oldest === undefined || (this.#sizeBytes <= this.#capacityBytes && oldest.span.memoryBytes > 0)) break
      this.#dropped += 1
      this.#sizeBytes -= costOf(oldest.span)
      // A partition's spans come in order, so this one is the first that it still has.
      oldest.partition.recent.dropFirst()
    }
    if (this.#dropped * 2 <= this.#entries.length) return
    this.#entries = this.#entries.slice(this.#dropped)
    this.#dropped = 0
  }
}

function costOf({ memoryBytes }: LogSpan): number {
  return spanOverheadBytes + memoryBytes
}
