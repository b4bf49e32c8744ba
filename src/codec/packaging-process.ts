import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { backgroundAliveTimeoutMs, CodecChild } from './child.ts'
import {
  checkPicturesOrder,
  factsOf,
  packOrder,
  parsePicturesFacts,
  parseProgress,
  type PicturesFacts,
} from './packaging-orders.ts'
import type { PackageFacts, PackageOrder, PicturesOrder, TranscodeProgress } from './transcoding.ts'

/** The longest that a timer of Node can wait: silence ends an order, not its length. */
const noTimeoutMs = 2 ** 31 - 1
const defaultSilenceMs = 120_000

export type PackagingProcessOptions = {
  readonly log: Logger
  /** A process that tells no progress for this long is ended. */
  readonly silenceMs?: number
}

export type PackagingRunOptions = {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: TranscodeProgress) => void
}

/**
 * One process that makes files for players. It does one order at a time; disposing ends it. When it fails with `CODEC_FAILED` or
 * `TIMEOUT` it is of no more use.
 */
export class PackagingProcess implements AsyncDisposable {
  readonly #child: CodecChild
  readonly #silenceMs: number
  #onProgress: ((progress: TranscodeProgress) => void) | undefined

  constructor({ log, silenceMs = defaultSilenceMs }: PackagingProcessOptions) {
    this.#silenceMs = silenceMs
    this.#child = new CodecChild({
      entry: new URL('./process/packaging.ts', import.meta.url),
      log,
      aliveTimeoutMs: backgroundAliveTimeoutMs,
      onEvent: (value) => this.#onProgress?.(parseProgress(value)),
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the process is gone; with the error when that was not asked for. */
  get ended(): Promise<AppError | undefined> {
    return this.#child.ended
  }

  /**
   * Makes files of chunks and verifies them. Throws `INPUT_DAMAGED` for chunks that are missing or not those that were written,
   * and `ENCODE_DAMAGED` for what cannot be published; `badInputsOf` tells which inputs are at fault. Also `SOURCE_UNREACHABLE`,
   * `DISK_FULL`, `REQUEST_INVALID`, `CODEC_FAILED`, `TIMEOUT` after a silence, or the signal's reason.
   */
  async package(order: PackageOrder, options: PackagingRunOptions = {}): Promise<PackageFacts> {
    return factsOf(await this.#request('package', { params: null, payload: packOrder(order) }, options))
  }

  /** Makes poster and tiles. Throws as `package` does, and the source's errors: `MALFORMED`, `UNSUPPORTED`, `SOURCE_SILENT`. */
  async pictures(order: PicturesOrder, options: PackagingRunOptions = {}): Promise<PicturesFacts> {
    return parsePicturesFacts(await this.#request('pictures', { params: checkPicturesOrder(order) }, options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  async #request(
    method: string,
    { params, payload }: { params: unknown; payload?: Buffer },
    { signal, onProgress }: PackagingRunOptions,
  ): Promise<unknown> {
    if (this.#onProgress)
      throw new AppError('LIMIT_EXCEEDED', 'the packaging process has an order under way; start another process')
    const silence = new AbortController()
    const timer = setTimeout(() => silence.abort(this.#silent(method)), this.#silenceMs)
    this.#onProgress = (progress) => {
      timer.refresh()
      onProgress?.(progress)
    }
    try {
      const { value } = await this.#child.request(method, params, {
        ...(payload ? { payload } : {}),
        timeoutMs: noTimeoutMs,
        signal: anySignal(silence.signal, signal),
      })
      return value
    } catch (error) {
      // It may be stuck in native code, where no cancellation reaches it.
      if (silence.signal.aborted) await this[Symbol.asyncDispose]()
      throw error
    } finally {
      clearTimeout(timer)
      this.#onProgress = undefined
    }
  }

  #silent(method: string): AppError {
    return new AppError('TIMEOUT', `packaging process told no progress of "${method}" for ${this.#silenceMs} ms and was ended`)
  }
}
