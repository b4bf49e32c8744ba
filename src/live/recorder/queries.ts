import { type Kysely, type Selectable, sql } from 'kysely'
import type { RecordingSegmentsTable, Schema } from '#store/sql/schema.ts'
import type { RecordingIndex, RecordingSegment, SegmentQuery, StreamUsage } from './recording-index.ts'

/** SQLite takes at most 32,766 parameters in a statement, PostgreSQL 65,535: 12 columns a row stay far below. */
const rowsPerStatement = 500

/** The index of recordings in the table `recording_segments`. */
export function sqlRecordingIndex(db: Kysely<Schema>): RecordingIndex {
  return {
    save: (segments) => saveSegments(db, segments),
    remove: (ids) => removeSegments(db, ids),
    find: (id) => findSegment(db, id),
    findKnownIds: (ids) => findKnownIds(db, ids),
    page: (options) => pageSegments(db, options),
    list: (query) => listSegments(db, query),
    usage: () => sumUsage(db),
    oldestClosed: (query) => listOldestClosed(db, query),
  }
}

async function saveSegments(db: Kysely<Schema>, segments: readonly RecordingSegment[]): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const rows of chunks(segments.map(toRow))) {
      await transaction
        .insertInto('recording_segments')
        .values(rows)
        .onConflict((conflict) =>
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

async function pageSegments(
  db: Kysely<Schema>,
  { afterId, limit }: { afterId: string; limit: number },
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where('id', '>', afterId)
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
    ])
    .groupBy('stream')
    .orderBy('stream')
    .execute()
  // PostgreSQL's sum of bigint is numeric, which comes as text.
  return rows.map((row) => ({ stream: row.stream, sizeBytes: Number(row.size_bytes), segmentCount: Number(row.segments) }))
}

async function listOldestClosed(
  db: Kysely<Schema>,
  { stream, endedBeforeMs, limit }: { stream?: string; endedBeforeMs?: number; limit: number },
): Promise<RecordingSegment[]> {
  const rows = await db
    .selectFrom('recording_segments')
    .selectAll()
    .where('state', '=', 'closed')
    .$if(stream !== undefined, (query) => query.where('stream', '=', stream ?? ''))
    .$if(endedBeforeMs !== undefined, (query) => query.where('ended_at_ms', '<', endedBeforeMs ?? 0))
    .orderBy('started_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toSegment)
}

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
  }
}

function* chunks<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += rowsPerStatement) yield items.slice(at, at + rowsPerStatement)
}
