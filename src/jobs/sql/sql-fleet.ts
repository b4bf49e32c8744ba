import type { Database } from '#store/sql/schema.ts'
import type { Effects, SchedulerPolicy } from '../job-store.ts'
import type { TaskClasses } from './sql-classes.ts'

/** What all operations of the store need. */
export type Fleet = { readonly database: Database; readonly policy: SchedulerPolicy; readonly classes: TaskClasses }

export const noEffects: Effects = { changes: [], readyCount: 0 }

export function mergeEffects(all: readonly Effects[]): Effects {
  return { changes: all.flatMap(({ changes }) => changes), readyCount: all.reduce((sum, { readyCount }) => sum + readyCount, 0) }
}
