import { sql, type RawBuilder } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Dialect } from '#store/sql/schema.ts'
import type { AttemptOutcome } from '../model.ts'
import type { TaskLock } from './sql-locks.ts'

/** A task as it is to be; `output` undefined: it stays as it is. */
export type TaskWrite = TaskLock & { readonly output: string | null | undefined }
export type AttemptWrite = {
  readonly task: TaskLock
  readonly outcome: AttemptOutcome
  readonly code: string | null
  readonly message: string | null
}
export type SlotsWrite = { readonly nodeId: string; readonly used: number; readonly live: number }

/** Nothing, or one statement; so are those below. */
export function writeTasks(dialect: Dialect, tasks: readonly TaskWrite[]): RawBuilder<unknown>[] {
  if (tasks.length === 0) return []
  const changes = rowSet(dialect, tasks, {
    task_id: ['bigint', (task) => task.id],
    new_state: ['text', (task) => task.state],
    new_due: ['bigint', (task) => task.is_due],
    new_deps: ['bigint', (task) => task.deps_left],
    new_attempt: ['bigint', (task) => task.attempt],
    new_lost: ['bigint', (task) => task.lost_count],
    new_held: ['bigint', (task) => task.held_slots],
    new_frames: ['bigint', (task) => task.frames],
    new_speed: ['text', (task) => String(task.speed)],
    new_run_after: ['bigint', (task) => task.run_after_ms],
    new_aged_at: ['bigint', (task) => task.aged_at_ms],
    new_held_at: ['bigint', (task) => task.held_at_ms],
    new_progress_at: ['bigint', (task) => task.progress_at_ms],
    new_finished: ['bigint', (task) => task.finished_at_ms],
    has_output: ['bigint', (task) => (task.output === undefined ? 0 : 1)],
    new_output: ['text', (task) => task.output ?? null],
    new_error_code: ['text', (task) => task.error_code],
    new_error_message: ['text', (task) => task.error_message],
  })
  const write = sql`
    update tasks set state = new_state, is_due = new_due, deps_left = new_deps, attempt = new_attempt, lost_count = new_lost,
      held_slots = new_held, frames = new_frames, speed = cast(new_speed as double precision), run_after_ms = new_run_after,
      aged_at_ms = new_aged_at, held_at_ms = new_held_at, progress_at_ms = new_progress_at, finished_at_ms = new_finished,
      output = case when has_output = 1 then new_output else output end,
      error_code = new_error_code, error_message = new_error_message
    from ${changes} as changed where tasks.id = changed.task_id
  `
  return [write]
}

/** Attempts that ended. */
export function writeAttempts(dialect: Dialect, attempts: readonly AttemptWrite[], now: number): RawBuilder<unknown>[] {
  if (attempts.length === 0) return []
  const ended = rowSet(dialect, attempts, {
    task_id: ['bigint', ({ task }) => task.id],
    fence: ['bigint', ({ task }) => task.fence],
    node_id: ['text', ({ task }) => task.node_id ?? ''],
    outcome: ['text', ({ outcome }) => outcome],
    error_code: ['text', ({ code }) => code],
    error_message: ['text', ({ message }) => message],
    started_at_ms: ['bigint', ({ task }) => task.leased_at_ms ?? now],
  })
  const write = sql`
    insert into attempts (task_id, fence, node_id, outcome, error_code, error_message, started_at_ms, ended_at_ms)
    select task_id, fence, node_id, outcome, error_code, error_message, started_at_ms, cast(${now} as bigint) from ${ended} as ended
  `
  return [write]
}

export function writeSlots(dialect: Dialect, nodes: readonly SlotsWrite[]): RawBuilder<unknown>[] {
  if (nodes.length === 0) return []
  const changes = rowSet(dialect, nodes, {
    node_id: ['text', ({ nodeId }) => nodeId],
    new_used: ['bigint', ({ used }) => used],
    new_live: ['bigint', ({ live }) => live],
  })
  const write = sql`
    update nodes set used_slots = new_used, live_slots = new_live
    from ${changes} as changed where nodes.id = changed.node_id
  `
  return [write]
}
