import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { LogSpan } from './log-span.ts'
import type { Partition } from './partition.ts'
import type { RecoveredEntry, Wal, WalPosition } from './wal/wal.ts'

/** What a start found in the write-ahead log. */
export type Recovered = {
  readonly batches: number
  readonly bytes: number
  readonly settled: number
  /** Entries of partitions that the database does not have, though it may have had them in an earlier life. */
  readonly unknown: number
}

type Deps = {
  readonly wal: Wal
  readonly partitions: ReadonlyMap<number, Partition>
  /** The database has known everything in this write-ahead log before: a partition that it lacks was deleted. Otherwise it may be in another database. */
  readonly isConfirmed: boolean
  readonly log: Logger
  /** Takes over a span whose offsets its partition knows again. */
  readonly onSpan: (partition: Partition, span: LogSpan) => void
}

/**
 * Brings back what was acknowledged and not committed when the process ended: entries that continue the committed end of their partition. Those that are
 * committed already are settled; those of a partition that belongs to another agent now are kept, for what that one has committed may be something else. Where
 * entries are missing or damaged, the partition keeps what is before them and takes no more; the write-ahead log keeps what is behind (invariants I9, I10).
 */
export async function recoverWal({ wal, partitions, isConfirmed, log, onSpan }: Deps): Promise<Recovered> {
  const recovered = { batches: 0, bytes: 0, settled: 0, unknown: 0 }
  const proven = new Set<Partition>()
  for await (const entry of wal.recovered()) {
    const partition = partitions.get(entry.partitionId)
    if (!partition && !isConfirmed) {
      recovered.unknown += 1
      continue
    }
    if (!partition || (partition.isOwned && entry.baseOffset + entry.recordCount <= partition.nextOffset)) {
      wal.settle(entry.position)
      recovered.settled += 1
      continue
    }
    const damage = findDamage(partition, entry)
    if (damage !== undefined) {
      refuse(partition, damage, log)
      continue
    }
    if (isBehind(entry.position, wal.unreadable.at(-1))) proven.add(partition)
    const span = partition.adopt(await wal.read(entry.position), entry.position)
    onSpan(partition, span)
    recovered.batches += span.batchCount
    recovered.bytes += span.sizeBytes
  }
  if (wal.unreadable.length > 0) {
    // Nobody knows whose entries these were. A partition that goes on behind them without a hole has lost none; any other may have.
    for (const partition of partitions.values()) if (!proven.has(partition)) refuse(partition, 'entries that cannot be read', log)
  }
  return recovered
}

function isBehind(position: WalPosition, other: { segment: number; positionBytes: number } | undefined): boolean {
  if (other === undefined) return false
  return position.segment > other.segment || (position.segment === other.segment && position.positionBytes > other.positionBytes)
}

function findDamage(partition: Partition, { baseOffset, isDamaged }: RecoveredEntry): string | undefined {
  if (!partition.isOwned) return 'entries behind damaged ones'
  if (isDamaged) return `a damaged entry at offset ${baseOffset}`
  if (baseOffset === partition.nextOffset) return undefined
  return `offset ${baseOffset} where ${partition.nextOffset} comes next`
}

function refuse(partition: Partition, damage: string, log: Logger): void {
  if (!partition.isOwned) return
  const message = `the write-ahead log has ${damage} for ${partition.label}; it takes no more records, what is committed stays readable`
  const error = new AppError('LOG_DAMAGED', message)
  log.error({ code: error.code, topic: partition.topic.name, partition: partition.index }, message)
  partition.fail(error)
}
