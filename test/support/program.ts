import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from './temp-directory.ts'
import { until } from './until.ts'

const mainScript = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const keptLines = 400
const startTimeoutMs = 20_000
const stopTimeoutMs = 15_000

export type MillraceOptions = {
  /** What it does; `all` without a worker when absent. */
  readonly role?: 'all' | 'api' | 'worker'
  /** More arguments of `serve`. */
  readonly args?: readonly string[]
  /** Configuration, TOML. Ports and data directory are set over it. */
  readonly config?: string
  /** Variables over those that are set for every test; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Where it listens, as its log says; what its role does not have is absent. */
type Addresses = Readonly<Partial<Record<'api' | 'apiTls' | 'rtsp' | 'kafka' | 'grpc' | 'metrics' | 'worker', string>>>

/** Starts the real program on free ports of the loopback interface, with a data directory that is removed in the end. */
export async function startMillrace(options: MillraceOptions = {}): Promise<Millrace> {
  const millrace = new Millrace(await temporaryDirectory(), options)
  try {
    await millrace.start()
    return millrace
  } catch (error) {
    const output = millrace.output()
    await millrace[Symbol.asyncDispose]()
    throw new Error(`Millrace did not start:\n${output}`, { cause: error })
  }
}

/** Prints the program's log when the test fails; call it right after the start. */
export function showOutputOnFailure(test: TestContext, millrace: Pick<Millrace, 'output'>): void {
  test.after(() => {
    // @types/node 24 does not know `passed`.
    if (Reflect.get(test, 'passed') !== true) console.error(`--- output of Millrace in "${test.name}" ---\n${millrace.output()}`)
  })
}

/** The program under test, as a process. */
export class Millrace implements AsyncDisposable {
  /** Holds `millrace.toml` and `data`. */
  readonly directory: string
  readonly #temporary: AsyncDisposable
  readonly #options: MillraceOptions
  readonly #lines: string[] = []
  #running: { process: ChildProcess; closed: Promise<unknown>; guard: ChildProcess } | undefined
  #addresses: Addresses | undefined

  constructor(temporary: AsyncDisposable & { readonly path: string }, options: MillraceOptions) {
    this.#temporary = temporary
    this.directory = temporary.path
    this.#options = options
  }

  /** `http://127.0.0.1:<port>`: API, HLS, web application. */
  get url(): string {
    return this.#addressOf('api')
  }
  /** `https://127.0.0.1:<port>`: the same, where the configuration wants it. */
  get tlsUrl(): string {
    return this.#addressOf('apiTls')
  }
  /** `rtsp://127.0.0.1:<port>` */
  get rtspUrl(): string {
    return this.#addressOf('rtsp')
  }
  /** `http://127.0.0.1:<port>/metrics` */
  get metricsUrl(): string {
    return this.#addressOf('metrics')
  }
  /** Of a worker: `http://127.0.0.1:<port>`. */
  get workerUrl(): string {
    return this.#addressOf('worker')
  }
  /** `127.0.0.1:<port>` */
  get kafkaAddress(): string {
    return this.#addressOf('kafka')
  }
  /** `127.0.0.1:<port>` */
  get grpcAddress(): string {
    return this.#addressOf('grpc')
  }
  get process(): ChildProcess {
    if (!this.#running) throw new Error('Millrace does not run')
    return this.#running.process
  }

  /** The last lines of its log. */
  output(): string {
    return this.#lines.join('\n')
  }

  /** Starts it; the first time on any free ports, then on the same ones. Returns when it is ready. */
  async start(): Promise<void> {
    const file = join(this.directory, 'millrace.toml')
    await writeFile(file, this.#options.config ?? '', { mode: 0o600 })
    const child = spawn(process.execPath, [mainScript, 'serve', '--config', file, ...this.#arguments()], {
      cwd: this.directory,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#environment(),
    })
    let addresses: Addresses | undefined
    const take = (line: string) => {
      this.#keep(line)
      addresses ??= findAddresses(line)
    }
    createInterface({ input: child.stderr }).on('line', take)
    createInterface({ input: child.stdout }).on('line', take)
    this.#running = { process: child, closed: once(child, 'close'), guard: guardGroup(child) }
    await until(() => addresses ?? hasExited(child), { what: 'Millrace to be ready', timeoutMs: startTimeoutMs })
    if (!addresses) throw new Error(`Millrace ended with ${child.exitCode ?? child.signalCode} instead of starting`)
    this.#addresses = addresses
  }

  /** Sends a signal and waits until the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const running = this.#running
    if (!running) return
    running.process.kill(signal)
    const timer = setTimeout(() => running.process.kill('SIGKILL'), stopTimeoutMs)
    await running.closed
    clearTimeout(timer)
    running.guard.kill('SIGKILL')
    this.#running = undefined
  }

  /** Stops it in good order and starts it again, on the same ports and data. */
  async restart(): Promise<void> {
    await this.kill('SIGTERM')
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM')
    await this.#temporary[Symbol.asyncDispose]()
  }

  #addressOf(name: keyof Addresses): string {
    const address = this.#addresses?.[name]
    if (address === undefined) throw new Error(`Millrace has no address for "${name}": it has not started, or has another role`)
    return address
  }

  #arguments(): readonly string[] {
    const { role, args = [] } = this.#options
    return [...(role === undefined ? [] : ['--role', role]), ...args]
  }

  #environment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(MILLRACE_|NODE_|S3_|AWS_|OTEL_|DATABASE_URL$)/.test(name),
    )
    const portOf = (address: string | undefined) => /:(\d+)(\/|$)/.exec(address ?? '')?.[1] ?? '0'
    return {
      ...Object.fromEntries(inherited),
      MILLRACE_SERVER_DATA_DIRECTORY: join(this.directory, 'data'),
      MILLRACE_LOGGING_FORMAT: 'json',
      // Tests ask as often as they like; those of the limits set them.
      MILLRACE_API_REQUESTS_PER_SECOND: '0',
      MILLRACE_API_PORT: portOf(this.#addresses?.api),
      MILLRACE_RTSP_PORT: portOf(this.#addresses?.rtsp),
      MILLRACE_RTSP_RTP_PORT: '0',
      MILLRACE_KAFKA_PORT: portOf(this.#addresses?.kafka),
      MILLRACE_GRPC_PORT: portOf(this.#addresses?.grpc),
      MILLRACE_METRICS_PORT: portOf(this.#addresses?.metrics),
      MILLRACE_WORKER_METRICS_PORT: portOf(this.#addresses?.worker),
      MILLRACE_WORKER_ENABLED: String(this.#options.role === 'worker'),
      MILLRACE_WORKER_DRAIN_SECONDS: '1',
      ...this.#options.env,
    }
  }

  #keep(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > keptLines) this.#lines.shift()
  }
}

/** The line that says that it runs, and where. */
function findAddresses(line: string): Addresses | undefined {
  if (!line.includes('"millrace is running"')) return undefined
  const addresses: Addresses = JSON.parse(line)
  return addresses
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** Kills the program's process group when this process dies, however it does: its end of the pipe closes then. */
function guardGroup({ pid }: ChildProcess): ChildProcess {
  return spawn('/bin/sh', ['-c', `read -r _; kill -s KILL -- -${pid}`], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
}
