import type { TranscodeProgress } from '#codec/transcoding.ts'

const intervalMs = 250

export type MeterOptions = {
  /** One entry for each time that a track is gone through. */
  readonly passes: readonly string[]
  /** Of the work. */
  readonly durationSeconds: number
  readonly framesPerSecond: number
  readonly nowMs: () => number
  readonly onProgress: (progress: TranscodeProgress) => void
}

/**
 * Adds up how far each pass over each track is, and tells it a few times a second. Frames are those of the timeline, once for
 * each pass.
 */
export class Meter {
  readonly #options: MeterOptions
  readonly #reached: Map<string, number>
  readonly #startedMs: number
  #toldMs = -Infinity
  #frames = 0

  constructor(options: MeterOptions) {
    this.#options = options
    this.#reached = new Map(options.passes.map((pass) => [pass, 0]))
    this.#startedMs = options.nowMs()
  }

  /** A pass has come to this second of the timeline. */
  reach(pass: string, seconds: number): void {
    const { durationSeconds, nowMs } = this.#options
    if (this.#reached.has(pass)) this.#reached.set(pass, Math.min(seconds, durationSeconds))
    if (nowMs() - this.#toldMs >= intervalMs) this.#tell()
  }

  /** Tells the same again: the work goes on without coming further. */
  repeat(): void {
    this.#tell()
  }

  #tell(): void {
    const { durationSeconds, framesPerSecond, nowMs, onProgress } = this.#options
    this.#toldMs = nowMs()
    const seconds = [...this.#reached.values()].reduce((sum, reached) => sum + reached, 0)
    const passes = this.#reached.size
    this.#frames = Math.max(this.#frames, Math.floor(seconds * framesPerSecond))
    const elapsedSeconds = Math.max(0.001, (this.#toldMs - this.#startedMs) / 1000)
    onProgress({
      frames: this.#frames,
      totalFrames: Math.max(this.#frames, Math.round(durationSeconds * framesPerSecond) * passes),
      speed: seconds / passes / elapsedSeconds,
    })
  }
}
