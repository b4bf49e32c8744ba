/** What holds in a fleet whatever broke: asked of the database and of the object store after each fault. */
import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { findResult } from '#jobs/scheduler/stored-values.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import { until } from './until.ts'

type Fleet = { readonly database: Database; readonly objects: Pick<ObjectStore, 'head'> }

/** A worker whose lease was over a moment ago still has its tasks. */
const graceMs = 5000
const isOver = sql`state in ('completed', 'failed', 'timed_out', 'canceled', 'rejected')`

/** Each rule is one statement, and so true of one moment; it gives back who breaks it. */
const rules = {
  'counters of a job are those of its tasks': sql`
    select id from jobs where task_count <> (select count(*) from tasks where job_id = jobs.id)
      or done_count <> (select count(*) from tasks where job_id = jobs.id and state = 'done')
      or leased_count <> (select count(*) from tasks where job_id = jobs.id and state = 'leased')`,
  'used slots of a node are those of its tasks': sql`
    select id from nodes where used_slots <> (
      select coalesce(sum(held_slots), 0) from tasks where node_id = nodes.id and node_epoch = nodes.epoch and state = 'leased')`,
  'live slots of a node are those of its live tasks': sql`
    select id from nodes where live_slots <> (
      select coalesce(sum(held_slots), 0) from tasks
      where node_id = nodes.id and node_epoch = nodes.epoch and state = 'leased' and base_rank < 3)`,
  'a task that is leased has a live worker': sql`
    select tasks.id from tasks left join nodes on nodes.id = node_id and nodes.epoch = node_epoch
    where tasks.state = 'leased' and (nodes.id is null or lease_until_ms < (select max(seen_at_ms) from nodes) - ${sql.lit(graceMs)})`,
  'deps_left counts the parents that are not done': sql`
    select id from tasks where deps_left <> (
      select count(*) from task_deps join tasks as parents on parents.id = parent_id
      where child_id = tasks.id and parents.state <> 'done')`,
  'each claim has one attempt': sql`
    select id from tasks where fence - (case when state = 'leased' then 1 else 0 end) <> (
      select count(*) from attempts where task_id = tasks.id)`,
  'the last attempt of a done task is the one that counted': sql`
    select id from tasks where state = 'done' and not exists (
      select 1 from attempts where task_id = tasks.id and attempts.fence = tasks.fence and outcome = 'done')`,
  'a job is published once when it completes, and else never': sql`
    select jobs.id from jobs join job_documents on job_documents.job_id = jobs.id
    where (case when state = 'completed' then 1 else 0 end) <> (
      select count(*) from attempts join tasks on tasks.id = task_id
      where tasks.job_id = jobs.id and tasks.kind = 'package' and outcome = 'done')
      or (state = 'completed') <> (result is not null)`,
  'a job that completed has all its tasks done': sql`
    select id from jobs where state = 'completed' and done_count <> task_count`,
  'nothing of a job that is over waits': sql`
    select tasks.id from tasks join jobs on jobs.id = job_id
    where tasks.state in ('ready', 'blocked') and jobs.finished_at_ms is not null`,
  'a job has an end when it is over': sql`
    select id from jobs where (${isOver}) <> (finished_at_ms is not null)`,
}

type Expected = {
  /** Jobs that somebody was told of: they must be there. */
  readonly submitted: readonly string[]
  /** Jobs whose published files were taken away from outside. */
  readonly robbed?: readonly string[]
}

/** Waits until nobody works any more, then checks every rule. */
export async function checkFleetAtRest(fleet: Fleet, { submitted, robbed = [] }: Expected): Promise<void> {
  const { db } = fleet.database
  const isAtRest = async (): Promise<boolean> => {
    const { leased } = await db
      .selectFrom('tasks')
      .select(({ fn }) => fn.countAll<number>().as('leased'))
      .where('state', '=', 'leased')
      .executeTakeFirstOrThrow()
    return Number(leased) === 0
  }
  await until(isAtRest, { what: 'all leases to end', timeoutMs: 30_000 })
  assert.deepEqual(await findFleetProblems(fleet, robbed), [])
  const used = await db.selectFrom('nodes').select('id').where('used_slots', '>', 0).execute()
  assert.deepEqual(used, [], 'slots return to zero')
  const known = await db.selectFrom('jobs').select('id').where('id', 'in', submitted).execute()
  assert.equal(known.length, submitted.length, 'no job is lost')
}

/** Rules that do not hold now, and published files that are not there. */
async function findFleetProblems({ database, objects }: Fleet, robbed: readonly string[]): Promise<readonly string[]> {
  const problems: string[] = []
  for (const [rule, query] of Object.entries(rules)) {
    const { rows } = await query.execute(database.db)
    if (rows.length > 0) problems.push(`broken: ${rule}: ${JSON.stringify(rows)}`)
  }
  return [...problems, ...(await findMissingFiles({ database, objects }, robbed))]
}

async function findMissingFiles({ database: { db }, objects }: Fleet, robbed: readonly string[]): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('jobs')
    .innerJoin('job_documents', 'job_id', 'id')
    .select(['id', 'result'])
    .where('state', '=', 'completed')
    .execute()
  const missing: string[] = []
  for (const { id, result: text } of rows.filter((row) => !robbed.includes(row.id))) {
    const result = findResult(JSON.parse(text ?? 'null'))
    if (!result?.files.some(({ name }) => name === result.entry))
      missing.push(`job ${id} has published nothing that can be played`)
    for (const { name, sizeBytes } of result?.files ?? []) {
      const found = await objects.head(`${result?.prefix}${name}`).catch(() => undefined)
      if (found?.sizeBytes !== sizeBytes) missing.push(`job ${id}: "${name}" has ${found?.sizeBytes} bytes, not ${sizeBytes}`)
    }
  }
  return missing
}
