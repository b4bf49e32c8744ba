import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sleep } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import { withoutCredentials, type Logger } from '#lib/log.ts'
import type { ToChild } from './child-messages.ts'
import { encodeFrame, FrameDecoder, type FramedMessage } from './frames.ts'
import { errorCodeOf, parseFromChild } from './messages.ts'

const maxPendingRequests = 64
const keptLines = 20
const keptLineLength = 500
/** How long a child may take to leave by itself, and again after SIGTERM, before the next stronger means. */
const leaveMs = 1500

/** Environment that a codec process gets; it parses hostile media and must not hold the server's secrets. */
const passedVariables = ['PATH', 'HOME', 'TZ', 'LANG', 'LD_LIBRARY_PATH']

/**
 * For processes that stand back behind everything else on the machine: at full load one of niceness 10 was seen to say nothing for 15 s before it had even
 * loaded its modules.
 */
export const backgroundAliveTimeoutMs = 120_000

export type CodecChildOptions = {
  /** The script that the child runs, a module that makes a `ParentPort`. */
  readonly entry: URL
  readonly log: Logger
  /** Called for each event that the child sends by itself. */
  readonly onEvent?: (value: unknown) => void
  /** A child that says nothing for this long hangs and is killed. */
  readonly aliveTimeoutMs?: number
}

export type CodecRequestOptions = {
  readonly payload?: Buffer
  /** A child that has not answered by then is taken for hung, and killed. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export type CodecResult = { readonly value: unknown; readonly payload: Buffer }

type Pending = { resolve(result: CodecResult): void; reject(error: unknown): void }

type State = { kind: 'running' } | { kind: 'ending'; error: AppError | undefined }

/**
 * One codec process under supervision: it runs in a process group of its own, gets requests over a pipe, and leaves nothing behind.
 *
 * `running` → `ending` (closed, crashed, hung, or talked nonsense) → exit. Every request that is under way when it ends fails with
 * `CODEC_FAILED`, whose message has the last lines that the process wrote. It is not started again: that is the owner's decision.
 */
export class CodecChild implements AsyncDisposable {
  /** Resolves when no process of the group is left; with the error when the end was not asked for. Never rejects. */
  readonly ended: Promise<AppError | undefined>
  readonly #name: string
  readonly #process: ChildProcess
  readonly #pipe: Socket
  readonly #log: Logger
  readonly #onEvent: ((value: unknown) => void) | undefined
  readonly #pending = new Map<number, Pending>()
  readonly #lastLines: string[] = []
  readonly #aliveTimer: NodeJS.Timeout
  readonly #ending = new AbortController()
  #nextId = 1
  #messageCount = 0
  #state: State = { kind: 'running' }

  constructor({ entry, log, onEvent, aliveTimeoutMs = 10_000 }: CodecChildOptions) {
    const script = fileURLToPath(entry)
    this.#name = basename(script, '.ts')
    this.#process = spawn(process.execPath, [script], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env: childEnvironment(),
    })
    this.#log = log.child({ codecProcess: this.#name, pid: this.#process.pid })
    this.#onEvent = onEvent
    this.#pipe = pipeOf(this.#process)
    this.#aliveTimer = setTimeout(() => this.#suspectHang(aliveTimeoutMs), aliveTimeoutMs)
    this.#listen()
    this.ended = this.#supervise()
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /**
   * Asks the child for something. Throws the child's own error, `CODEC_FAILED` when it crashes, hangs or exceeds `timeoutMs`,
   * `LIMIT_EXCEEDED` when too much is under way, or the signal's reason.
   */
  async request(method: string, params: unknown, { payload, timeoutMs, signal }: CodecRequestOptions): Promise<CodecResult> {
    signal?.throwIfAborted()
    if (this.#state.kind === 'ending') throw this.#state.error ?? this.#failure('was closed')
    if (this.#pending.size >= maxPendingRequests) {
      throw new AppError(
        'LIMIT_EXCEEDED',
        `codec process "${this.#name}" has ${maxPendingRequests} requests under way; try again later`,
      )
    }
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<CodecResult>()
    this.#pending.set(id, { resolve, reject })
    const timer = setTimeout(() => this.#end(this.#failure(`did not answer "${method}" within ${timeoutMs} ms`)), timeoutMs)
    const cancel = () => {
      this.#send({ kind: 'cancel', id })
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      this.#send({ kind: 'request', id, method, params }, payload)
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
      this.#pending.delete(id)
    }
  }

  /** Closes the pipe, upon which a sound child leaves; what does not leave is killed. Waits until all are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(undefined)
    await this.ended
  }

  #listen(): void {
    const decoder = new FrameDecoder()
    this.#pipe.on('data', (chunk: Buffer) => {
      this.#messageCount += 1
      this.#aliveTimer.refresh()
      try {
        for (const message of decoder.push(chunk)) this.#take(message)
      } catch (cause) {
        this.#end(this.#failure('sent what is no message', cause))
      }
    })
    // A broken pipe is the child's end, which `exit` tells with more detail.
    this.#pipe.on('error', (error) => this.#log.debug({ error: error.message }, 'pipe to codec process broke'))
    this.#process.on('error', (cause) => this.#end(this.#failure('could not be started', cause)))
    this.#listenToStderr()
  }

  /** Lines are cut before they are whole: nothing that the child writes may pile up here. */
  #listenToStderr(): void {
    let rest = ''
    this.#process.stderr?.setEncoding('utf8')
    this.#process.stderr?.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = (lines.pop() ?? '').slice(0, keptLineLength)
      for (const line of lines) this.#keepLine(line)
    })
    this.#process.stderr?.on('end', () => {
      if (rest !== '') this.#keepLine(rest)
    })
  }

  #take({ header, payload }: FramedMessage): void {
    const message = parseFromChild(header)
    switch (message.kind) {
      case 'alive':
        return
      case 'event':
        return this.#onEvent?.(message.value)
      case 'result':
        return this.#pending.get(message.id)?.resolve({ value: message.value, payload })
      case 'failure':
        return this.#pending.get(message.id)?.reject(new AppError(errorCodeOf(message.code), message.message))
      default:
        return message satisfies never
    }
  }

  #send(message: ToChild, payload?: Buffer): void {
    if (this.#pipe.writable) this.#pipe.write(encodeFrame(message, payload))
  }

  /** Runs when nothing was heard in time. What waits in the pipe is read first: it may be this process that stood still. */
  #suspectHang(aliveTimeoutMs: number): void {
    const before = this.#messageCount
    setImmediate(() => {
      if (this.#messageCount === before) this.#end(this.#failure(`said nothing for ${aliveTimeoutMs} ms`))
    })
  }

  #end(error: AppError | undefined): void {
    if (this.#state.kind === 'ending') return
    this.#state = { kind: 'ending', error }
    clearTimeout(this.#aliveTimer)
    for (const pending of this.#pending.values()) pending.reject(error ?? this.#failure('was closed'))
    this.#pending.clear()
    this.#pipe.end()
    this.#ending.abort()
  }

  /** The life of the process from here to its last trace. */
  async #supervise(): Promise<AppError | undefined> {
    const { pid } = this.#process
    if (pid === undefined) {
      await once(this.#ending.signal, 'abort')
    } else {
      const exited = new AbortController()
      const closed = new Promise<void>((resolve) => this.#process.once('close', () => resolve()))
      this.#process.once('exit', () => {
        // Whatever the child started is in its group and goes with it.
        killGroup(pid, 'SIGKILL')
        exited.abort()
      })
      await this.#endGroup(pid, exited.signal)
      // The last lines may still be in the pipe; a process that fled the group may hold it open for ever.
      await Promise.race([closed, sleep(leaveMs)])
      const { exitCode, signalCode } = this.#process
      this.#end(this.#failure(signalCode === null ? `ended with code ${exitCode}` : `was ended by ${signalCode}`))
    }
    this.#pipe.destroy()
    this.#process.stderr?.destroy()
    return this.#state.kind === 'ending' ? this.#state.error : undefined
  }

  /** Returns when the child has exited: by itself while it is `running`, else by ever stronger means. */
  async #endGroup(pid: number, exited: AbortSignal): Promise<void> {
    const leave = AbortSignal.any([this.#ending.signal, exited])
    if (!leave.aborted) await once(leave, 'abort')
    const isAsked = this.#state.kind === 'ending' && this.#state.error === undefined
    if (isAsked) await sleep(leaveMs, exited)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (exited.aborted) return
      killGroup(pid, signal)
      await sleep(leaveMs, exited)
    }
    if (!exited.aborted) await once(exited, 'abort')
  }

  #keepLine(line: string): void {
    const text = line.slice(0, keptLineLength).replace(/[a-z][a-z0-9+.-]*:\/\/\S+/gi, withoutCredentials)
    this.#lastLines.push(text)
    if (this.#lastLines.length > keptLines) this.#lastLines.shift()
    this.#log.debug({ line: text }, 'codec process wrote')
  }

  #failure(what: string, cause?: unknown): AppError {
    const said = this.#lastLines.length > 0 ? `; it wrote last:\n${this.#lastLines.join('\n')}` : ''
    return new AppError('CODEC_FAILED', `codec process "${this.#name}" ${what}${said}`, { cause })
  }
}

function pipeOf(child: ChildProcess): Socket {
  const pipe = child.stdio[3]
  if (pipe instanceof Socket) return pipe
  throw new AppError('INTERNAL', 'a codec process was started without its pipe')
}

function childEnvironment(): NodeJS.ProcessEnv {
  const passed = passedVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  const cache = process.env['NODE_COMPILE_CACHE']
  return {
    ...Object.fromEntries(passed),
    // Of its own: compiled code fits only a process with the same settings of V8. A start takes 0.15 s of a processor in place of 0.3.
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: join(cache, 'codec') }),
    // Libav blocks a thread of the pool on each connection that it reads or writes; Node's default of 4 is soon used up.
    UV_THREADPOOL_SIZE: '16',
  }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // ESRCH: nobody of the group is left.
  }
}
