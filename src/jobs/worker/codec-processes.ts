import { TranscodeProcess } from '#codec/transcoder.ts'
import type { Logger } from '#lib/log.ts'
import { silenceMs } from './codec-silence.ts'
import { loadMemoryBytes } from './process-limits.ts'
import { watchProcess, type RunContext } from './task-runner.ts'

/** So long a process waits for another task of its job. */
const defaultIdleMs = 5000
/** One that keeps more memory when its task is done is ended. */
const mostIdleBytes = 512 << 20

type Idle = { readonly jobId: string; readonly process: TranscodeProcess; readonly timer: NodeJS.Timeout }

/**
 * The codec processes of a worker. Each does tasks of one job, one after the other: what a source of somebody else does to its process is no matter to this
 * one. To start a process takes 0.12 s of a processor, four times in a job of one chunk. One whose task failed or was stopped is ended.
 */
export class CodecProcesses implements AsyncDisposable {
  readonly #log: Logger
  readonly #idleMs: number
  readonly #idle = new Set<Idle>()
  readonly #ending = new Set<Promise<void>>()
  #isClosed = false

  constructor({ log, idleMs = defaultIdleMs }: { log: Logger; idleMs?: number }) {
    this.#log = log
    this.#idleMs = idleMs
  }

  /** Processes that wait for a task. */
  get idleCount(): number {
    return this.#idle.size
  }

  /** Gives a task a process. `isLast`: no task of the job comes after this one, and the process is gone when the promise settles. */
  async run<T>(
    context: RunContext,
    work: (process: TranscodeProcess) => Promise<T>,
    { isLast = false }: { readonly isLast?: boolean } = {},
  ): Promise<T> {
    const { jobId } = context
    const process = this.#take(jobId) ?? new TranscodeProcess({ log: this.#log.child({ jobId }), silenceMs })
    let isKept = false
    try {
      watchProcess(process, context)
      const result = await work(process)
      isKept = !isLast && (await this.#isWorthKeeping(process))
      return result
    } finally {
      if (isKept) this.#keep({ jobId, process })
      else await process[Symbol.asyncDispose]()
    }
  }

  /** Ends those that wait; those at work end with their tasks. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const idle of this.#idle) this.#end(idle)
    await Promise.all(this.#ending)
  }

  #take(jobId: string): TranscodeProcess | undefined {
    const idle = [...this.#idle].find((one) => one.jobId === jobId)
    if (!idle) return undefined
    this.#forget(idle)
    return idle.process
  }

  async #isWorthKeeping({ pid }: TranscodeProcess): Promise<boolean> {
    const usedBytes = pid === undefined ? undefined : await loadMemoryBytes(pid)
    return usedBytes !== undefined && usedBytes <= mostIdleBytes && !this.#isClosed
  }

  #keep({ jobId, process }: Omit<Idle, 'timer'>): void {
    const timer = setTimeout(() => this.#end(idle), this.#idleMs).unref()
    const idle: Idle = { jobId, process, timer }
    this.#idle.add(idle)
    // It may be killed, or crash, while it waits.
    void process.ended.then(() => this.#forget(idle))
  }

  #forget(idle: Idle): void {
    clearTimeout(idle.timer)
    this.#idle.delete(idle)
  }

  #end(idle: Idle): void {
    this.#forget(idle)
    const ending: Promise<void> = idle.process[Symbol.asyncDispose]().then(() => void this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
