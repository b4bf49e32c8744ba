import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { Reader } from '#bytes/reader.ts'
import { advertisedVersions, apiByKey, apis, type Api } from '#formats/kafka/apis.ts'
import { encodeResponse, readRequestHeader, type RequestHeader } from '#formats/kafka/frame.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { AnswerWriter } from './answer-writer.ts'
import type { Principal } from './authorizer.ts'
import { Call, type Client } from './call.ts'
import type { KafkaContext } from './context.ts'
import { dispatch, isBeforeLogin, paceOf } from './dispatch.ts'
import type { Endpoint } from './endpoint.ts'
import { kafkaErrors } from './error-codes.ts'
import { FetchOrder } from './fetch-order.ts'
import { FrameReader } from './frame-reader.ts'
import { takeToken } from './handlers/sasl.ts'
import type { Appended } from './log-hub.ts'
import { Login } from './login.ts'
import { type ProduceRun, RepeatedProduces } from './repeated-produce.ts'

/** Whoever has not logged in gets no memory. */
const maxFrameBytesBeforeLogin = 65_536
/** Requests that were read and not answered. Before the login it is one at a time. */
const maxInFlight = 128
/** While a client has not taken this much of its answers, no more are made for it. */
const maxUnsentBytes = 1_048_576
/** How long a login may take, from the first byte. */
const loginMs = 30_000
/** How long the rest of what was written may take to leave. */
const closeMs = 2_000

type Answer = readonly Buffer[] | undefined
type Outcome =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'appended'; readonly run: ProduceRun; readonly results: readonly (Appended | AppError)[] }
  | { readonly kind: 'broken'; readonly error: AppError }
/** A request that was begun, or some that are answered together. `onTurn` is called when all before it are answered. */
type Slot = {
  readonly requests: number
  readonly requestBytes: number
  outcome: Outcome | undefined
  onTurn: (() => void) | undefined
}

/**
 * One client: reads requests, begins each when it may be, and answers in the order of the requests.
 *
 *   socket ── FrameReader ── at once, or in turn ── dispatch ── handler
 *      ▲          │ not while too much is in flight                │
 *      └──────────┴───────────── AnswerWriter ◄── in order ◄───────┘
 */
export class KafkaConnection implements Client {
  readonly endpoint: Endpoint
  readonly fetchOrder = new FetchOrder()
  readonly repeated = new RepeatedProduces()
  readonly login: Login
  readonly #context: KafkaContext
  readonly #socket: Socket
  readonly #host: string
  readonly #frames: FrameReader
  readonly #writer: AnswerWriter
  readonly #gone = new AbortController()
  readonly #resume = (): void => this.#pump()
  /** Requests that are not answered, the oldest first. */
  readonly #slots: Slot[] = []
  #inFlight = 0
  #inFlightBytes = 0
  #isTaking = true
  #isPumping = false
  #isEnding = false
  #isLastAnswer = false
  #wakeWriter: (() => void) | undefined
  readonly #sinceMs: number
  #activeMs: number
  #progress = { takenBytes: 0, atMs: 0 }

  constructor({ context, socket, endpoint }: { context: KafkaContext; socket: Socket; endpoint: Endpoint }) {
    this.endpoint = endpoint
    this.login = new Login({ credentials: context.credentials })
    this.#context = context
    this.#socket = socket
    this.#host = (socket.remoteAddress ?? '').replace(/^::ffff:/i, '')
    this.#sinceMs = this.#activeMs = this.#progress.atMs = context.clock.monotonicMs()
    this.#frames = new FrameReader({
      maxFrameBytes: () => (this.#isOpen ? context.settings.maxFrameBytes : maxFrameBytesBeforeLogin),
    })
    this.#writer = new AnswerWriter({ socket, budget: context.answerBytes, onTaken: () => this.#taken() })
    // Each request that waits listens.
    setMaxListeners(0, this.#gone.signal)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => context.log.debug({ remoteHost: this.#host, reason: error.message }, 'kafka connection error'))
    socket.on('close', () => this.#closed())
  }

  get principal(): Principal {
    return { user: this.login.user, host: this.#host }
  }
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  endAfterAnswer(): void {
    this.#isLastAnswer = true
  }

  /** Answers what it has begun, without waiting for what could still come, and ends. */
  stop(): void {
    this.#isTaking = false
    this.#socket.pause()
    this.#gone.abort()
    if (this.#slots.length === 0) this.#end()
  }

  /** Ends at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Called a few times a second: lets go of a client that does not log in, asks nothing, or takes no bytes. */
  tick(nowMs: number): void {
    const idleMs = this.#context.settings.idleSeconds * 1000
    const takenBytes = this.#socket.bytesWritten - this.#socket.writableLength
    if (this.#writer.unsentBytes === 0 || takenBytes !== this.#progress.takenBytes) this.#progress = { takenBytes, atMs: nowMs }
    const isIdle = this.#slots.length === 0 && this.#writer.unsentBytes === 0 && nowMs - this.#activeMs > idleMs
    const isLate = !this.#isOpen && nowMs - this.#sinceMs > Math.min(loginMs, idleMs)
    const isStalled = nowMs - this.#progress.atMs > idleMs
    if (!isIdle && !isLate && !isStalled) return
    const reason = isStalled ? 'it takes no bytes' : isLate ? 'it does not log in' : 'it is idle'
    this.#context.log.debug({ remoteHost: this.#host, user: this.login.user, reason }, 'kafka client let go')
    this.destroy()
  }

  /** Requests are carried out: nobody has to log in, or this client has. */
  get #isOpen(): boolean {
    return this.login.user !== undefined || !this.#context.isLoginRequired()
  }

  #read(chunk: Buffer): void {
    if (!this.#isTaking) return
    this.#activeMs = this.#context.clock.monotonicMs()
    this.#context.counters.receivedBytes += chunk.length
    this.#frames.push(chunk)
    this.#pump()
  }

  /** Takes requests while there may be more; the socket is read only then. */
  #pump(): void {
    if (!this.#isTaking || this.#isPumping) return
    this.#isPumping = true
    try {
      let isMore = true
      while (isMore && this.#mayTake()) isMore = this.#takeRepeated() || this.#takeNext()
      if (isMore) this.#socket.pause()
      else this.#socket.resume()
    } catch (thrown) {
      // What came before is still answered; this comes after it.
      this.#isTaking = false
      this.#finish(this.#enqueue(0), { kind: 'broken', error: toAppError(thrown) })
    } finally {
      this.#isPumping = false
    }
  }

  #mayTake(): boolean {
    if (!this.#isTaking) return false
    const { settings, requestBytes } = this.#context
    if (this.#inFlight >= (this.#isOpen ? maxInFlight : 1) || this.#inFlightBytes >= settings.maxInFlightBytes) return false
    if (this.#writer.unsentBytes > maxUnsentBytes) return false
    if (requestBytes.freeBytes > 0) return true
    requestBytes.whenFree(this.#resume)
    return false
  }

  /** False: the next request is not there yet. */
  #takeNext(): boolean {
    const frame = this.#frames.next()
    if (!frame) return false
    this.#context.counters.requests += 1
    const slot = this.#enqueue(frame.length)
    this.#begin(frame, slot).then(
      (answer) => this.#finish(slot, { kind: 'answered', answer }),
      (thrown: unknown) => this.#finish(slot, { kind: 'broken', error: toAppError(thrown) }),
    )
    return true
  }

  /** Records for a partition that the client has written to before, from as many requests as are there. False: the next request is something else. */
  #takeRepeated(): boolean {
    if (this.repeated.isEmpty || !this.#isOpen) return false
    const run = this.repeated.takeRun(this.#frames, maxInFlight - this.#inFlight)
    if (!run) return false
    const { kind, batches } = run
    const { counters, hub } = this.#context
    const count = batches.ends.length
    counters.requests += count
    counters.requestsByApi['produce'] = (counters.requestsByApi['produce'] ?? 0) + count
    const slot = this.#enqueue(batches.bytes.length, count)
    hub.offer(kind.ref, batches, kind.options, (results) => this.#finish(slot, { kind: 'appended', run, results }))
    return true
  }

  /** The place of a request of this size in the order of answers. */
  #enqueue(requestBytes: number, requests = 1): Slot {
    const slot: Slot = { requests, requestBytes, outcome: undefined, onTurn: undefined }
    this.#slots.push(slot)
    this.#inFlight += requests
    this.#inFlightBytes += requestBytes
    this.#context.requestBytes.take(requestBytes)
    return slot
  }

  /** Runs up to the handler's first wait before it returns, when the request begins at once. */
  async #begin(frame: Buffer, slot: Slot): Promise<Answer> {
    if (this.login.isRaw) return this.#rawToken(frame)
    const message = new Reader(frame)
    const header = readRequestHeader(message)
    const api = this.#require(header)
    if (!api) return [unsupportedApiVersions(header)]
    const { requestsByApi } = this.#context.counters
    requestsByApi[api.name] = (requestsByApi[api.name] ?? 0) + 1
    const isAtOnce = this.#isOpen && paceOf(api.name) === 'at-once'
    if (!isAtOnce) await this.#turn(slot)
    if (!this.#isOpen && !isBeforeLogin(api.name)) {
      throw new AppError(
        'UNAUTHORIZED',
        `the client asks for ${api.name} before it has logged in; set sasl.mechanism, user and password`,
      )
    }
    const { apiVersion: version, correlationId, clientId } = header
    const call = new Call({ context: this.#context, client: this, api: api.name, version, clientId: clientId ?? '', frame })
    return await dispatch(api, api.name, { call, correlationId, message })
  }

  /** The API, in a version that there is; `undefined`: the client is to be told which versions there are. */
  #require({ apiKey, apiVersion }: RequestHeader): Api | undefined {
    const api = apiByKey(apiKey)
    if (api && apiVersion >= api.min && apiVersion <= api.max) return api
    if (api?.name === 'apiVersions') return undefined
    throw new AppError('UNSUPPORTED', `there is no API ${apiKey} in version ${apiVersion}; ask ApiVersions which there are`)
  }

  /** After SaslHandshake version 0 tokens come without headers, and are answered so. */
  async #rawToken(frame: Buffer): Promise<Answer> {
    const token = await takeToken({ client: this, context: this.#context, clientId: '' }, frame)
    if (token.kind === 'refused') throw new AppError('UNAUTHORIZED', token.message)
    const prefix = Buffer.alloc(4)
    prefix.writeInt32BE(token.answer.length)
    return [Buffer.concat([prefix, token.answer])]
  }

  /** Waits until all earlier requests are answered and the client has taken most of it. */
  async #turn(slot: Slot): Promise<void> {
    if (this.#slots[0] !== slot) {
      await new Promise<void>((resolve) => {
        slot.onTurn = resolve
      })
    }
    while (this.#writer.unsentBytes > maxUnsentBytes && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve
      })
    }
  }

  #finish(slot: Slot, outcome: Outcome): void {
    slot.outcome = outcome
    for (let first = this.#slots[0]; first?.outcome; first = this.#slots[0]) {
      this.#slots.shift()
      this.#inFlight -= first.requests
      this.#inFlightBytes -= first.requestBytes
      this.#context.requestBytes.give(first.requestBytes)
      this.#answer(first.outcome)
    }
    this.#slots[0]?.onTurn?.()
    this.#pump()
  }

  #answer(outcome: Outcome): void {
    if (this.#isEnding) return
    if (outcome.kind === 'broken') {
      this.#break(outcome.error)
      return
    }
    const { counters } = this.#context
    if (outcome.kind === 'appended') {
      counters.sentBytes += outcome.run.answer(outcome.results, this.#writer)
    } else if (outcome.answer) for (const chunk of outcome.answer) counters.sentBytes += this.#writer.write(chunk)
    const isDone = !this.#isTaking && this.#slots.length === 0
    if (this.#isLastAnswer || isDone) this.#end()
  }

  #taken(): void {
    this.#wake()
    this.#pump()
  }

  #wake(): void {
    this.#wakeWriter?.()
    this.#wakeWriter = undefined
  }

  /** Ends a connection that is of no more use, and says why unless the client left or the like was said a moment ago. */
  #break(error: AppError): void {
    const { counters, complaints, log } = this.#context
    if (!this.#socket.destroyed) {
      counters.brokenConnections += 1
      const fields = { remoteHost: this.#host, user: this.login.user, code: error.code, reason: error.message }
      const times = complaints.count(`connection ${this.#host}`)
      if (error.code === 'INTERNAL') log.error({ ...fields, err: error }, 'kafka connection failed')
      else if (times !== undefined) log.warn({ ...fields, times }, 'kafka connection ended')
    }
    this.#end()
  }

  #end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#isTaking = false
    this.#gone.abort()
    this.#writer.flush()
    this.#socket.destroySoon()
    const timer = this.#context.timers.after(closeMs, () => this.#socket.destroy())
    this.#socket.once('close', () => timer[Symbol.dispose]())
  }

  #closed(): void {
    this.#isTaking = false
    this.#gone.abort()
    this.#context.requestBytes.forget(this.#resume)
    this.#wake()
  }
}

/** The one answer to a version that there is not: in the oldest form, with the versions that there are. */
function unsupportedApiVersions({ correlationId }: RequestHeader): Buffer {
  const body = { errorCode: kafkaErrors.UNSUPPORTED_VERSION, apiKeys: advertisedVersions() }
  return encodeResponse(apis.apiVersions, 0, correlationId, body)
}
