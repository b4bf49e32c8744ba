import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { backgroundAliveTimeoutMs, CodecChild } from './child.ts'
import { parseLiveEvent, type LiveParams } from './live-orders.ts'
import { errorCodeOf } from './messages.ts'
import type { LiveOrder, TranscodeProgress } from './transcoding.ts'

const entry = new URL('./process/live-rendition.ts', import.meta.url)
const defaultStallMs = 10_000
/** Connecting to the source, looking at it, connecting to the target. */
const startStalls = 4

export type LiveRenditionOptions = {
  readonly log: Logger
  /** A source, its picture or the target that stands still for this long ends the rendition. Default 10 s. */
  readonly stallMs?: number
}

export type LiveRunOptions = {
  /** Ends the rendition in good order: the server hears that it leaves. */
  readonly signal?: AbortSignal
  /** The target takes the stream from now on. */
  readonly onStarted?: () => void
  /** `totalFrames` is 0: there is no end. */
  readonly onProgress?: (progress: TranscodeProgress) => void
}

/** A process that takes one stream in and publishes one rendition of it. It does not connect again by itself: that is the owner's decision. */
export class LiveRenditionProcess implements AsyncDisposable {
  readonly #child: CodecChild
  readonly #stallMs: number
  readonly #ended = Promise.withResolvers<AppError>()
  #onProgress: LiveRunOptions['onProgress']

  constructor({ log, stallMs = defaultStallMs }: LiveRenditionOptions) {
    this.#stallMs = stallMs
    this.#child = new CodecChild({ entry, log, aliveTimeoutMs: backgroundAliveTimeoutMs, onEvent: (value) => this.#take(value) })
  }

  /** For limits that the caller sets on the process; `undefined` when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the process is gone; with the error when that was not asked for. Never rejects. */
  get ended(): Promise<AppError | undefined> {
    return this.#child.ended
  }

  /**
   * Runs until it cannot go on, and throws why: `SOURCE_UNREACHABLE`, `SOURCE_REFUSED`, `SOURCE_SILENT`, `UNSUPPORTED` and `CODEC_UNSUPPORTED` for what
   * cannot be decoded, encoded or published, `REQUEST_INVALID`, `CODEC_FAILED` when the target ends it or the process crashes, or the signal's reason. The
   * process is gone then.
   */
  async run(order: LiveOrder, { signal, onStarted, onProgress }: LiveRunOptions = {}): Promise<never> {
    this.#onProgress = onProgress
    const stop = new AbortController()
    const stopped = anySignal(signal, stop.signal)
    try {
      const params: LiveParams = { order, stallMs: this.#stallMs }
      await this.#child.request('start', params, { timeoutMs: this.#stallMs * startStalls, signal: stopped })
      onStarted?.()
      throw await this.#untilEnd(stopped)
    } finally {
      stop.abort()
      await this[Symbol.asyncDispose]()
    }
  }

  /** The server that is published to hears of the end, if the process can still tell it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  async #untilEnd(signal: AbortSignal): Promise<unknown> {
    const aborted = Promise.withResolvers<unknown>()
    signal.addEventListener('abort', () => aborted.resolve(signal.reason), { once: true })
    if (signal.aborted) return signal.reason
    const gone = this.#child.ended.then((error) => error ?? new AppError('CODEC_FAILED', 'the live rendition was closed'))
    return await Promise.race([this.#ended.promise, gone, aborted.promise])
  }

  #take(value: unknown): void {
    const event = parseLiveEvent(value)
    switch (event.kind) {
      case 'progress':
        return this.#onProgress?.(event.progress)
      case 'ended':
        return this.#ended.resolve(new AppError(errorCodeOf(event.code), event.message))
      default:
        return event satisfies never
    }
  }
}
