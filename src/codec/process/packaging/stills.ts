import type { Frame } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'
import type { MediaInput } from '../transcode/media-input.ts'
import { VideoSource } from '../transcode/video-source.ts'

const decoderThreads = 2
/** When a jump gained nothing, so many times its length are decoded before the next one is tried. */
const patience = 4

/** Pictures of a source at growing times. Goes on decoding where it is, or jumps where that is shorter. */
export class Stills implements Disposable {
  readonly #input: MediaInput
  readonly #signal: AbortSignal
  #source: VideoSource | undefined
  /** The last picture that was decoded: a reference of its own, as the source lets go of each when it is asked for the next. */
  #frame: Frame | undefined
  #frameMs = -Infinity
  #noJumpBeforeMs = -Infinity

  constructor(input: MediaInput, signal: AbortSignal) {
    this.#input = input
    this.#signal = signal
  }

  /**
   * The first picture at or behind `timeMs` on the source's clock, or the last one of the source. With `sinceMs`, a keyframe
   * between the two will do. It is valid until the next call. Throws `UNSUPPORTED` or `MALFORMED` when the source has no picture
   * there.
   */
  async at(timeMs: number, sinceMs = timeMs): Promise<Frame> {
    if (!this.#source || timeMs < this.#frameMs || timeMs > this.#noJumpBeforeMs) await this.#jump(timeMs)
    while (this.#frameMs < sinceMs) if (!(await this.#next())) break
    if (!this.#frame) throw new AppError('MALFORMED', `the source has no picture that can be decoded at ${Math.round(timeMs)} ms`)
    return this.#frame
  }

  [Symbol.dispose](): void {
    this.#source?.[Symbol.dispose]()
    this.#source = undefined
    this.#frame?.free()
    this.#frame = undefined
  }

  async #jump(timeMs: number): Promise<void> {
    const cameFromMs = this.#frameMs
    this.#source?.[Symbol.dispose]()
    this.#source = new VideoSource(this.#input, decoderThreads)
    await this.#source.startAt(timeMs)
    // Where nothing follows, the picture of before stays.
    await this.#next()
    const gained = this.#frameMs > cameFromMs
    this.#noJumpBeforeMs = gained ? -Infinity : timeMs + patience * (timeMs - this.#frameMs)
  }

  async #next(): Promise<boolean> {
    this.#signal.throwIfAborted()
    const frame = await this.#source?.next()
    if (!frame || !this.#source) return false
    this.#frame?.free()
    this.#frame = frame.clone() ?? undefined
    this.#frameMs = Number(frame.bestEffortTimestamp) * this.#source.tickSeconds * 1000
    return true
  }
}
