import type { Frame } from 'node-av/lib'
import { bufferOptions, FilterPipe } from './filter-pipe.ts'
import type { FrameSource } from './frame-timeline.ts'

type TimeBase = { readonly num: number; readonly den: number }

/** A whole picture for each interlaced one, from `[in]` to `[out]`; one picture late. The filter would halve the ticks of their times. */
export function deinterlaceFilters({ num, den }: TimeBase): string {
  return `[in]bwdif=mode=send_frame:parity=auto:deint=interlaced,settb=${num}/${den}[out]`
}

/** Interlaced pictures of a source as whole ones, one for each; it looks at the picture before and behind. Whole ones pass. */
export class Deinterlaced implements FrameSource, Disposable {
  readonly #source: FrameSource
  readonly #timeBase: TimeBase
  #pipe: FilterPipe | undefined
  #format = ''
  #isEnding = false

  constructor(source: FrameSource, timeBase: TimeBase) {
    this.#source = source
    this.#timeBase = timeBase
  }

  get tickSeconds(): number {
    return this.#source.tickSeconds
  }

  async next(): Promise<Frame | undefined> {
    for (;;) {
      const ready = this.#pipe?.pull()
      if (ready) return ready
      if (this.#isEnding) return undefined
      const picture = await this.#source.next()
      if (picture) this.#push(picture)
      else this.#pipe?.push('in', null)
      this.#isEnding = !picture
    }
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
  }

  #push(picture: Frame): void {
    const format = bufferOptions(picture, this.#timeBase)
    if (format !== this.#format) {
      // One picture that waited for its neighbour is lost where a source changes its format.
      this.#pipe?.[Symbol.dispose]()
      this.#pipe = new FilterPipe('video', deinterlaceFilters(this.#timeBase), { in: format })
      this.#format = format
    }
    this.#pipe?.push('in', picture)
  }
}
