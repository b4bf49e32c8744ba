import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { createInterface } from 'node:readline'
import { ensureProgram } from './ensure-program.ts'
import { until } from './until.ts'

/** Generous: the machine may be busy. */
const patienceMs = 60_000
const keptLines = 200_000
const endTimeoutMs = 10_000

export type KcatResult = { readonly stdout: string; readonly stderr: string; readonly code: number | null }
type Where = { readonly brokers: string }

/** Runs kcat (librdkafka) to its end and gives what it printed. */
export async function runKcat({ brokers }: Where, args: readonly string[], input: string | Buffer = ''): Promise<KcatResult> {
  const child = await spawnKcat(brokers, args)
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  const closed = once(child, 'close')
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const [stdout, stderr] = await Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (stream ? await text(stream) : '')),
  )
  await closed
  clearTimeout(timer)
  return { stdout: stdout ?? '', stderr: stderr ?? '', code: child.exitCode }
}

/** The same where nothing may go wrong: the lines of standard output. */
export async function kcat(where: Where, args: readonly string[], input?: string | Buffer): Promise<string[]> {
  const { stdout, stderr, code } = await runKcat(where, args, input)
  if (code !== 0) throw new Error(`kcat ${args.join(' ')} ended with ${String(code)}:\n${stderr}`)
  return linesOf(stdout)
}

/** kcat as it runs on, such as a member of a group; what it prints is kept. */
export class KcatProcess implements AsyncDisposable {
  readonly lines: string[] = []
  /** What it says about itself: rebalances, the ends of partitions, errors. */
  readonly messages: string[] = []
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#closed = once(child, 'close')
    child.stdin?.on('error', () => undefined)
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => keep(this.lines, line))
    if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => keep(this.messages, line))
  }

  static async start({ brokers }: Where, args: readonly string[]): Promise<KcatProcess> {
    return new KcatProcess(await spawnKcat(brokers, args))
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Waits until so many lines have come, or it says something. */
  async until(isSo: (kcat: KcatProcess) => boolean, what: string): Promise<void> {
    await until(() => isSo(this) || this.hasEnded, { what, timeoutMs: patienceMs }).catch((error: unknown) => {
      throw new Error(`${this.lines.length} lines, and it said:\n${this.messages.slice(-20).join('\n')}`, { cause: error })
    })
    if (!isSo(this)) throw new Error(`kcat ended before: ${what}\n${this.messages.join('\n')}`)
  }

  /** SIGTERM: it leaves its group in good order. SIGKILL: it does not. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endTimeoutMs)
    await this.#closed
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.kill('SIGKILL')
    await this.#closed
  }
}

async function spawnKcat(brokers: string, args: readonly string[]): Promise<ChildProcess> {
  const program = await ensureProgram({ command: 'kcat', debianPackage: 'kcat' })
  return spawn(program, ['-b', brokers, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
}

function keep(lines: string[], line: string): void {
  lines.push(line)
  if (lines.length > keptLines) lines.shift()
}

function linesOf(output: string): string[] {
  return output === '' ? [] : output.replace(/\n$/, '').split('\n')
}
