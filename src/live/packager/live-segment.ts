import type { InitSegment, Part, Segment } from './cmaf.ts'

/** The segment that the packager fills; its listeners see it grow. */
export class LiveSegment implements Segment {
  readonly sequence: number
  readonly init: InitSegment
  readonly isDiscontinuity: boolean
  readonly ntpMs: number
  readonly startMs: number
  readonly #parts: Part[] = []
  #durationMs = 0
  #sizeBytes = 0
  #isComplete = false

  constructor(options: Pick<Segment, 'sequence' | 'init' | 'isDiscontinuity' | 'ntpMs' | 'startMs'>) {
    this.sequence = options.sequence
    this.init = options.init
    this.isDiscontinuity = options.isDiscontinuity
    this.ntpMs = options.ntpMs
    this.startMs = options.startMs
  }

  get parts(): readonly Part[] {
    return this.#parts
  }
  get durationMs(): number {
    return this.#durationMs
  }
  get sizeBytes(): number {
    return this.#sizeBytes
  }
  get isComplete(): boolean {
    return this.#isComplete
  }

  add(part: Part): void {
    this.#parts.push(part)
    this.#durationMs += part.durationMs
    this.#sizeBytes += part.sizeBytes
  }

  complete(): void {
    this.#isComplete = true
  }
}
