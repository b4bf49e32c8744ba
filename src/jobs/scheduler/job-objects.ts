/**
 * Where files of jobs lie in the object store. Each attempt has a folder of its own, so that two that take themselves for the owner never write the same
 * object; the database says which one counts.
 *
 *   jobs/<job>/work/<task>.<fence>/<name>   what tasks hand to one another
 *   jobs/<job>/out/<fence>/<name>           what is published
 *   sources/<id>/<name>                     what users uploaded
 */
import type { ClaimedTask } from '../job-store.ts'
import type { JobId } from '../model.ts'

type Attempt = Pick<ClaimedTask, 'id' | 'jobId' | 'kind' | 'fence'>

/** Ends with "/". */
export function attemptPrefix({ id, jobId, kind, fence }: Attempt): string {
  return kind === 'package' ? `${outPrefix(jobId)}${fence}/` : `${workPrefix(jobId)}${id}.${fence}/`
}

/** Ends with "/". */
export function workPrefix(jobId: JobId): string {
  return `jobs/${jobId}/work/`
}

/** Ends with "/". */
export function outPrefix(jobId: JobId): string {
  return `jobs/${jobId}/out/`
}

const sourcesPrefix = 'sources/'

/** Key of an uploaded source: what the user called it, without what may not stand in a key. */
export function sourceKey({ id, name }: { readonly id: string; readonly name: string }): string {
  const plain = name.replaceAll(/[^a-zA-Z0-9._-]+/g, '_').replace(/^[._-]+/, '')
  return `${sourcesPrefix}${id}/${plain.slice(-100).replace(/^[._-]+/, '') || 'source'}`
}

/** Whether an object is one of those: nothing else may be written by upload. */
export function isSourceKey(key: string): boolean {
  return /^sources\/[0-9a-z]{1,40}\/[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/.test(key)
}
