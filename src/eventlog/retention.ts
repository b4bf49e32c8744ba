import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { ExtentRow, LogMetadata, PartitionRow, TopicRow } from './metadata/log-metadata.ts'
import { Repeating } from './repeating.ts'
import type { TopicConfig } from './topic-config.ts'

/** Extents that are looked at for one partition in one round; what is left waits for the next. */
const extentsPerRound = 500
/** The next round comes this soon when one has left something. */
const busyIntervalMs = 1000

export type RetentionOptions = {
  readonly metadata: Pick<LogMetadata, 'loadTopics' | 'oldestExtents' | 'advanceLogStart'>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly intervalMs: number
  /** The partition begins later now, and takes that much less. */
  readonly onAdvanced: (partitionId: number, change: { readonly logStart: number; readonly freedBytes: number }) => void
}

export type RetentionRound = { readonly partitions: number; readonly freedBytes: number; readonly hasMore: boolean }

/**
 * Deletes what topics need not keep any more: extents whose newest record is older than `retentionMs`, and the oldest ones of partitions that have
 * `retentionBytes` without them. Whole extents go, the oldest first, up to the first that has to stay; only what is committed is looked at. Objects are deleted
 * later, by the collector (invariant I14). Any number of agents may do this at once.
 *
 * Extents whose records carry no times go with the next one that has some. One record with a time in the future keeps all behind it.
 */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions
  readonly #repeating: Repeating

  constructor(options: RetentionOptions) {
    this.#options = options
    const { timers, intervalMs: firstDelayMs } = options
    this.#repeating = new Repeating({ timers, firstDelayMs, work: (signal) => this.#work(signal) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#repeating[Symbol.asyncDispose]()
  }

  /** Goes through all partitions once. Throws what the database throws; what was done until then stays done. */
  async runOnce(signal?: AbortSignal): Promise<RetentionRound> {
    const round = { partitions: 0, freedBytes: 0, hasMore: false }
    const topics = await this.#options.metadata.loadTopics()
    for (const topic of topics.filter(({ config }) => config.retentionMs >= 0 || config.retentionBytes >= 0)) {
      for (const partition of topic.partitions) {
        if (signal?.aborted) return round
        const { freedBytes, hasMore } = await this.#trim(topic, partition)
        round.freedBytes += freedBytes
        round.partitions += freedBytes > 0 ? 1 : 0
        round.hasMore ||= hasMore
      }
    }
    return round
  }

  async #work(signal: AbortSignal): Promise<number> {
    const { log, intervalMs } = this.#options
    try {
      const { hasMore, ...freed } = await this.runOnce(signal)
      if (freed.freedBytes > 0) log.info(freed, 'old records deleted')
      return hasMore ? Math.min(busyIntervalMs, intervalMs) : intervalMs
    } catch (thrown) {
      log.warn({ err: toAppError(thrown) }, 'retention could not go through all partitions; it will try again')
      return intervalMs
    }
  }

  async #trim({ config }: TopicRow, partition: PartitionRow): Promise<{ freedBytes: number; hasMore: boolean }> {
    const { metadata, clock, onAdvanced } = this.#options
    if (partition.sizeBytes === 0) return { freedBytes: 0, hasMore: false }
    const nowMs = clock.nowMs()
    const { partitionId } = partition
    const extents = await metadata.oldestExtents({ partitionId, limit: extentsPerRound })
    const offset = newStart(extents, { config, partition, nowMs })
    if (offset === undefined) return { freedBytes: 0, hasMore: false }
    const { logStart, freedBytes } = await metadata.advanceLogStart({ partitionId, offset, nowMs })
    onAdvanced(partitionId, { logStart, freedBytes })
    return { freedBytes, hasMore: extents.length === extentsPerRound && offset > (extents.at(-1)?.lastOffset ?? 0) }
  }
}

type Rules = { readonly config: TopicConfig; readonly partition: PartitionRow; readonly nowMs: number }

/** Where a partition should begin, when that is later than it does. */
function newStart(extents: readonly ExtentRow[], { config, partition, nowMs }: Rules): number | undefined {
  const [first] = extents
  if (first && first.baseOffset > partition.logStart) {
    // Either nothing was ever kept from there to here, or the start has just moved and the size of the partition is not what it was: the next round knows.
    return first.baseOffset
  }
  const byAge = config.retentionMs < 0 ? 0 : countExpired(extents, nowMs - config.retentionMs)
  const bySize = config.retentionBytes < 0 ? 0 : countExcess(extents, partition.sizeBytes - config.retentionBytes)
  const last = extents[Math.max(byAge, bySize) - 1]
  return last && last.lastOffset + 1
}

/** How many extents from the first on have nothing newer than this. */
function countExpired(extents: readonly ExtentRow[], keptFromMs: number): number {
  let count = 0
  for (const [index, { maxTimestampMs }] of extents.entries()) {
    if (maxTimestampMs < 0) continue
    if (maxTimestampMs >= keptFromMs) break
    count = index + 1
  }
  return count
}

/** How many extents from the first on fit into what is too much. */
function countExcess(extents: readonly ExtentRow[], excessBytes: number): number {
  let count = 0
  let left = excessBytes
  for (const { lengthBytes } of extents) {
    left -= lengthBytes
    if (left < 0) break
    count += 1
  }
  return count
}
