/** Rows of the database as types of the model. */
import type { Selectable } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import type { AttemptsTable, JobsTable, NodesTable, TasksTable } from '#store/sql/schema-jobs.ts'
import {
  attemptOutcomes,
  jobStates,
  nodeStates,
  priorities,
  queues,
  taskKinds,
  taskStates,
  type AttemptRow,
  type JobRow,
  type NodeRow,
  type TaskRow,
} from '../model.ts'

export const parseJobState = oneOf('job state', jobStates)
export const parseQueue = oneOf('queue', queues)
export const parsePriority = oneOf('priority', priorities)
export const parseTaskKind = oneOf('task kind', taskKinds)
export const parseTaskState = oneOf('task state', taskStates)
export const parseNodeState = oneOf('node state', nodeStates)
const parseOutcome = oneOf('outcome', attemptOutcomes)

const namesSchema = Type.Array(Type.String())
const loadSchema = Type.Object({ cpuPercent: Type.Number(), memoryBytes: Type.Number(), freeDiskBytes: Type.Number() })

export type JobRecord = Selectable<JobsTable> & { input: string; plan: string | null; result: string | null }

export function toJob(row: JobRecord): JobRow {
  return {
    id: row.id,
    sequence: row.sequence,
    tenant: row.tenant,
    scenario: row.scenario,
    queue: parseQueue(row.queue),
    priority: parsePriority(row.priority),
    state: parseJobState(row.state),
    generation: row.generation,
    label: row.label ?? undefined,
    input: parseJson(row.input),
    plan: parseJson(row.plan),
    result: parseJson(row.result),
    errorCode: row.error_code ?? undefined,
    errorMessage: row.error_message ?? undefined,
    isCancelRequested: row.is_cancel_requested === 1,
    deadlineAtMs: row.deadline_at_ms ?? undefined,
    createdAtMs: row.created_at_ms,
    startedAtMs: row.started_at_ms ?? undefined,
    finishedAtMs: row.finished_at_ms ?? undefined,
    taskCount: row.task_count,
    doneCount: row.done_count,
    frames: row.frames,
    totalFrames: row.total_frames,
  }
}

export type TaskRecord = Selectable<TasksTable> & { needs: string }

export function toTask(row: TaskRecord): TaskRow {
  return {
    id: row.id,
    jobId: row.job_id,
    kind: parseTaskKind(row.kind),
    rendition: row.rendition,
    chunk: row.chunk,
    state: parseTaskState(row.state),
    rank: row.rank,
    cost: row.cost,
    needs: parseNames(row.needs),
    attempt: row.attempt,
    lostCount: row.lost_count,
    fence: row.fence,
    nodeId: row.node_id ?? undefined,
    frames: row.frames,
    totalFrames: row.total_frames,
    speed: row.speed,
    runAfterMs: row.run_after_ms,
    leasedAtMs: row.leased_at_ms ?? undefined,
    finishedAtMs: row.finished_at_ms ?? undefined,
    output: parseJson(row.output),
    errorCode: row.error_code ?? undefined,
    errorMessage: row.error_message ?? undefined,
  }
}

export type AttemptRecord = Selectable<AttemptsTable> & Pick<Selectable<TasksTable>, 'kind' | 'rendition' | 'chunk'>

export function toAttempt(row: AttemptRecord): AttemptRow {
  return {
    taskId: row.task_id,
    kind: parseTaskKind(row.kind),
    rendition: row.rendition,
    chunk: row.chunk,
    fence: row.fence,
    nodeId: row.node_id,
    outcome: parseOutcome(row.outcome),
    errorCode: row.error_code ?? undefined,
    errorMessage: row.error_message ?? undefined,
    startedAtMs: row.started_at_ms,
    endedAtMs: row.ended_at_ms,
  }
}

export function toNode(row: Selectable<NodesTable>): NodeRow {
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    roles: parseNames(row.roles),
    state: parseNodeState(row.state),
    epoch: row.epoch,
    slots: row.slots,
    usedSlots: row.used_slots,
    liveSlots: row.live_slots,
    capabilities: parseNames(row.capabilities),
    load: row.load === null ? undefined : Value.Parse(loadSchema, JSON.parse(row.load)),
    registeredAtMs: row.registered_at_ms,
    seenAtMs: row.seen_at_ms,
    leaseUntilMs: row.lease_until_ms,
  }
}

export function parseJson(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text)
}

/** `null` for what is absent. */
export function formatJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

/** Text as PostgreSQL takes it: its `text` has no zero character. */
export function cleanText(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}

function parseNames(json: string): string[] {
  return Value.Parse(namesSchema, JSON.parse(json))
}

function oneOf<Word extends string>(what: string, words: readonly Word[]): (text: string) => Word {
  const known = new Map<string, Word>(words.map((word) => [word, word]))
  return (text) => {
    const word = known.get(text)
    if (word !== undefined) return word
    throw new AppError(
      'INTERNAL',
      `the database has the ${what} "${text}", which this version does not know; run the newer version`,
    )
  }
}
