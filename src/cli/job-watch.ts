import type { JobView, NodeView } from '#api/job-contract.ts'
import { sleep } from '#lib/abort.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { isAbort } from './client.ts'
import { formatDuration, formatTime } from './format.ts'
import { describeJobProgress, jobStateCell, jobStateText, percentText, sourceText, speedText, taskName } from './job-columns.ts'
import { LiveBlock } from './live-block.ts'
import { progressBar } from './progress-line.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

/** What watching needs of the client. */
interface JobSource {
  getJob(id: string, call: { readonly signal: AbortSignal }): Promise<JobView>
  listNodes(call: { readonly signal: AbortSignal }): Promise<readonly Pick<NodeView, 'state' | 'slots'>[]>
  addressOf(job: Pick<JobView, 'result'>): string | undefined
  pageOf(job: Pick<JobView, 'id'>): string
}

export type WatchOptions = {
  readonly client: JobSource
  readonly id: string
  readonly terminal: Terminal
  readonly clock: Clock
  readonly signal: AbortSignal
  /** An object a line instead. */
  readonly isJson: boolean
  readonly intervalMs: number
}

/** Shows a job until it is over: drawn in place on a terminal, otherwise a line for each step. `JOB_FAILED` unless it completes; Ctrl+C only ends the watching. */
export async function watchJob({ client, id, terminal, clock, signal, isJson, intervalMs }: WatchOptions): Promise<void> {
  const view = viewFor(terminal, isJson)
  let last: JobView | undefined
  do {
    try {
      last = await client.getJob(id, { signal })
      view.show(last, clock.nowMs(), await obstacleOf(last, { client, signal }))
    } catch (error) {
      if (signal.aborted && isAbort(error)) break
      // A server that restarts is waited for; one that was never there is an error.
      if (!last || !isPassing(error)) throw error
      view.showTrouble(error.message, clock.nowMs())
    }
    if (last.isOver) {
      if (last.state !== 'completed') throw failureOf(last)
      if (!isJson) terminal.write(describeEnd(last, client))
      return
    }
  } while (await sleep(intervalMs, signal))
  if (last) terminal.writeError(`The job goes on. Watch it again with: millrace jobs watch ${last.id}\n`)
}

function isPassing(error: unknown): error is AppError {
  return error instanceof AppError && (error.code === 'API_UNREACHABLE' || error.code === 'DATABASE_UNAVAILABLE')
}

function failureOf(job: JobView): AppError {
  const reason = job.error ? `: ${job.error.code}: ${job.error.message}` : ''
  return new AppError(
    'JOB_FAILED',
    `job ${job.id} ${job.state === 'canceled' || job.state === 'rejected' ? `was ${job.state}` : jobStateText(job)}${reason}`,
  )
}

/** Why nothing happens with a job that waits. */
async function obstacleOf(
  { isOver, tasks }: JobView,
  { client, signal }: Pick<WatchOptions, 'client' | 'signal'>,
): Promise<string | undefined> {
  if (isOver || tasks.some(({ state }) => state === 'leased')) return undefined
  const nodes = await client.listNodes({ signal })
  const isAnyoneThere = nodes.some(({ state, slots }) => state === 'active' && slots > 0)
  return isAnyoneThere ? undefined : 'It waits: no worker takes work. See millrace nodes list'
}

function describeEnd(job: JobView, client: JobSource): string {
  const { createdAt, startedAt = createdAt, finishedAt = startedAt } = job
  const took = formatDuration(Date.parse(finishedAt) - Date.parse(startedAt))
  const address = client.addressOf(job)
  return address === undefined
    ? `Completed in ${took}\n`
    : `Completed in ${took}: ${address}\nPlay it in a browser: ${client.pageOf(job)}\n`
}

interface WatchView {
  show(job: JobView, nowMs: number, obstacle: string | undefined): void
  showTrouble(message: string, nowMs: number): void
}

function viewFor(terminal: Terminal, isJson: boolean): WatchView {
  return isJson ? new JsonView(terminal) : terminal.isInteractive ? new LiveView(terminal) : new StepView(terminal)
}

/** The bar, and a line for each task that runs, in place. */
class LiveView implements WatchView {
  readonly #terminal: Terminal
  readonly #block: LiveBlock
  #last = ''

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#block = new LiveBlock(terminal)
  }

  show(job: JobView, _nowMs: number, obstacle: string | undefined): void {
    const hint = obstacle === undefined ? '' : `${this.#terminal.color('yellow', obstacle)}\n`
    this.#last = `${describeJobHead(job, this.#terminal)}\n${describeJobProgress(job)}\n${hint}${runningTable(job)}`
    this.#block.draw(this.#last)
  }

  showTrouble(message: string): void {
    this.#block.draw(`${this.#last}${this.#terminal.color('red', message)}\n`)
  }
}

function describeJobHead(job: JobView, terminal: Terminal): string {
  const name = terminal.color('bold', job.label ?? sourceText(job.input))
  return `${name}  ${job.scenario}  ${jobStateCell(job, terminal)}  ${terminal.color('dim', job.id)}`
}

const runningColumns = [
  { title: '  RUNNING' },
  { title: '' },
  { title: 'DONE', align: 'right' },
  { title: 'SPEED', align: 'right' },
  { title: 'NODE' },
] as const
const taskBarWidth = 12

function runningTable({ tasks }: JobView): string {
  const running = tasks.filter(({ state }) => state === 'leased')
  if (running.length === 0) return ''
  const rows = running.map((task) => {
    const share = task.totalFrames > 0 ? task.frames / task.totalFrames : undefined
    return [
      `  ${taskName(task)}`,
      share === undefined ? '' : progressBar(share, taskBarWidth),
      share === undefined ? '' : percentText(share),
      task.speed > 0 ? speedText(task.speed) : '',
      task.nodeId ?? '',
    ]
  })
  return `\n${formatTable(runningColumns, rows)}`
}

const stepShare = 0.05

/** A line whenever the state changes, or another twentieth is done. */
class StepView implements WatchView {
  readonly #terminal: Terminal
  #last = ''
  #obstacle: string | undefined
  #isInTrouble = false

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  show(job: JobView, nowMs: number, obstacle: string | undefined): void {
    this.#isInTrouble = false
    this.#showStep(job, nowMs)
    if (obstacle !== undefined && obstacle !== this.#obstacle) this.#terminal.writeError(`${formatTime(nowMs)}  ${obstacle}\n`)
    this.#obstacle = obstacle
  }

  showTrouble(message: string, nowMs: number): void {
    if (!this.#isInTrouble) this.#terminal.writeError(`${formatTime(nowMs)}  ${message}\n`)
    this.#isInTrouble = true
  }

  #showStep(job: JobView, nowMs: number): void {
    const step = `${jobStateText(job)} ${job.generation} ${Math.floor(job.progress / stepShare)}`
    if (step === this.#last) return
    this.#last = step
    this.#terminal.write(`${formatTime(nowMs)}  ${jobStateText(job).padEnd(9)}  ${describeJobProgress(job)}\n`)
  }
}

/** One object a line whenever something has changed: the job without its tasks and plan, and the tasks that run. */
class JsonView implements WatchView {
  readonly #terminal: Terminal
  #last = ''

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  show(job: JobView): void {
    const { tasks, plan: _, ...rest } = job
    const line = JSON.stringify({ ...rest, running: tasks.filter(({ state }) => state === 'leased') })
    if (line !== this.#last) this.#terminal.write(`${line}\n`)
    this.#last = line
  }

  showTrouble(message: string): void {
    this.#terminal.writeError(`${message}\n`)
  }
}
