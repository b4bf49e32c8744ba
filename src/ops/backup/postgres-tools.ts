import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { AppError } from '#lib/errors.ts'
import { digestFile } from './digest.ts'
import type { BackupMigration } from './manifest.ts'
import type { CopiedDatabase } from './sqlite-copy.ts'

/** Of what a tool says when it fails. */
const mostShownCharacters = 600

/** Dumps the schema that Millrace has, `public`, with `pg_dump`. Throws `BACKUP_TOOL_MISSING` and `BACKUP_TOOL_FAILED`. */
export async function dumpPostgres(
  { url, target }: { url: string; target: string },
  signal: AbortSignal,
): Promise<CopiedDatabase> {
  await using file = await open(target, 'wx', 0o600)
  await runTool('pg_dump', ['--format=custom', '--schema=public', '--no-owner', '--no-privileges', `--file=${target}`], {
    url,
    signal,
  })
  await file.sync()
  return { ...digestFile(target), migrations: await loadDumpMigrations(target, signal) }
}

/** The migrations in a dump; reads no other table. Throws as `dumpPostgres`. */
export async function loadDumpMigrations(path: string, signal: AbortSignal): Promise<BackupMigration[]> {
  const script = await runTool('pg_restore', ['--data-only', '--table=schema_migrations', '--file=-', path], { signal })
  const [, rows = ''] = /^COPY [^\n]*schema_migrations \(id, name, applied_at\) FROM stdin;\n([^]*?)^\\\.$/m.exec(script) ?? []
  return rows
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => row.split('\t'))
    .map(([id, name = '']) => ({ id: Number(id), name }))
}

/** Reads a dump to its end. Throws `BACKUP_TOOL_FAILED` for one that is damaged. */
export async function checkDump(path: string, signal: AbortSignal): Promise<void> {
  await runTool('pg_restore', ['--file=/dev/null', path], { signal })
}

/**
 * Puts a dump in the place of the schema `public`, which stays under the name `aside`. All in one transaction: what fails changes nothing. Throws
 * `DATABASE_IN_USE` while somebody else is connected to the database.
 */
export async function restorePostgres(
  { url, source, aside }: { url: string; source: string; aside: string },
  signal: AbortSignal,
): Promise<void> {
  const others = `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`
  const count = await runTool('psql', ['--no-psqlrc', '--tuples-only', '--no-align', `--command=${others}`], { url, signal })
  if (count.trim() !== '0') {
    throw new AppError(
      'DATABASE_IN_USE',
      `${count.trim()} others are connected to the database; stop all servers first, then restore`,
    )
  }
  const reading = startTool('pg_restore', ['--schema=public', '--no-owner', '--no-privileges', '--file=-', source], { signal })
  const writing = startTool('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1'], { url, signal })
  // Input that ends before its commit changes nothing.
  async function* script(): AsyncGenerator<string | Buffer> {
    yield `begin;\nalter schema public rename to "${aside}";\ncreate schema public;\n`
    yield* reading.child.stdout
    await reading.ended
    yield '\ncommit;\n'
  }
  const [fed, written] = await Promise.allSettled([
    pipeline(script, writing.child.stdin),
    Promise.all([writing.ended, text(writing.child.stdout)]),
  ])
  reading.child.kill()
  // When the reader of a pipe fails, the writer does too.
  for (const outcome of [written, fed]) if (outcome.status === 'rejected') throw outcome.reason
}

type ToolOptions = { readonly url?: string; readonly signal: AbortSignal }

/** What a tool prints. */
async function runTool(name: string, flags: readonly string[], options: ToolOptions): Promise<string> {
  const { child, ended } = startTool(name, flags, options)
  child.stdin.end()
  const [output] = await Promise.all([text(child.stdout), ended])
  return output
}

/** The password goes through the environment: other users of the machine see command lines. */
function startTool(name: string, flags: readonly string[], { url, signal }: ToolOptions) {
  const { database, password } = url === undefined ? {} : splitPassword(url)
  const child = spawn(name, [...flags, ...(database === undefined ? [] : [`--dbname=${database}`])], {
    env: { ...process.env, ...(password === undefined ? {} : { PGPASSWORD: password }) },
    signal,
  })
  // Whoever reads too little ends the pipe; the exit code says what happened.
  child.stdin.on('error', () => {})
  const said = text(child.stderr)
  const ended = waitForEnd(name, { child, said })
  ended.catch(() => {})
  return { child, ended }
}

async function waitForEnd(
  name: string,
  { child, said }: { child: ReturnType<typeof spawn>; said: Promise<string> },
): Promise<void> {
  const [code] = await once(child, 'close').catch((error: unknown) => {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing) throw error
    throw new AppError(
      'BACKUP_TOOL_MISSING',
      `${name} is not on the path; install the client programs of PostgreSQL (Debian: postgresql-client) in the version of the server`,
    )
  })
  if (code === 0) return
  throw new AppError('BACKUP_TOOL_FAILED', `${name} failed: ${(await said).trim().slice(0, mostShownCharacters)}`)
}

function splitPassword(url: string): { database: string; password?: string } {
  const parsed = new URL(url)
  const password = decodeURIComponent(parsed.password)
  parsed.password = ''
  return { database: parsed.href, ...(password === '' ? {} : { password }) }
}
