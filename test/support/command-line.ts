import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Millrace } from './program.ts'

const mainScript = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const mostOutputBytes = 16 * 1024 * 1024

export type CommandOutcome = { readonly code: number | string; readonly output: string; readonly errors: string }

/** Runs a command as its user does, against this server, and returns when it has ended: `await runCommand(server, ['jobs', 'list'])`. */
export async function runCommand({ url }: Pick<Millrace, 'url'>, argv: readonly string[]): Promise<CommandOutcome> {
  const options = { env: { ...process.env, MILLRACE_URL: url }, maxBuffer: mostOutputBytes }
  return await new Promise((resolve) => {
    execFile(process.execPath, [mainScript, ...argv], options, (error, output, errors) => {
      resolve({ code: error ? (error.code ?? error.signal ?? 1) : 0, output, errors })
    })
  })
}
