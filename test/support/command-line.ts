import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Millrace } from './program.ts'

const mainScript = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const mostOutputBytes = 16 * 1024 * 1024

export type CommandOutcome = { readonly code: number | string; readonly output: string; readonly errors: string }

/** A command that runs; disposing kills it. */
export type RunningCommand = AsyncDisposable & {
  /** What it has printed so far. */
  readonly output: () => string
  readonly ended: Promise<CommandOutcome>
}

/** Runs a command as its user does, against this server, and returns when it has ended: `await runCommand(server, ['jobs', 'list'])`. */
export async function runCommand(server: Pick<Millrace, 'url'>, argv: readonly string[]): Promise<CommandOutcome> {
  return await startCommand(server, argv).ended
}

/** Starts a command that goes on beside the test: `await using watch = startCommand(server, ['jobs', 'watch', id])`. */
export function startCommand({ url }: Pick<Millrace, 'url'>, argv: readonly string[]): RunningCommand {
  const options = { env: { ...process.env, MILLRACE_URL: url }, maxBuffer: mostOutputBytes }
  const { promise: ended, resolve } = Promise.withResolvers<CommandOutcome>()
  const child = execFile(process.execPath, [mainScript, ...argv], options, (error, output, errors) => {
    resolve({ code: error ? (error.code ?? error.signal ?? 1) : 0, output, errors })
  })
  let shown = ''
  child.stdout?.on('data', (text: string) => void (shown += text))
  return {
    output: () => shown,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
