import { sql } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import type { Database } from '#store/sql/schema.ts'
import type { PlannedTopic } from '../objects/history-plan.ts'
import type { HistoricObject, HistoryImport, HistoryWriter } from '../objects/rebuild.ts'
import type { ProducerRow } from './log-metadata.ts'
import { insertExtents } from './sql-extents.ts'
import { saveProducers } from './sql-producers.ts'
import { inTransaction, type Session } from './sql-session.ts'
import { formatVerdicts } from './verdicts.ts'

/** Stands for the agents that wrote the objects; nobody is called so. */
const formerAgent = 'rebuilt'

/** Takes a history that was found in the object store into SQLite or PostgreSQL. */
export function sqlHistoryImport(database: Database): HistoryImport {
  return {
    requireEmpty: () => requireEmpty(database),
    importHistory: (write) =>
      inTransaction(database, async (session) => {
        await requireEmpty(session)
        await write(writerTo(session))
        await continueIds(session)
      }),
  }
}

function writerTo(session: Session): HistoryWriter {
  return {
    addTopic: (topic) => addTopic(session, topic),
    addObjects: (objects) => addObjects(session, objects),
    addProducers: (producers, nextProducerId) => addProducers(session, { producers, nextProducerId }),
  }
}

async function requireEmpty({ db }: Session): Promise<void> {
  const topic = await db.selectFrom('topics').select('name').limit(1).executeTakeFirst()
  const object = await db.selectFrom('log_objects').select('id').limit(1).executeTakeFirst()
  if (!topic && !object) return
  const what = topic ? `topic "${topic.name}"` : `object ${object?.id ?? ''}`
  throw new AppError('LOG_NOT_EMPTY', `the database has ${what} already; rebuild into an empty one, this one was left as it is`)
}

async function addTopic({ db, dialect }: Session, topic: Parameters<HistoryWriter['addTopic']>[0]): Promise<void> {
  const { id, name, createdAtMs: created_at_ms } = topic
  await db
    .insertInto('topics')
    .values({ id, name, config: JSON.stringify(topic.config), created_at_ms })
    .execute()
  const partitions = rowSet<PlannedTopic['partitions'][number]>(dialect, topic.partitions, {
    partition_id: ['bigint', ({ partitionId }) => partitionId],
    partition_index: ['bigint', ({ index }) => index],
    epoch: ['bigint', ({ epoch }) => epoch],
    next_offset: ['bigint', ({ nextOffset }) => nextOffset],
    log_start: ['bigint', ({ logStart }) => logStart],
    size_bytes: ['bigint', ({ sizeBytes }) => sizeBytes],
  })
  await sql`
    insert into partitions (id, topic_id, partition_index, epoch, offset_ceiling, next_offset, log_start, size_bytes)
    ${sql.raw(dialect === 'postgres' ? 'overriding system value' : '')}
    select partition_id, ${id}, partition_index, epoch, next_offset, next_offset, log_start, size_bytes from ${partitions} as added
  `.execute(db)
}

async function addObjects(session: Session, objects: readonly HistoricObject[]): Promise<void> {
  const { db, dialect } = session
  const rows = rowSet(dialect, objects, {
    id: ['text', ({ id }) => id],
    object_key: ['text', ({ key }) => key],
    size_bytes: ['bigint', ({ sizeBytes }) => sizeBytes],
    live_refs: ['bigint', ({ runs }) => runs.length],
    verdicts: ['text', ({ runs }) => formatVerdicts(runs.map(() => 'committed'))],
    stored_at_ms: ['bigint', ({ committedAtMs }) => committedAtMs],
  })
  await sql`
    insert into log_objects (id, object_key, agent_id, state, size_bytes, live_refs, verdicts, reserved_at_ms, committed_at_ms)
    select id, object_key, ${formerAgent}, 'committed', size_bytes, live_refs, verdicts, stored_at_ms, stored_at_ms from ${rows} as added
  `.execute(db)
  for (const { id: objectId, runs } of objects) await insertExtents(session, { objectId, runs })
}

type Producers = { readonly producers: readonly ProducerRow[]; readonly nextProducerId: number }

async function addProducers(session: Session, { producers, nextProducerId }: Producers): Promise<void> {
  await saveProducers(session, producers)
  await session.db
    .updateTable('log_counters')
    .set({ next_value: sql<number>`case when next_value < ${nextProducerId} then ${nextProducerId} else next_value end` })
    .where('name', '=', 'producer-id')
    .execute()
}

/** PostgreSQL counts its ids apart from those that were given; SQLite goes on above the largest by itself. */
async function continueIds({ db, dialect }: Session): Promise<void> {
  if (dialect === 'sqlite') return
  await sql`
    select setval(pg_get_serial_sequence('partitions', 'id'), max(id)) from partitions having max(id) is not null
  `.execute(db)
}
