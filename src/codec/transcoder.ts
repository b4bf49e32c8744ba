import type { TSchema, Static } from 'typebox'
import { Check } from 'typebox/value'
import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { backgroundAliveTimeoutMs, CodecChild } from './child.ts'
import { checkPicturesOrder, packageFactsOf, packOrder, picturesFactsSchema, type PicturesFacts } from './packaging-orders.ts'
import { parseParams, parseTranscodeEvent, type TranscodeMethod, type TranscodeParams } from './transcode-orders.ts'
import {
  audioFactsSchema,
  chunkFactsSchema,
  encoderListSchema,
  sourceProbeSchema,
  type AudioFacts,
  type AudioOrder,
  type ChunkFacts,
  type EncoderList,
  type PackageFacts,
  type PackageOrder,
  type PicturesOrder,
  type SourceProbe,
  type TranscodeProgress,
  type VideoOrder,
} from './transcoding.ts'

const entry = new URL('./process/transcode.ts', import.meta.url)
const softwareEncoders = ['libx264', 'libx265', 'libsvtav1', 'libvpx-vp9', 'aac', 'libopus']
const hardwareFamilies = [
  ['h264_nvenc', 'hevc_nvenc', 'av1_nvenc'],
  ['h264_qsv', 'hevc_qsv', 'av1_qsv', 'vp9_qsv'],
  ['h264_vaapi', 'hevc_vaapi', 'av1_vaapi', 'vp9_vaapi'],
]
/** How long opening encoders may take; drivers without a device look for one. */
const tryTimeoutMs = 60_000
/** An order may take long as long as something moves; this is the longest that a timer holds. */
const noTimeoutMs = 2 ** 31 - 1

export type TranscodeProcessOptions = {
  readonly log: Logger
  /** A process in which nothing moves for this long is ended; a source may be silent for half of it. Default 60 s. */
  readonly silenceMs?: number
}

export type TranscodeOptions = {
  /** Ends the process: another is needed for the next order. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: TranscodeProgress) => void
  /** Called while packets or frames move. */
  readonly onMoved?: () => void
}

/**
 * A process that describes sources, encodes chunks of them and makes files for players of chunks, one order at a time. Orders throw the codes of their work (`SOURCE_UNREACHABLE`, `SOURCE_SILENT`,
 * `MALFORMED`, `TRUNCATED`, `UNSUPPORTED`, `CODEC_UNSUPPORTED`, `REQUEST_INVALID`, `ENCODE_DAMAGED`, `DISK_FULL`), `TIMEOUT` when nothing moves, `CODEC_FAILED` when the
 * process crashes, or the signal's reason; after the last three it is over.
 */
export class TranscodeProcess implements AsyncDisposable {
  readonly #child: CodecChild
  readonly #log: Logger
  readonly #silenceMs: number
  #onEvent: ((value: unknown) => void) | undefined

  constructor({ log, silenceMs = 60_000 }: TranscodeProcessOptions) {
    this.#log = log
    this.#silenceMs = silenceMs
    this.#child = new CodecChild({
      entry,
      log,
      aliveTimeoutMs: backgroundAliveTimeoutMs,
      onEvent: (value) => this.#onEvent?.(value),
    })
  }

  /** For limits that the caller sets on the process; `undefined` when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the process is gone; with the error when that was not asked for. Never rejects. */
  get ended(): Promise<AppError | undefined> {
    return this.#child.ended
  }

  /** Reads the whole source, at an `http:` address on this machine. */
  async probe(url: string, options: TranscodeOptions = {}): Promise<SourceProbe> {
    return parse(sourceProbeSchema, await this.#ask('probe', { url, stallMs: this.#stallMs }, options))
  }

  /** Encodes one chunk of one rendition into a chunk file. */
  async encodeVideo(order: VideoOrder, options: TranscodeOptions = {}): Promise<ChunkFacts> {
    return parse(chunkFactsSchema, await this.#ask('encodeVideo', { order, stallMs: this.#stallMs }, options))
  }

  /** Encodes one audio track of the clip into a chunk file. */
  async encodeAudio(order: AudioOrder, options: TranscodeOptions = {}): Promise<AudioFacts> {
    return parse(audioFactsSchema, await this.#ask('encodeAudio', { order, stallMs: this.#stallMs }, options))
  }

  /**
   * Makes files for players of chunks and verifies them. Throws `INPUT_DAMAGED` for chunks that are missing or not those that were written, and
   * `ENCODE_DAMAGED` for what cannot be published; `badInputsOf` tells which inputs are at fault.
   */
  async package(order: PackageOrder, options: TranscodeOptions = {}): Promise<PackageFacts> {
    return packageFactsOf(await this.#order('package', { params: null, payload: packOrder(order) }, options))
  }

  /** Makes poster and tiles of a source. */
  async pictures(order: PicturesOrder, options: TranscodeOptions = {}): Promise<PicturesFacts> {
    return parse(picturesFactsSchema, await this.#order('pictures', { params: checkPicturesOrder(order) }, options))
  }

  /** Which encoders work here, found by encoding with them. Those of hardware are tried in processes of their own: drivers crash. */
  async listEncoders({ signal }: Pick<TranscodeOptions, 'signal'> = {}): Promise<EncoderList> {
    const own = await this.#tryEncoders(softwareEncoders, signal)
    const encoders = [...own.encoders]
    for (const family of hardwareFamilies) {
      await using other = new TranscodeProcess({ log: this.#log, silenceMs: this.#silenceMs })
      const found = await other.#tryEncoders(family, signal).catch((error: unknown) => {
        signal?.throwIfAborted()
        this.#log.warn({ encoders: family, error: String(error) }, 'hardware encoders could not be tried')
        return undefined
      })
      encoders.push(...(found?.encoders ?? []))
    }
    return { encoders, filters: own.filters }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  get #stallMs(): number {
    return Math.max(1, Math.round(this.#silenceMs / 2))
  }

  async #tryEncoders(names: readonly string[], signal: AbortSignal | undefined): Promise<EncoderList> {
    const options = { timeoutMs: tryTimeoutMs, ...(signal ? { signal } : {}) }
    const { value } = await this.#child.request('tryEncoders', { names } satisfies TranscodeParams['tryEncoders'], options)
    return parse(encoderListSchema, value)
  }

  #ask<Method extends TranscodeMethod>(
    method: Method,
    params: TranscodeParams[Method],
    options: TranscodeOptions,
  ): Promise<unknown> {
    return this.#order(method, { params: parseParams(method, params) }, options)
  }

  /** Runs one order; whatever ends it before its time ends the process. */
  async #order(
    method: string,
    { params, payload }: { readonly params: unknown; readonly payload?: Buffer },
    { signal, onProgress, onMoved }: TranscodeOptions,
  ): Promise<unknown> {
    if (this.#onEvent) throw new AppError('INTERNAL', 'a transcode process takes one order at a time')
    const silent = new AbortController()
    const stopped = anySignal(signal, silent.signal)
    // Begins with the order's first event: until then the process starts, which may take long on a busy machine.
    let timer: NodeJS.Timeout | undefined
    this.#onEvent = (value) => {
      const { progress } = parseTranscodeEvent(value)
      clearTimeout(timer)
      timer = setTimeout(() => silent.abort(this.#silence(method)), this.#silenceMs)
      onMoved?.()
      if (progress) onProgress?.(progress)
    }
    try {
      const options = { timeoutMs: noTimeoutMs, signal: stopped, ...(payload ? { payload } : {}) }
      return (await this.#child.request(method, params, options)).value
    } catch (error) {
      if (stopped.aborted) await this[Symbol.asyncDispose]()
      throw error
    } finally {
      clearTimeout(timer)
      this.#onEvent = undefined
    }
  }

  #silence(method: string): AppError {
    return new AppError('TIMEOUT', `nothing moved in "${method}" for ${this.#silenceMs} ms; the process was ended`)
  }
}

function parse<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> {
  if (Check(schema, value)) return value
  throw new AppError('MALFORMED', 'a transcode process answered what does not follow its schema')
}
