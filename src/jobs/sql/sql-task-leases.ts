import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Database } from '#store/sql/schema.ts'
import { GatheredReads } from '../gathered-reads.ts'
import type { ClaimedTask, JobPapers, LeaseRef, WorkerRef } from '../job-store.ts'
import { parseJson, parseTaskKind } from './sql-rows.ts'

/** A task that a worker has now, with what was asked of its job. */
export type Lease = Pick<ClaimedTask, 'id' | 'jobId' | 'kind' | 'rendition' | 'chunk' | 'fence'> &
  Pick<JobPapers, 'scenario' | 'input'>

type LeaseRow = {
  readonly position: number
  readonly id: number
  readonly job_id: string
  readonly kind: string
  readonly rendition: string
  readonly chunk: number
  readonly fence: number
  readonly scenario: string
  readonly input: string
}

/** Looks for leases, one query for all who ask at a time. */
export class TaskLeases {
  readonly #reads: GatheredReads<WorkerRef & LeaseRef, Lease | undefined>

  constructor(database: Pick<Database, 'db' | 'dialect'>) {
    this.#reads = new GatheredReads((refs) => findLeases(database, refs))
  }

  /** Undefined: the task is not this worker's, or no longer. */
  find(ref: WorkerRef & LeaseRef): Promise<Lease | undefined> {
    return this.#reads.get(ref)
  }
}

async function findLeases(
  { db, dialect }: Pick<Database, 'db' | 'dialect'>,
  refs: readonly (WorkerRef & LeaseRef)[],
): Promise<(Lease | undefined)[]> {
  const wanted = rowSet(
    dialect,
    refs.map((ref, position) => ({ ...ref, position })),
    {
      position: ['bigint', ({ position }) => position],
      task_id: ['bigint', ({ taskId }) => taskId],
      wanted_fence: ['bigint', ({ fence }) => fence],
      wanted_node: ['text', ({ nodeId }) => nodeId],
      wanted_epoch: ['bigint', ({ epoch }) => epoch],
    },
  )
  const { rows } = await sql<LeaseRow>`
    select position, tasks.id, tasks.job_id, kind, rendition, chunk, fence, scenario, input
    from ${wanted} as wanted
    join tasks on tasks.id = wanted.task_id and fence = wanted_fence and node_id = wanted_node and node_epoch = wanted_epoch
    join jobs on jobs.id = tasks.job_id join job_documents on job_documents.job_id = tasks.job_id
    where tasks.state = 'leased'
  `.execute(db)
  const leases = new Map(rows.map((row) => [row.position, toLease(row)]))
  return refs.map((_, position) => leases.get(position))
}

function toLease({ id, job_id: jobId, kind, rendition, chunk, fence, scenario, input }: LeaseRow): Lease {
  return { id, jobId, kind: parseTaskKind(kind), rendition, chunk, fence, scenario, input: parseJson(input) }
}
