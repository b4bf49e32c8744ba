import { sql, type Kysely, type Selectable } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import type { ExtentsTable } from '#store/sql/schema-event-log.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import type { ExtentRow, RunRow } from './log-metadata.ts'
import { dropReferences } from './sql-objects.ts'
import { lockPartitions } from './sql-partitions.ts'
import { inSteps, rowsPerStep, type Session } from './sql-session.ts'
import { packSparse, unpackSparse } from './sparse-points.ts'

export async function insertExtents(
  { db, dialect }: Session,
  { objectId, runs }: { objectId: string; runs: readonly RunRow[] },
): Promise<void> {
  const extents = rowSet(dialect, runs, {
    partition_id: ['bigint', (run) => run.partitionId],
    base_offset: ['bigint', (run) => run.baseOffset],
    last_offset: ['bigint', (run) => run.lastOffset],
    position_bytes: ['bigint', (run) => run.positionBytes],
    length_bytes: ['bigint', (run) => run.lengthBytes],
    min_timestamp_ms: ['bigint', (run) => storableMs(run.minTimestampMs)],
    max_timestamp_ms: ['bigint', (run) => storableMs(run.maxTimestampMs)],
    batch_count: ['bigint', (run) => run.batchCount],
    sparse: ['bytea', packSparse],
  })
  await sql`
    insert into extents (
      partition_id, base_offset, last_offset, object_id, position_bytes, length_bytes,
      min_timestamp_ms, max_timestamp_ms, batch_count, sparse
    )
    select partition_id, base_offset, last_offset, ${objectId}, position_bytes, length_bytes,
      min_timestamp_ms, max_timestamp_ms, batch_count, sparse
    from ${extents} as extents
  `.execute(db)
}

export async function findExtents(
  db: Kysely<Schema>,
  { partitionId, fromOffset, limit }: { partitionId: number; fromOffset: number; limit: number },
): Promise<ExtentRow[]> {
  // Extents do not overlap: the first one is that with the largest base up to the offset, which the key finds at once, or the one behind it.
  const first = sql<number>`coalesce(
    (select max(base_offset) from extents where partition_id = ${partitionId} and base_offset <= ${fromOffset}), 0
  )`
  const rows = await selectExtents(db)
    .where('partition_id', '=', partitionId)
    .where('base_offset', '>=', first)
    .where('last_offset', '>=', fromOffset)
    .orderBy('base_offset')
    .limit(limit)
    .execute()
  return rows.map(toExtent)
}

/** Times need not grow with offsets, so this looks at each extent up to the one it finds. */
export async function findExtentByTime(
  db: Kysely<Schema>,
  { partitionId, timestampMs }: { partitionId: number; timestampMs: number },
): Promise<ExtentRow | undefined> {
  const row = await selectExtents(db)
    .where('partition_id', '=', partitionId)
    .where('max_timestamp_ms', '>=', timestampMs)
    .orderBy('base_offset')
    .limit(1)
    .executeTakeFirst()
  return row && toExtent(row)
}

export async function oldestExtents(
  db: Kysely<Schema>,
  { partitionId, limit }: { partitionId: number; limit: number },
): Promise<ExtentRow[]> {
  const rows = await selectExtents(db).where('partition_id', '=', partitionId).orderBy('base_offset').limit(limit).execute()
  return rows.map(toExtent)
}

/**
 * The start moves with the first step, not further than the partition's end; a repeat goes on with dropping extents where an earlier call was broken
 * off. Throws `PARTITION_NOT_FOUND`.
 */
export async function advanceLogStart(
  database: Database,
  { partitionId, offset, nowMs }: { partitionId: number; offset: number; nowMs: number },
): Promise<{ logStart: number; freedBytes: number }> {
  let logStart = 0
  let freedBytes = 0
  await inSteps(database, async (session) => {
    const [partition] = await lockPartitions(session, [partitionId], ['log_start', 'next_offset', 'size_bytes'])
    if (!partition) {
      throw new AppError('PARTITION_NOT_FOUND', `no partition has the id ${partitionId}; its topic may have been deleted`)
    }
    logStart = Math.max(partition.log_start, Math.min(offset, partition.next_offset))
    const dropped = await dropExtents(session, { partitionId, logStart, nowMs })
    freedBytes += dropped.freedBytes
    if (dropped.count > 0 || logStart !== partition.log_start) {
      await session.db
        .updateTable('partitions')
        .set({ log_start: logStart, size_bytes: partition.size_bytes - dropped.freedBytes })
        .where('id', '=', partitionId)
        .execute()
    }
    return dropped.count === rowsPerStep ? 'more' : 'done'
  })
  return { logStart, freedBytes }
}

/** At most `rowsPerStep` of the extents that end before the start. */
async function dropExtents(
  session: Session,
  { partitionId, logStart, nowMs }: { partitionId: number; logStart: number; nowMs: number },
): Promise<{ count: number; freedBytes: number }> {
  const { rows } = await sql<{ object_id: string; length_bytes: number }>`
    delete from extents where partition_id = ${partitionId} and base_offset in (
      select base_offset from extents
      where partition_id = ${partitionId} and base_offset < ${logStart} and last_offset < ${logStart}
      order by base_offset limit ${rowsPerStep}
    )
    returning object_id, length_bytes
  `.execute(session.db)
  await dropReferences(session, { objectIds: rows.map((row) => row.object_id), nowMs })
  return { count: rows.length, freedBytes: rows.reduce((sum, row) => sum + row.length_bytes, 0) }
}

/** Producers set times as they like, and a 64-bit one beyond 2^53 could never be read back. */
function storableMs(timestampMs: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(timestampMs, Number.MAX_SAFE_INTEGER))
}

function selectExtents(db: Kysely<Schema>) {
  return db
    .selectFrom('extents')
    .innerJoin('log_objects', 'log_objects.id', 'extents.object_id')
    .selectAll('extents')
    .select('log_objects.object_key')
}

/** A row of extents with the key of its object. */
export function toExtent(row: Selectable<ExtentsTable> & { object_key: string }): ExtentRow {
  const extent = {
    partitionId: row.partition_id,
    baseOffset: row.base_offset,
    lastOffset: row.last_offset,
    positionBytes: row.position_bytes,
    lengthBytes: row.length_bytes,
    minTimestampMs: row.min_timestamp_ms,
    maxTimestampMs: row.max_timestamp_ms,
    batchCount: row.batch_count,
    objectId: row.object_id,
    objectKey: row.object_key,
  }
  return { ...extent, sparse: unpackSparse(row.sparse, extent) }
}
