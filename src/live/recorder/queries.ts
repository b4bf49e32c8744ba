import { type Kysely, type Selectable, sql } from 'kysely'
import type { RecordingSegmentsTable, Schema } from '#store/sql/schema.ts'
import type {
  OldestQuery,
  RecordingIndex,
  RecordingSegment,
  SegmentPlace,
  SegmentQuery,
  StreamUsage,
  UnarchivedQuery,
} from './recording-index.ts'

/** SQLite takes at most 32,766 parameters in a statement, PostgreSQL 65,535: 13 columns a row stay far below. */
const rowsPerStatement = 500

/** The index of recordings in the table `recording_segments`. */
export function sqlRecordingIndex(db: Kysely<Schema>): RecordingIndex {
  return {
    save: (segments) => saveSegments(db, segments),
    remove: (ids) => removeSegments(db, ids),
    find: (id) => findSegment(db, id),
    findKnownIds: (ids) => findKnownIds(db, ids),
    pageOfDisk: (options) => pageOfDisk(db, options),
    list: (query) => listSegments(db, query),
    usage: () => sumUsage(db),
    oldestClosed: (query) => listOldestClosed(db, query),
    unarchived: (query) => listUnarchived(db, query),
    oldestArchived: (query) => listOldestArchived(db, query),
    markArchived: (id, archivedAtMs) => markArchived(db, id, archivedAtMs),
    forgetFile: (id) => forgetFile(db, id),
    forgetArchived: (id) => forgetArchived(db, id),
  }
}

async function saveSegments(db: Kysely<Schema>, segments: readonly RecordingSegment[]): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const rows of chunks(segments.map(toRow))) {
      await transaction
        .insertInto('recording_segments')
        .values(rows)
        .onConflict((conflict) =>
          // Not is_on_disk and archived_at_ms: a row may be written again, late, by who knows nothing of the archive.
          conflict.column('id').doUpdateSet((excluded) => ({
            stream: excluded.ref('excluded.stream'),
            session_id: excluded.ref('excluded.session_id'),
            path: excluded.ref('excluded.path'),
            started_at_ms: excluded.ref('excluded.started_at_ms'),
            ended_at_ms: excluded.ref('excluded.ended_at_ms'),
            duration_ms: excluded.ref('excluded.duration_ms'),
            size_bytes: excluded.ref('excluded.size_bytes'),
            init_size_bytes: excluded.ref('excluded.init_size_bytes'),
            is_discontinuity: excluded.ref('excluded.is_discontinuity'),
            state: excluded.ref('excluded.state'),
          })),
        )
        .execute()
    }
  })
}

async function removeSegments(db: Kysely<Schema>, ids: readonly string[]): Promise<void> {
  for (const some of chunks(ids)) await db.deleteFrom('recording_segments').where('id', 'in', some).execute()
}

async function findSegment(db: Kysely<Schema>, id: string): Promise<RecordingSegment | undefined> {
  const row = await db.selectFrom('recording_segments').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toSegment(row)
}

async function findKnownIds(db: Kysely<Schema>, ids: readonly string[]): Promise<Set<string>> {
  const known = new Set<string>()
  for (const some of chunks(ids)) {
    for (const { id } of await db.selectFrom('recording_segments').select('id').where('id', 'in', some).execute()) known.add(id)
  }
  return known
}

async function pageOfDisk(
  db: Kysely<Schema>,
  { after, limit }: { after?: SegmentPlace; limit: number },
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where(onDisk)
    .$if(after !== undefined, (query) => query.where(sql<boolean>`(started_at_ms, id) > (${after?.startedAtMs}, ${after?.id})`))
    .orderBy('started_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

async function listSegments(
  db: Kysely<Schema>,
  { stream, fromMs, toMs, after, limit }: SegmentQuery,
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .$if(stream !== undefined, (query) => query.where('stream', '=', stream ?? ''))
    .$if(fromMs !== undefined, (query) =>
      query.where((where) => where.or([where('ended_at_ms', 'is', null), where('ended_at_ms', '>', fromMs ?? 0)])),
    )
    .$if(toMs !== undefined, (query) => query.where('started_at_ms', '<', toMs ?? 0))
    .$if(after !== undefined, (query) =>
      // Row values keep the index in use where an `or` would not; both databases have them.
      query.where(sql<boolean>`(started_at_ms, id) > (${after?.startedAtMs}, ${after?.id})`),
    )
    .orderBy('started_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

async function sumUsage(db: Kysely<Schema>): Promise<StreamUsage[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .select(({ fn }) => [
      'stream',
      fn.sum<number | string>('size_bytes').as('size_bytes'),
      fn.countAll<number | string>().as('segments'),
      sql<number | string>`count(case when ${unarchived} then 1 end)`.as('unarchived'),
      sql<number | null>`min(case when ${unarchived} then ended_at_ms end)`.as('unarchived_since_ms'),
    ])
    .where(onDisk)
    .groupBy('stream')
    .orderBy('stream')
    .execute()
  // PostgreSQL's sum of bigint is numeric, which comes as text.
  return rows.map((row) => ({
    stream: row.stream,
    sizeBytes: Number(row.size_bytes),
    segmentCount: Number(row.segments),
    unarchivedCount: Number(row.unarchived),
    ...(row.unarchived_since_ms === null ? {} : { unarchivedSinceMs: row.unarchived_since_ms }),
  }))
}

async function listOldestClosed(
  db: Kysely<Schema>,
  { stream, endedBeforeMs, unarchivedBeforeMs, limit }: OldestQuery,
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where(onDisk)
    .where('state', '=', 'closed')
    .$if(stream !== undefined, (query) => query.where('stream', '=', stream ?? ''))
    .$if(endedBeforeMs !== undefined, (query) => query.where('ended_at_ms', '<', endedBeforeMs ?? 0))
    .$if(unarchivedBeforeMs !== undefined, (query) =>
      query.where((where) =>
        where.or([where('archived_at_ms', 'is not', null), where('ended_at_ms', '<', unarchivedBeforeMs ?? 0)]),
      ),
    )
    .orderBy('started_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

async function listUnarchived(
  db: Kysely<Schema>,
  { streams, endedAfterMs, limit }: UnarchivedQuery,
): Promise<RecordingSegment[]> {
  if (streams.length === 0) return []
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where(unarchived)
    .where('stream', 'in', streams)
    .$if(endedAfterMs !== undefined, (query) => query.where('ended_at_ms', '>', endedAfterMs ?? 0))
    .orderBy('started_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

async function listOldestArchived(
  db: Kysely<Schema>,
  { stream, endedBeforeMs, limit }: { stream: string; endedBeforeMs: number; limit: number },
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where('archived_at_ms', 'is not', null)
    .where('stream', '=', stream)
    .where('ended_at_ms', '<', endedBeforeMs)
    .orderBy('ended_at_ms')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

async function markArchived(db: Kysely<Schema>, id: string, archivedAtMs: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('recording_segments')
    .set({ archived_at_ms: archivedAtMs })
    .where('id', '=', id)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function forgetFile(db: Kysely<Schema>, id: string): Promise<boolean> {
  const free = async (): Promise<boolean> => {
    const { numUpdatedRows } = await db
      .updateTable('recording_segments')
      .set({ is_on_disk: 0 })
      .where('id', '=', id)
      .where('archived_at_ms', 'is not', null)
      .executeTakeFirst()
    return numUpdatedRows > 0n
  }
  if (await free()) return true
  await db.deleteFrom('recording_segments').where('id', '=', id).where('archived_at_ms', 'is', null).execute()
  // Archived between the two: the row is still there.
  return await free()
}

async function forgetArchived(db: Kysely<Schema>, id: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('recording_segments')
    .set({ archived_at_ms: null })
    .where('id', '=', id)
    .where(onDisk)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return true
  // Nothing brings a file back that was freed.
  await db.deleteFrom('recording_segments').where('id', '=', id).where('is_on_disk', '=', 0).execute()
  return false
}

/** As it stands in the partial indexes: with a parameter in place of the 1, neither database would use them. */
const onDisk = sql<boolean>`is_on_disk = 1`
const unarchived = sql<boolean>`archived_at_ms is null and state = 'closed'`

function toRow(segment: RecordingSegment): RecordingSegmentsTable {
  return {
    id: segment.id,
    stream: segment.stream,
    session_id: segment.sessionId,
    path: segment.path,
    started_at_ms: segment.startedAtMs,
    ended_at_ms: segment.endedAtMs ?? null,
    duration_ms: segment.durationMs,
    size_bytes: segment.sizeBytes,
    init_size_bytes: segment.initSizeBytes,
    is_discontinuity: segment.isDiscontinuity ? 1 : 0,
    state: segment.state,
    is_on_disk: segment.isOnDisk ? 1 : 0,
    archived_at_ms: segment.archivedAtMs ?? null,
  }
}

function toSegment(row: Selectable<RecordingSegmentsTable>): RecordingSegment {
  return {
    id: row.id,
    stream: row.stream,
    sessionId: row.session_id,
    path: row.path,
    startedAtMs: row.started_at_ms,
    ...(row.ended_at_ms === null ? {} : { endedAtMs: row.ended_at_ms }),
    durationMs: row.duration_ms,
    sizeBytes: row.size_bytes,
    initSizeBytes: row.init_size_bytes,
    isDiscontinuity: row.is_discontinuity === 1,
    state: row.state,
    isOnDisk: row.is_on_disk === 1,
    ...(row.archived_at_ms === null ? {} : { archivedAtMs: row.archived_at_ms }),
  }
}

function* chunks<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += rowsPerStatement) yield items.slice(at, at + rowsPerStatement)
}
