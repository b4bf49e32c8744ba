import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Type, type Static } from 'typebox'
import { Parse } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { migrationSchema } from './manifest.ts'

const copiedSchema = Type.Object({
  sizeBytes: Type.Integer(),
  sha256: Type.String(),
  migrations: Type.Array(migrationSchema),
})
export type CopiedDatabase = Static<typeof copiedSchema>

/** Codes that a copy fails with; any other fault is `INTERNAL`. */
const codeSchema = Type.Enum(['DISK_FULL', 'DATABASE_UNAVAILABLE', 'INTERNAL'])
const answerSchema = Type.Union([
  Type.Object({ kind: Type.Literal('copied'), copied: copiedSchema }),
  Type.Object({ kind: Type.Literal('failed'), code: codeSchema, message: Type.String() }),
])
/** What the process says in the end. */
export type CopyAnswer = Static<typeof answerSchema>

/** That SQLite is new in Node is no news. */
const nodeFlags = ['--disable-warning=ExperimentalWarning']

/**
 * Copies a SQLite database as it is at one moment, beside whoever writes to it, into a new file that is synced when this returns. In a process of its own: nobody
 * waits for it, and its memory goes with it (a thread left the server with 11 MB more two minutes later). Throws `DISK_FULL`, `DATABASE_UNAVAILABLE`, and the reason of the
 * signal.
 */
export async function copySqlite(
  { source, target }: { source: string; target: string },
  signal: AbortSignal,
): Promise<CopiedDatabase> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const script = fileURLToPath(new URL('./sqlite-copy-process.ts', import.meta.url))
  const child = fork(script, [source, target], { execArgv: nodeFlags, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = new Promise<void>((end) => child.once('close', () => end()))
  const abort = (): void => reject(signal.reason)
  child.once('message', resolve)
  child.once('error', reject)
  child.once('exit', () => reject(new AppError('INTERNAL', 'the process that copies the database ended without an answer')))
  signal.addEventListener('abort', abort)
  try {
    const answer = Parse(answerSchema, await promise)
    if (answer.kind === 'failed') throw new AppError(answer.code, answer.message)
    return answer.copied
  } finally {
    signal.removeEventListener('abort', abort)
    child.kill('SIGKILL')
    await ended
  }
}
