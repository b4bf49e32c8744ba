import type { Kysely } from 'kysely'
import { Value } from 'typebox/value'
import { Type } from 'typebox'
import type { Schema } from '#store/sql/schema.ts'
import type { ClaimedTask, LeaseRef, WorkerRef } from '../job-store.ts'
import { taskKinds } from '../model.ts'

/** A task that a worker has now. */
export type Lease = Pick<ClaimedTask, 'id' | 'jobId' | 'kind' | 'rendition' | 'chunk' | 'fence'>

const kindSchema = Type.Enum([...taskKinds])

/** Undefined: the task is not this worker's, or no longer. */
export async function findLease(db: Kysely<Schema>, ref: WorkerRef & LeaseRef): Promise<Lease | undefined> {
  const row = await db
    .selectFrom('tasks')
    .select(['id', 'job_id', 'kind', 'rendition', 'chunk', 'fence'])
    .where('id', '=', ref.taskId)
    .where('fence', '=', ref.fence)
    .where('node_id', '=', ref.nodeId)
    .where('node_epoch', '=', ref.epoch)
    .where('state', '=', 'leased')
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { id, job_id: jobId, rendition, chunk, fence } = row
  return { id, jobId, kind: Value.Parse(kindSchema, row.kind), rendition, chunk, fence }
}
