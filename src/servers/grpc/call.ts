import { constants, type ServerHttp2Stream } from 'node:http2'
import { ProtoWriter } from '#formats/protobuf/proto-writer.ts'
import type { Message } from '#formats/protobuf/message.ts'
import { AppError } from '#lib/errors.ts'
import type { CallHeaders } from './call-headers.ts'
import { compressMessage, decompressMessage } from './compression.ts'
import type { GrpcContext } from './context.ts'
import { FrameReader } from './frame-reader.ts'
import { letGo } from './let-go.ts'
import { statusOf, trailersOf, type StatusName } from './status.ts'

/** While nobody takes messages, this much of them is read ahead. */
const readAheadBytes = 65_536
/** A call waits before it sends more while the client has not taken this much. */
const unsentBytes = 1_048_576
/** A message that has begun must get on within this time. */
const stalledMs = 30_000
/** Smaller messages are not worth compressing. */
const minCompressedBytes = 1024
const prefixBytes = 5

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity,gzip' } as const

/** Nothing more is to be had of a call. */
const callEnded = new AppError('SHUTTING_DOWN', 'the call has ended')

/** A message of the client. Whoever is done with it before the call ends says so to `release`. */
export type Incoming = { readonly bytes: Buffer; readonly heldBytes: number }

type Options = {
  readonly context: GrpcContext
  readonly stream: ServerHttp2Stream
  readonly headers: CallHeaders
  /** Called when nothing of the call is left. */
  readonly onClose: () => void
}

/**
 * One call: messages in, messages out, a status at the end.
 *
 *   open ── finish ──► ended (OK)
 *     ├──── fail ────► ended (status of the error): deadline, bad request, fault
 *     └──── the client goes ──► ended (CANCELLED)
 */
export class Call {
  readonly #context: GrpcContext
  readonly #stream: ServerHttp2Stream
  readonly #headers: CallHeaders
  readonly #frames: FrameReader
  readonly #onClose: () => void
  readonly #deadline: Disposable | undefined
  readonly #deadlineMs: number | undefined
  #controller: AbortController | undefined
  /** Why the call is to end, once it is. */
  #reason: AppError | undefined
  #isEnded = false
  #hasAllRequests = false
  #isReserved = false
  #heldBytes = 0
  #unsentBytes = 0
  #trailers: Record<string, string> = {}
  #wake: (() => void) | undefined
  #progressMs = 0

  constructor({ context, stream, headers, onClose }: Options) {
    this.#context = context
    this.#stream = stream
    this.#headers = headers
    this.#onClose = onClose
    this.#frames = new FrameReader(context.settings)
    if (headers.timeoutMs !== undefined) {
      const timeoutMs = Math.min(headers.timeoutMs, 2 ** 31 - 1)
      this.#deadlineMs = context.clock.monotonicMs() + timeoutMs
      this.#deadline = context.timers.after(timeoutMs, () =>
        this.fail(new AppError('TIMEOUT', 'the deadline of the call has passed')),
      )
    }
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('end', () => this.#readEnd())
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.on('error', (error) => context.log.debug({ reason: error.message }, 'grpc stream error'))
    stream.on('close', () => this.#closed())
  }

  /** Fires when nobody waits for the call any more, or the server stops; the reason is an `AppError`. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  /** Milliseconds until the deadline; `undefined`: there is none. */
  get remainingMs(): number | undefined {
    return this.#deadlineMs === undefined ? undefined : Math.max(0, this.#deadlineMs - this.#context.clock.monotonicMs())
  }

  /**
   * The next message; `undefined` when the client has sent all. Throws `MALFORMED`, `TRUNCATED`, `LIMIT_EXCEEDED`, and the reason of the signal.
   */
  async receive(): Promise<Incoming | undefined> {
    for (;;) {
      if (this.#reason) throw this.#reason
      const lengthBytes = this.#frames.announced()
      if (lengthBytes !== undefined && !this.#isReserved) await this.#reserve(lengthBytes)
      const frame = this.#frames.next()
      if (frame) {
        this.#isReserved = false
        if (!frame.isCompressed) return { bytes: frame.bytes, heldBytes: frame.bytes.length }
        return await this.#decompress(frame.bytes)
      }
      if (this.#hasAllRequests) {
        if (this.#frames.isWithinMessage) throw new AppError('TRUNCATED', 'the last message of the call is not complete')
        return undefined
      }
      await this.#more()
    }
  }

  /** The one message of a call that has one. Throws what `receive` does, and `MALFORMED` when there is none or more. */
  async receiveOnly(): Promise<Buffer> {
    const only = await this.receive()
    if (only && !(await this.receive())) return only.bytes
    throw new AppError('MALFORMED', `the call has ${only ? 'more than one message' : 'no message'}; send exactly one`)
  }

  /** The memory of a message is free again. */
  release({ heldBytes }: Pick<Incoming, 'heldBytes'>): void {
    if (this.#isEnded) return
    this.#heldBytes -= heldBytes
    this.#context.requestBytes.give(heldBytes)
  }

  /** Waits for room in memory for an answer of this size, which is free again when the result is disposed of. Throws the reason of the signal. */
  async reserveAnswer(sizeBytes: number): Promise<Disposable> {
    const { answerBytes } = this.#context
    await answerBytes.takeWhenFree(sizeBytes, () => this.signal)
    return { [Symbol.dispose]: () => answerBytes.give(sizeBytes) }
  }

  /** Resolves when more may be sent. Does nothing after the end. */
  async send<In>(message: Message<unknown, In>, value: In): Promise<void> {
    const frame = await this.#frame(message, value)
    if (!this.#isOpen) return
    this.#respond()
    await this.#write(frame)
  }

  /** Sends the only answer and ends the call. */
  async answer<In>(message: Message<unknown, In>, value: In): Promise<void> {
    const frame = await this.#frame(message, value)
    if (!this.#isOpen) return
    this.#respond()
    this.#end(undefined)
    this.#countOut(frame.length)
    this.#stream.end(frame, () => this.#taken(frame.length))
  }

  /** Ends the call well. */
  finish(): void {
    if (!this.#isOpen) return
    this.#respond()
    this.#end(undefined)
    this.#stream.end()
  }

  /** Ends the call with the status of the error. */
  fail(error: AppError): void {
    if (this.#isEnded) return
    const isOpen = this.#isOpen
    this.#end(error)
    if (!isOpen) return
    if (this.#stream.headersSent) {
      this.#stream.end()
      return
    }
    this.#stream.respond({ ...responseHeaders, ...this.#trailers }, { endStream: true })
    if (!this.#hasAllRequests) letGo(this.#stream, this.#context.timers)
  }

  /** The server stops: whatever waits is to end soon, what was begun may be answered. */
  stop(): void {
    this.#abort(new AppError('SHUTTING_DOWN', 'the server is stopping; try another one, or later'))
  }

  /** Called now and then: ends a call in the middle of a message that does not come, and, when memory is short, one whose client takes no answers. */
  tick(nowMs: number): void {
    const isSending = this.#wake !== undefined && this.#frames.isWithinMessage && !this.#stream.isPaused()
    const isTaking = this.#unsentBytes > 0 && this.#context.answerBytes.isFull
    if (!isSending && !isTaking) this.#progressMs = nowMs
    if (nowMs - this.#progressMs <= stalledMs) return
    const what = isSending ? 'the rest of a message' : 'any of the answer being taken'
    this.fail(new AppError('TIMEOUT', `${stalledMs} ms have passed without ${what}`))
    // There is no way to the client behind what it does not take.
    if (isTaking) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  // In

  #read(chunk: Buffer): void {
    this.#context.counters.receivedBytes += chunk.length
    if (this.#isEnded) return
    this.#progressMs = this.#context.clock.monotonicMs()
    this.#frames.push(chunk)
    if (!this.#wakeUp() && this.#frames.bufferedBytes > readAheadBytes) this.#stream.pause()
  }

  #readEnd(): void {
    this.#hasAllRequests = true
    this.#wakeUp()
  }

  async #more(): Promise<void> {
    if (this.#stream.isPaused()) this.#stream.resume()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #wakeUp(): boolean {
    const wake = this.#wake
    if (!wake) return false
    this.#wake = undefined
    wake()
    return true
  }

  async #reserve(lengthBytes: number): Promise<void> {
    await this.#context.requestBytes.takeWhenFree(lengthBytes, () => this.signal)
    this.#isReserved = true
    this.#hold(lengthBytes)
  }

  async #decompress(compressed: Buffer): Promise<Incoming> {
    if (this.#headers.requestEncoding === 'identity') {
      throw new AppError('MALFORMED', 'a message is marked as compressed, but the call has no grpc-encoding')
    }
    const bytes = await decompressMessage(compressed, this.#context.settings.maxMessageBytes)
    this.#context.requestBytes.take(bytes.length)
    this.#hold(bytes.length)
    return { bytes, heldBytes: compressed.length + bytes.length }
  }

  /** Bytes that were taken from the budget. */
  #hold(bytes: number): void {
    if (this.#isEnded) this.#context.requestBytes.give(bytes)
    else this.#heldBytes += bytes
  }

  // Out

  #respond(): void {
    if (this.#stream.headersSent) return
    const headers = this.#isCompressing ? { ...responseHeaders, 'grpc-encoding': 'gzip' } : responseHeaders
    this.#stream.respond(headers, { waitForTrailers: true })
  }

  /** Whoever compresses what it sends and reads gzip gets it. */
  get #isCompressing(): boolean {
    return this.#headers.requestEncoding === 'gzip' && this.#headers.acceptsGzip
  }

  async #frame<In>(message: Message<unknown, In>, value: In): Promise<Buffer> {
    const w = new ProtoWriter()
    message.prepend(w, value)
    const sizeBytes = w.length
    if (this.#isCompressing && sizeBytes >= minCompressedBytes) {
      const compressed = await compressMessage(w.finish())
      const prefix = Buffer.allocUnsafe(prefixBytes)
      prefix.writeUInt8(1, 0)
      prefix.writeUInt32BE(compressed.length, 1)
      return Buffer.concat([prefix, compressed])
    }
    w.u32(sizeBytes)
    w.u8(0)
    return w.finish()
  }

  async #write(frame: Buffer): Promise<void> {
    this.#countOut(frame.length)
    const written = new Promise<void>((resolve) => {
      // Called in any case, with an error when the client has gone.
      this.#stream.write(frame, () => {
        this.#taken(frame.length)
        resolve()
      })
    })
    if (this.#stream.writableLength > unsentBytes) await written
  }

  #countOut(sizeBytes: number): void {
    this.#context.counters.sentBytes += sizeBytes
    this.#context.answerBytes.take(sizeBytes)
    this.#unsentBytes += sizeBytes
  }

  #taken(sizeBytes: number): void {
    // After the end of the stream, all was given back at once.
    if (this.#unsentBytes === 0) return
    this.#unsentBytes -= sizeBytes
    this.#progressMs = this.#context.clock.monotonicMs()
    this.#context.answerBytes.give(sizeBytes)
  }

  // The end

  /** The client has gone, which `#closed` will be told in a moment. */
  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }
  get #isOpen(): boolean {
    return !this.#isEnded && !this.#isGone
  }

  #end(error: AppError | undefined, status: StatusName = error ? statusOf(error) : 'OK'): void {
    this.#isEnded = true
    this.#trailers = trailersOf(error)
    const { endedByStatus } = this.#context.counters
    endedByStatus[status] = (endedByStatus[status] ?? 0) + 1
    this.#deadline?.[Symbol.dispose]()
    this.#context.requestBytes.give(this.#heldBytes)
    this.#heldBytes = 0
    this.#abort(error ?? callEnded)
  }

  #sendTrailers(): void {
    if (this.#isGone) return
    this.#stream.sendTrailers(this.#trailers)
    if (!this.#hasAllRequests) letGo(this.#stream, this.#context.timers)
  }

  #closed(): void {
    this.#context.answerBytes.give(this.#unsentBytes)
    this.#unsentBytes = 0
    if (!this.#isEnded) this.#end(callEnded, 'CANCELLED')
    this.#onClose()
  }

  #abort(reason: AppError): void {
    this.#reason ??= reason
    this.#controller?.abort(this.#reason)
    this.#wakeUp()
  }
}
