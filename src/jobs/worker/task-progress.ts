import type { TranscodeProgress } from '#codec/transcoding.ts'
import type { WorkerTask } from '../worker-protocol.ts'

const mebibyte = 1 << 20

/** Part of the frames that is counted when files have arrived, not when frames were made: a task that sends for long is alive. */
const sendingParts = { package: 0.5, other: 0.1 } as const

/** How far an attempt is, in frames of its task. */
export class TaskProgress {
  readonly #totalFrames: number
  readonly #sendingPart: number
  #madeFrames = 0
  #sentPart = 0
  #sentBytes = 0
  #speed = 0
  #movedAtMs = performance.now()

  constructor({ spec, totalFrames }: Pick<WorkerTask, 'spec' | 'totalFrames'>) {
    this.#sendingPart = spec.kind === 'package' ? sendingParts.package : sendingParts.other
    this.#totalFrames = totalFrames
  }

  /** Whole frames that only grow. */
  get frames(): number {
    if (this.#totalFrames === 0) return this.#madeFrames + Math.floor(this.#sentBytes / mebibyte)
    const madePart = Math.min(1, this.#madeFrames / this.#totalFrames)
    return Math.round(this.#totalFrames * (madePart * (1 - this.#sendingPart) + this.#sentPart * this.#sendingPart))
  }

  get speed(): number {
    return this.#speed
  }

  /** How long nothing has moved. */
  get idleMs(): number {
    return performance.now() - this.#movedAtMs
  }

  made({ frames, speed }: TranscodeProgress): void {
    this.#speed = Number.isFinite(speed) ? Math.max(0, speed) : 0
    if (frames <= this.#madeFrames) return
    this.#madeFrames = Math.floor(frames)
    this.#movedAtMs = performance.now()
  }

  sent(sentBytes: number, totalBytes: number): void {
    this.#speed = 0
    if (sentBytes <= this.#sentBytes) return
    this.#sentBytes = sentBytes
    this.#sentPart = totalBytes > 0 ? Math.min(1, sentBytes / totalBytes) : 1
    this.#movedAtMs = performance.now()
  }

  /** Something else shows that the attempt is alive: it reads. */
  touch(): void {
    this.#movedAtMs = performance.now()
  }
}
