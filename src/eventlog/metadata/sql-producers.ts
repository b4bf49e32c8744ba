import { sql, type Kysely, type Selectable } from 'kysely'
import { AppError } from '#lib/errors.ts'
import { rowSet } from '#store/sql/row-set.ts'
import type { ProducersTable } from '#store/sql/schema-event-log.ts'
import type { Database, Schema } from '#store/sql/schema.ts'
import type { ProducerBatch, ProducerRow } from './log-metadata.ts'
import { packIntegers, unpackIntegers } from './packed-integers.ts'
import { inSteps, rowsPerStep, type Session } from './sql-session.ts'

/** In a transaction that holds the locks of the partitions. Of two rows of one producer the later counts. */
export async function saveProducers({ db, dialect }: Session, producers: readonly ProducerRow[]): Promise<void> {
  if (producers.length === 0) return
  const latest = new Map(producers.map((producer) => [`${producer.partitionId}/${producer.producerId}`, producer]))
  const rows = rowSet(dialect, [...latest.values()], {
    partition_id: ['bigint', (producer) => producer.partitionId],
    producer_id: ['bigint', (producer) => producer.producerId],
    producer_epoch: ['bigint', (producer) => producer.producerEpoch],
    batches: ['bytea', packBatches],
    updated_at_ms: ['bigint', (producer) => producer.updatedAtMs],
  })
  await sql`
    insert into producers (partition_id, producer_id, producer_epoch, batches, updated_at_ms)
    select partition_id, producer_id, producer_epoch, batches, updated_at_ms from ${rows} as latest
    where true on conflict (partition_id, producer_id) do update set
      producer_epoch = excluded.producer_epoch, batches = excluded.batches, updated_at_ms = excluded.updated_at_ms
  `.execute(db)
}

export async function loadProducers({ db, dialect }: Session, partitionIds: readonly number[]): Promise<ProducerRow[]> {
  const wanted = rowSet(dialect, partitionIds, { id: ['bigint', (id) => id] })
  const { rows } = await sql<Selectable<ProducersTable>>`
    select * from producers where partition_id in (select id from ${wanted} as wanted) order by partition_id, producer_id
  `.execute(db)
  return rows.map((row) => ({
    partitionId: row.partition_id,
    producerId: row.producer_id,
    producerEpoch: row.producer_epoch,
    batches: unpackBatches(row),
    updatedAtMs: row.updated_at_ms,
  }))
}

/** An answer that is lost leaves its ids unused. */
export async function allocateProducerIds(db: Kysely<Schema>, count: number): Promise<number> {
  const { next_value } = await db
    .updateTable('log_counters')
    .set(({ eb }) => ({ next_value: eb('next_value', '+', count) }))
    .where('name', '=', 'producer-id')
    .returning('next_value')
    .executeTakeFirstOrThrow()
  return next_value - count
}

/** Goes through the table in pages: it has no index on the time, which every commit would have to keep. */
export async function expireProducers(database: Database, { updatedBeforeMs }: { updatedBeforeMs: number }): Promise<number> {
  let count = 0
  let after = { partition_id: -1, producer_id: -1 }
  await inSteps(database, async ({ db }) => {
    const page = sql`(
      select partition_id, producer_id from producers
      where (partition_id, producer_id) > (${after.partition_id}, ${after.producer_id})
      order by partition_id, producer_id limit ${rowsPerStep}
    )`
    const { rows } = await sql<typeof after>`select * from ${page} as page order by partition_id, producer_id`.execute(db)
    const last = rows.at(-1)
    if (!last) return 'done'
    const expired = await sql`
      delete from producers
      where (partition_id, producer_id) in ${page} and updated_at_ms < ${updatedBeforeMs}
      returning producer_id
    `.execute(db)
    count += expired.rows.length
    after = last
    return 'more'
  })
  return count
}

/** First and last sequence, base offset, last offset, time of each batch; the last three as differences to the batch before. */
function packBatches({ batches }: ProducerRow): Buffer {
  let before = { baseOffset: 0, lastOffset: 0, timestampMs: 0 }
  const values: number[] = []
  for (const batch of batches) {
    values.push(
      batch.firstSequence,
      batch.lastSequence,
      batch.baseOffset - before.baseOffset,
      batch.lastOffset - before.lastOffset,
      batch.timestampMs - before.timestampMs,
    )
    before = batch
  }
  return packIntegers(values)
}

function unpackBatches({ batches, partition_id, producer_id }: Selectable<ProducersTable>): ProducerBatch[] {
  const values = unpackIntegers(batches)
  if (values.length % 5 !== 0) {
    throw new AppError(
      'LOG_DAMAGED',
      `the batches of producer ${producer_id} in partition ${partition_id} are damaged; restore the database from a backup`,
    )
  }
  let before = { baseOffset: 0, lastOffset: 0, timestampMs: 0 }
  const unpacked: ProducerBatch[] = []
  for (let at = 0; at < values.length; at += 5) {
    const [firstSequence = 0, lastSequence = 0, baseOffset = 0, lastOffset = 0, timestampMs = 0] = values.slice(at, at + 5)
    before = {
      baseOffset: before.baseOffset + baseOffset,
      lastOffset: before.lastOffset + lastOffset,
      timestampMs: before.timestampMs + timestampMs,
    }
    unpacked.push({ firstSequence, lastSequence, ...before })
  }
  return unpacked
}
