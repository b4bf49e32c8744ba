import type { JobId, JobState } from '../model.ts'
import { outPrefix, workPrefix } from './job-objects.ts'
import { findResult } from './stored-values.ts'

/** What this needs of the object store. */
export interface CleanedObjects {
  list(options: { prefix: string; after?: string; limit?: number }): Promise<{
    readonly objects: readonly { readonly key: string }[]
    readonly next?: string
  }>
  deleteMany(keys: readonly string[]): Promise<void>
}

/** What this needs of the store of jobs. */
interface CleanedStore {
  findUncleaned(limit: number): Promise<readonly { readonly id: JobId; readonly state: JobState; readonly result: unknown }[]>
  markCleaned(ids: readonly JobId[]): Promise<void>
  prune(request: { readonly finishedBeforeMs: number; readonly limit: number }): Promise<readonly JobId[]>
  nowMs(): Promise<number>
}

type Deps = { readonly store: CleanedStore; readonly objects: CleanedObjects }

const jobsAtOnce = 50

/** Removes objects that nobody reads any more, of jobs that are over: what tasks handed to one another, and what attempts wrote that did not count. */
export async function cleanJobs({ store, objects }: Deps): Promise<void> {
  for (;;) {
    const jobs = await store.findUncleaned(jobsAtOnce)
    for (const { id, result } of jobs) {
      await removeBelow(objects, workPrefix(id))
      await removeBelow(objects, outPrefix(id), { except: findResult(result)?.prefix })
    }
    if (jobs.length > 0) await store.markCleaned(jobs.map(({ id }) => id))
    if (jobs.length < jobsAtOnce) return
  }
}

/** Forgets jobs that have been over for long. What they published stays. */
export async function pruneJobs({ store, objects }: Deps, { retentionMs }: { readonly retentionMs: number }): Promise<void> {
  const finishedBeforeMs = (await store.nowMs()) - retentionMs
  for (;;) {
    const ids = await store.prune({ finishedBeforeMs, limit: jobsAtOnce })
    // With a short retention it is forgotten before it is cleaned.
    for (const id of ids) await removeBelow(objects, workPrefix(id))
    if (ids.length < jobsAtOnce) return
  }
}

async function removeBelow(
  objects: CleanedObjects,
  prefix: string,
  { except }: { except?: string | undefined } = {},
): Promise<void> {
  let after: string | undefined
  do {
    const page = await objects.list({ prefix, ...(after === undefined ? {} : { after }) })
    const keys = page.objects.map(({ key }) => key).filter((key) => except === undefined || !key.startsWith(except))
    if (keys.length > 0) await objects.deleteMany(keys)
    after = page.next
  } while (after !== undefined)
}
