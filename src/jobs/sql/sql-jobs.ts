/** Reads of jobs and of what belongs to them. */
import { sql } from 'kysely'
import type { Kysely } from 'kysely'
import type { Schema } from '#store/sql/schema.ts'
import type { JobQuery } from '../job-store.ts'
import type { AttemptRow, JobId, JobRow, TaskRow } from '../model.ts'
import { cleanText, parseJson, parseTaskKind, toAttempt, toJob, toTask } from './sql-rows.ts'

export async function findJob(db: Kysely<Schema>, id: JobId): Promise<JobRow | undefined> {
  const row = await jobs(db).where('jobs.id', '=', cleanText(id)).executeTakeFirst()
  return row && toJob(row)
}

export async function findJobByKey(
  db: Kysely<Schema>,
  { tenant, idempotencyKey }: { tenant: string; idempotencyKey: string },
): Promise<JobRow | undefined> {
  const row = await jobs(db).where('tenant', '=', tenant).where('idempotency_key', '=', idempotencyKey).executeTakeFirst()
  return row && toJob(row)
}

export async function listJobs(db: Kysely<Schema>, query: JobQuery): Promise<JobRow[]> {
  const { states, queue, tenant, scenario, search, before, limit } = query
  let found = jobs(db).orderBy('sequence', 'desc').limit(limit)
  if (states) found = found.where('state', 'in', states.length > 0 ? states : [''])
  if (queue !== undefined) found = found.where('queue', '=', queue)
  if (tenant !== undefined) found = found.where('tenant', '=', cleanText(tenant))
  if (scenario !== undefined) found = found.where('scenario', '=', cleanText(scenario))
  if (before !== undefined) found = found.where('sequence', '<', before)
  if (search !== undefined && search !== '') {
    const pattern = `%${cleanText(search).replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
    found = found.where(
      sql<boolean>`(lower(jobs.id) like lower(${pattern}) escape '\\' or lower(label) like lower(${pattern}) escape '\\')`,
    )
  }
  return (await found.execute()).map(toJob)
}

export async function listTasks(db: Kysely<Schema>, jobId: JobId): Promise<TaskRow[]> {
  const rows = await db
    .selectFrom('tasks')
    .innerJoin('task_classes', 'task_classes.id', 'tasks.class_id')
    .selectAll('tasks')
    .select('needs')
    .where('job_id', '=', jobId)
    .orderBy('tasks.id')
    .execute()
  return rows.map(toTask)
}

export async function listAttempts(db: Kysely<Schema>, jobId: JobId): Promise<AttemptRow[]> {
  const rows = await db
    .selectFrom('attempts')
    .innerJoin('tasks', 'tasks.id', 'attempts.task_id')
    .selectAll('attempts')
    .select(['kind', 'rendition', 'chunk'])
    .where('job_id', '=', jobId)
    .orderBy('ended_at_ms')
    .orderBy('task_id')
    .orderBy('attempts.fence')
    .execute()
  return rows.map(toAttempt)
}

export async function outputsOf(
  db: Kysely<Schema>,
  jobId: JobId,
): Promise<Pick<TaskRow, 'id' | 'kind' | 'rendition' | 'chunk' | 'output'>[]> {
  const rows = await db
    .selectFrom('tasks')
    .select(['id', 'kind', 'rendition', 'chunk', 'output'])
    .where('job_id', '=', jobId)
    .where('state', '=', 'done')
    .orderBy('kind')
    .orderBy('rendition')
    .orderBy('chunk')
    .execute()
  return rows.map((row) => ({ ...row, kind: parseTaskKind(row.kind), output: parseJson(row.output) }))
}

function jobs(db: Kysely<Schema>) {
  return db
    .selectFrom('jobs')
    .innerJoin('job_documents', 'job_documents.job_id', 'jobs.id')
    .selectAll('jobs')
    .select(['input', 'plan', 'result'])
}
