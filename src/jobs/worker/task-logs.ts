import { sleep } from '#lib/abort.ts'
import type { Logger } from '#lib/log.ts'
import type { TaskId } from '../model.ts'
import type { TaskLogLine } from '../worker-protocol.ts'

const maxKeptLines = 2000
const maxSentLines = 500
const maxTextLength = 2000
const sendEveryMs = 1000

/** Lines that tasks write for those who look at their jobs. Kept while the API is away, up to a bound: then the oldest go. */
export class TaskLogs {
  readonly #log: Logger
  #lines: TaskLogLine[] = []
  #dropped = 0
  /** Of who waits for the first line. */
  #wake: (() => void) | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  add(taskId: TaskId, level: TaskLogLine['level'], text: string): void {
    this.#lines.push({ taskId, atMs: Date.now(), level, text: text.slice(0, maxTextLength) })
    this.#wake?.()
    if (this.#lines.length <= maxKeptLines) return
    this.#lines.shift()
    this.#dropped += 1
  }

  get dropped(): number {
    return this.#dropped
  }

  /** Sends what there is, once a second while there is something, until the signal fires. */
  async keepSending(send: (lines: readonly TaskLogLine[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    while ((await this.#untilLines(signal)) && (await sleep(sendEveryMs, signal))) await this.flush(send)
  }

  /** What cannot be sent now is kept. */
  async flush(send: (lines: readonly TaskLogLine[]) => Promise<void>): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines.splice(0, maxSentLines)
      try {
        await send(lines)
      } catch (error) {
        this.#log.debug({ error: String(error) }, 'lines of tasks are kept for later')
        this.#lines = [...lines, ...this.#lines].slice(-maxKeptLines)
        return
      }
    }
  }

  /** False when the signal fires first. */
  async #untilLines(signal: AbortSignal): Promise<boolean> {
    if (this.#lines.length === 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = () => resolve()
      this.#wake = wake
      signal.addEventListener('abort', wake)
      await promise
      signal.removeEventListener('abort', wake)
      this.#wake = undefined
    }
    return !signal.aborted
  }
}
