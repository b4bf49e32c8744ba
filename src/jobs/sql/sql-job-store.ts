/**
 * `JobStore` in SQLite or PostgreSQL. Each operation locks what it touches (sql-locks.ts, always in one order), decides in memory, and writes each table
 * with one statement, however many rows they are.
 *
 *   sql-submit, sql-complete ─► sql-insert-tasks ─► sql-fair-shares, sql-classes
 *   sql-claim ─► sql-claimable, claim-choice
 *   sql-complete, sql-fail, sql-heartbeat, sql-lost (sweep, register), sql-retry
 *      └─► sql-task-ledger: what becomes of tasks (attempt-end) ─► sql-job-ledger: what follows for jobs (job-projection)
 *   sql-jobs, sql-nodes, sql-retention, sql-duties
 */
import type { Database } from '#store/sql/schema.ts'
import type { JobStore, SchedulerPolicy } from '../job-store.ts'
import { claimTasks } from './sql-claim.ts'
import { TaskClasses } from './sql-classes.ts'
import { completeTasks } from './sql-complete.ts'
import { age, forgiveOutage, loadCounts, takeDuty } from './sql-duties.ts'
import { failTask } from './sql-fail.ts'
import type { Fleet } from './sql-fleet.ts'
import { beat } from './sql-heartbeat.ts'
import { findJob, listAttempts, listJobs, listTasks, outputsOf } from './sql-jobs.ts'
import { listNodes, registerNode, removeNode, setNodeState } from './sql-nodes.ts'
import { findUncleaned, markCleaned, pruneJobs } from './sql-retention.ts'
import { cancelJob, retryJob } from './sql-retry.ts'
import { loadNowMs } from './sql-session.ts'
import { submitJob } from './sql-submit.ts'
import { sweep } from './sql-sweep.ts'

/** Intermediate objects of jobs that failed, timed out or were rejected stay so long for a retry. */
const keptWorkMs = 3_600_000

/** Jobs in a database that is open and migrated; the caller keeps the database and closes it. */
export function sqlJobStore(database: Database, policy: SchedulerPolicy, { keptMs = keptWorkMs } = {}): JobStore {
  const { db } = database
  const fleet: Fleet = { database, policy, classes: new TaskClasses(database) }
  return {
    submit: (job) => submitJob(fleet, job),
    findJob: (id) => findJob(db, id),
    listJobs: (query) => listJobs(db, query),
    listTasks: (jobId) => listTasks(db, jobId),
    listAttempts: (jobId) => listAttempts(db, jobId),
    outputsOf: (jobId) => outputsOf(db, jobId),
    cancel: (id) => cancelJob(fleet, id),
    retry: (id) => retryJob(fleet, id),
    prune: (request) => pruneJobs(fleet, request),
    findUncleaned: (limit) => findUncleaned(fleet, { limit, keptMs }),
    markCleaned: (ids) => markCleaned(fleet, ids),
    registerNode: (node) => registerNode(fleet, node),
    heartbeat: (heartbeat) => beat(fleet, heartbeat),
    listNodes: () => listNodes(db),
    setNodeState: (id, state) => setNodeState(db, id, state),
    removeNode: (id) => removeNode(fleet, id),
    claim: (request) => claimTasks(fleet, request),
    complete: (requests) => completeTasks(fleet, requests),
    fail: (request) => failTask(fleet, request),
    sweep: () => sweep(fleet),
    forgiveOutage: (leaseMs) => forgiveOutage(fleet, leaseMs),
    age: () => age(fleet),
    takeDuty: (request) => takeDuty(fleet, request),
    counts: () => loadCounts(fleet),
    nowMs: () => loadNowMs(database),
  }
}
