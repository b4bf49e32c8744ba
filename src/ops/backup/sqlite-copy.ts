import { Worker } from 'node:worker_threads'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import type { BackupMigration } from './manifest.ts'

export type CopiedDatabase = {
  readonly sizeBytes: number
  readonly sha256: string
  readonly migrations: readonly BackupMigration[]
}

/** What the thread says in the end. */
export type CopyAnswer =
  | ({ readonly kind: 'copied' } & CopiedDatabase)
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }

/**
 * Copies a SQLite database as it is at one moment, beside whoever writes to it, into a new file that is synced when this returns. In a thread of its own, so that
 * nobody waits for it. Throws `DISK_FULL`, `DATABASE_UNAVAILABLE`, and the reason of the signal.
 */
export async function copySqlite(
  { source, target }: { source: string; target: string },
  signal: AbortSignal,
): Promise<CopiedDatabase> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<CopyAnswer>()
  const thread = new Worker(new URL('./sqlite-copy-thread.ts', import.meta.url), { workerData: { source, target } })
  const abort = (): void => reject(signal.reason)
  thread.once('message', resolve)
  thread.once('error', reject)
  thread.once('exit', () => reject(new AppError('INTERNAL', 'the thread that copies the database ended without an answer')))
  signal.addEventListener('abort', abort)
  try {
    const answer = await promise
    if (answer.kind === 'failed') throw new AppError(answer.code, answer.message)
    return answer
  } finally {
    signal.removeEventListener('abort', abort)
    await thread.terminate()
  }
}
