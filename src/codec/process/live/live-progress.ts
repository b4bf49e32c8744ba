import type { TranscodeProgress } from '#codec/transcoding.ts'

const intervalMs = 500
/** The speed is that of about so many seconds: a burst at the start is soon forgotten. */
const windowSeconds = 5

type Mark = { readonly atMs: number; readonly seconds: number }

/** Counts frames of a rendition without end and tells it twice a second, while there is something new. */
export class LiveProgress implements Disposable {
  readonly #tell: (progress: TranscodeProgress) => void
  readonly #timer: NodeJS.Timeout
  #marks: Mark[] = []
  #frames = 0
  #toldFrames = 0
  #seconds = 0

  constructor(tell: (progress: TranscodeProgress) => void) {
    this.#tell = tell
    this.#timer = setInterval(() => this.#report(), intervalMs)
  }

  /** A frame was sent that is shown at this time of the rendition. */
  take(seconds: number): void {
    this.#frames += 1
    this.#seconds = seconds
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #report(): void {
    if (this.#frames === this.#toldFrames) return
    this.#toldFrames = this.#frames
    const now: Mark = { atMs: performance.now(), seconds: this.#seconds }
    const [oldest = now] = this.#marks
    this.#marks = [...this.#marks, now].slice((-windowSeconds * 1000) / intervalMs)
    const elapsedSeconds = (now.atMs - oldest.atMs) / 1000
    const speed = elapsedSeconds > 0 ? Math.max(0, (now.seconds - oldest.seconds) / elapsedSeconds) : 0
    this.#tell({ frames: this.#frames, totalFrames: 0, speed: Math.round(speed * 1000) / 1000 })
  }
}
