import type { Generated, GeneratedAlways } from 'kysely'

/** Tables of the job fleet. Times are milliseconds since the epoch by the database's clock; JSON is text; flags are 0 or 1. */
export type JobsSchema = {
  jobs: JobsTable
  job_documents: JobDocumentsTable
  task_classes: TaskClassesTable
  tasks: TasksTable
  task_deps: TaskDepsTable
  attempts: AttemptsTable
  nodes: NodesTable
  fair_shares: FairSharesTable
  duties: DutiesTable
  scenarios: ScenariosTable
  job_log_lines: JobLogLinesTable
}

/** What changes while a job runs. Its documents are apart, so that a change of a counter never writes them again. */
export type JobsTable = {
  sequence: GeneratedAlways<number>
  id: string
  tenant: string
  scenario: string
  queue: string
  priority: string
  state: string
  generation: number
  label: string | null
  idempotency_key: string | null
  error_code: string | null
  error_message: string | null
  is_cancel_requested: number
  /** Kept for a retry, which gets as much time again. */
  deadline_ms: number | null
  deadline_at_ms: number | null
  created_at_ms: number
  /** Of this generation: the first claim. */
  started_at_ms: number | null
  finished_at_ms: number | null
  task_count: number
  done_count: number
  /** Tasks that are with a worker. */
  leased_count: number
  frames: number
  total_frames: number
  /** Of the request that submitted it, as W3C Trace Context has it; null: it was not traced. */
  traceparent: string | null
  /** Of intermediate objects, once the job is over. */
  cleanup: Generated<'none' | 'begun' | 'done'>
}

type JobDocumentsTable = {
  job_id: string
  input: string
  plan: string | null
  result: string | null
}

/** Sets of capabilities that tasks need. They are few, and never removed. */
type TaskClassesTable = {
  id: GeneratedAlways<number>
  /** JSON: an array of names, sorted. */
  needs: string
}

export type TasksTable = {
  id: GeneratedAlways<number>
  job_id: string
  kind: string
  rendition: string
  chunk: number
  class_id: number
  /** As the job was submitted. */
  base_rank: number
  /** Lower after waiting. */
  rank: number
  /** Start tag of the fair queueing between tenants, comparable within a rank. */
  fair_key: number
  cost: number
  state: string
  /** 0: ready, but not before `run_after_ms`. */
  is_due: number
  /** Parents that are not done. */
  deps_left: number
  attempt: number
  lost_count: number
  fence: number
  node_id: string | null
  node_epoch: number | null
  /** Slots of the node that the present attempt takes; 0 without one. */
  held_slots: number
  frames: number
  total_frames: number
  speed: number
  /** Since when it is ready. */
  run_after_ms: number
  /** When it became ready, or last gained a rank. */
  aged_at_ms: number
  leased_at_ms: number | null
  /** When its worker last said that it has it. */
  held_at_ms: number | null
  /** When its frames last moved. */
  progress_at_ms: number | null
  finished_at_ms: number | null
  output: string | null
  error_code: string | null
  error_message: string | null
}

type TaskDepsTable = {
  parent_id: number
  child_id: number
}

export type AttemptsTable = {
  task_id: number
  fence: number
  node_id: string
  outcome: string
  error_code: string | null
  error_message: string | null
  started_at_ms: number
  ended_at_ms: number
}

export type NodesTable = {
  id: string
  name: string
  version: string
  /** JSON: an array of names. */
  roles: string
  state: string
  epoch: number
  slots: number
  live_reserve: number
  /** Always the sum of `held_slots` of the tasks that this epoch of the node has. */
  used_slots: number
  /** The part of `used_slots` that live jobs take. */
  live_slots: number
  /** JSON: an array of names. */
  capabilities: string
  /** JSON of `NodeLoad`. */
  load: string | null
  registered_at_ms: number
  seen_at_ms: number
  lease_until_ms: number
}

/** How far each tenant is in the fair queueing of a rank. */
type FairSharesTable = {
  tenant: string
  rank: number
  finish: number
}

type DutiesTable = {
  name: string
  holder: string
  term: number
  expires_at_ms: number
}

/** Scenarios that were made by the API. */
export type ScenariosTable = {
  name: string
  /** JSON of `Scenario`. */
  spec: string
  created_at_ms: number
  updated_at_ms: number
}

export type JobLogLinesTable = {
  id: GeneratedAlways<number>
  job_id: string
  task_id: number
  at_ms: number
  level: string
  text: string
}
