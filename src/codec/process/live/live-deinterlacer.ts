import { AV_FRAME_FLAG_INTERLACED } from 'node-av/constants'
import type { Frame } from 'node-av/lib'
import type { Rational } from '#codec/transcoding.ts'
import { deinterlaceFilters } from '../transcode/deinterlaced.ts'
import { bufferOptions, FilterPipe } from '../transcode/filter-pipe.ts'

/** Interlaced pictures of a stream as whole ones. Until the first of them comes, pictures pass at once; from then on they are one picture late. */
export class LiveDeinterlacer implements Disposable {
  readonly #timeBase: Rational
  #pipe: FilterPipe | undefined
  #format = ''

  constructor(timeBase: Rational) {
    this.#timeBase = timeBase
  }

  /** The picture that is ready when this one has come; valid until the next call. */
  take(picture: Frame): Frame | undefined {
    if (!this.#pipe && !picture.hasFlags(AV_FRAME_FLAG_INTERLACED)) return picture
    const format = bufferOptions(picture, this.#timeBase)
    if (!this.#pipe || format !== this.#format) {
      // One picture that waited for its neighbour is lost where a source changes its format.
      this.#pipe?.[Symbol.dispose]()
      this.#pipe = new FilterPipe('video', deinterlaceFilters(this.#timeBase), { in: format })
      this.#format = format
    }
    this.#pipe.push('in', picture)
    return this.#pipe.pull()
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
  }
}
