import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { encodeFrame, FrameDecoder, type FramedMessage } from '#codec/frames.ts'
import { aliveIntervalMs, parseToChild } from '#codec/child-messages.ts'
import type { FromChild } from '#codec/messages.ts'
import { toAppError } from '#lib/errors.ts'

/** The descriptor that `CodecChild` opens for its child. */
const pipeFd = 3
/** How long a child may tidy up after its parent has closed the pipe. */
const tidyMs = 1000

export type Handled = { readonly value?: unknown; readonly payload?: Buffer }

/** Answers one request; what it throws goes back as an error. `signal` fires when the asker has lost interest. */
export type Handler = (params: unknown, context: { payload: Buffer; signal: AbortSignal }) => Promise<Handled>

/** The child's end of `CodecChild`: answers requests with the handlers until the pipe closes, then ends the process. */
export class ParentPort {
  readonly #handlers: Readonly<Record<string, Handler>>
  readonly #pipe = new Socket({ fd: pipeFd, readable: true, writable: true })
  readonly #running = new Map<number, AbortController>()
  readonly #closed = new AbortController()
  readonly #alive: NodeJS.Timeout

  constructor(handlers: Readonly<Record<string, Handler>>) {
    this.#handlers = handlers
    const decoder = new FrameDecoder()
    this.#pipe.on('data', (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) this.#take(message)
    })
    for (const end of ['end', 'error', 'close']) this.#pipe.on(end, () => this.#leave())
    this.#alive = setInterval(() => this.#send({ kind: 'alive' }), aliveIntervalMs)
    this.#send({ kind: 'alive' })
    // A thread of its own sees the parent die even while this one is stuck in native code.
    new Worker(new URL('./parent-watch.ts', import.meta.url), { workerData: process.ppid }).unref()
  }

  /** Fires when the parent has closed the pipe or died; the process ends within a second. */
  get signal(): AbortSignal {
    return this.#closed.signal
  }

  /** Tells the parent something that it did not ask for. */
  emit(value: unknown): void {
    this.#send({ kind: 'event', value })
  }

  #take({ header, payload }: FramedMessage): void {
    const message = parseToChild(header)
    if (message.kind === 'request') void this.#answer(message.id, message.method, { params: message.params, payload })
    else this.#running.get(message.id)?.abort()
  }

  async #answer(id: number, method: string, { params, payload }: { params: unknown; payload: Buffer }): Promise<void> {
    const controller = new AbortController()
    this.#running.set(id, controller)
    try {
      const handler = this.#handlers[method]
      if (!handler) throw new Error(`this codec process has no "${method}"`)
      const handled = await handler(params, { payload, signal: controller.signal })
      this.#send({ kind: 'result', id, value: handled.value ?? null }, handled.payload)
    } catch (error) {
      const { code, message } = toAppError(error)
      this.#send({ kind: 'failure', id, code: code === 'INTERNAL' ? 'CODEC_FAILED' : code, message })
    } finally {
      this.#running.delete(id)
    }
  }

  #send(message: FromChild, payload?: Buffer): void {
    if (this.#pipe.writable) this.#pipe.write(encodeFrame(message, payload))
  }

  #leave(): void {
    if (this.#closed.signal.aborted) return
    clearInterval(this.#alive)
    this.#closed.abort()
    for (const request of this.#running.values()) request.abort()
    setTimeout(() => process.exit(0), tidyMs).unref()
  }
}
