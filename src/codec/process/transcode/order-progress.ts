import type { TranscodeEvent } from '#codec/transcode-orders.ts'
import type { TranscodeProgress } from '#codec/transcoding.ts'

const intervalMs = 500

/** For an order that measures its progress itself: says that it begins, and then tells whatever it is given. */
export function tellProgress(emit: (event: TranscodeEvent) => void): (progress: TranscodeProgress) => void {
  let moves = 0
  emit({ moves })
  return (progress) => emit({ moves: ++moves, progress })
}

/** Counts what an order does and tells it: when it begins, and twice a second. */
export class OrderProgress implements Disposable {
  readonly #seconds: number
  readonly #emit: (event: TranscodeEvent) => void
  readonly #startMs = performance.now()
  readonly #timer: NodeJS.Timeout
  #moves = 0
  #reportedMoves = 0
  #frames = 0
  #totalFrames = 0

  /** `seconds` of the timeline are ordered; 0: there is nothing but signs of life to tell. */
  constructor(seconds: number, emit: (event: TranscodeEvent) => void) {
    this.#seconds = seconds
    this.#emit = emit
    this.#timer = setInterval(() => this.report(), intervalMs)
    emit({ moves: 0 })
  }

  /** What the work calls. */
  get hooks(): {
    onMoved: () => void
    onProgress: (progress: Pick<TranscodeProgress, 'frames' | 'totalFrames'>) => void
  } {
    return {
      onMoved: () => {
        this.#moves += 1
      },
      onProgress: ({ frames, totalFrames }) => {
        this.#moves += 1
        this.#frames = frames
        this.#totalFrames = totalFrames
      },
    }
  }

  /** Tells now, if there is something new. */
  report(): void {
    if (this.#moves === this.#reportedMoves) return
    this.#reportedMoves = this.#moves
    this.#emit({ moves: this.#moves, ...(this.#totalFrames === 0 ? {} : { progress: this.#progress() }) })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #progress(): TranscodeProgress {
    const elapsedSeconds = Math.max(0.001, (performance.now() - this.#startMs) / 1000)
    const speed = ((this.#frames / this.#totalFrames) * this.#seconds) / elapsedSeconds
    return { frames: this.#frames, totalFrames: this.#totalFrames, speed: Math.round(speed * 1000) / 1000 }
  }
}
