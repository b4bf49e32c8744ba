import type { Frame } from 'node-av/lib'
import { AppError } from '#lib/errors.ts'
import { colorOf } from './color-names.ts'
import { bufferOptions, FilterPipe } from './filter-pipe.ts'
import { MediaInput, type Run } from './media-input.ts'
import { pictureFilters, type PictureTarget } from './picture-filters.ts'
import { VideoSource } from './video-source.ts'

/** Times within the filters do not matter: one tick for each picture. */
const timeBase = { num: 1, den: 1000 }

/** Makes pictures of a source what the encoder gets: upright, cropped, scaled, marked. */
export class PicturePipe implements Disposable {
  readonly #target: PictureTarget
  readonly #mark: Frame | undefined
  #pipe: FilterPipe | undefined
  #format = ''
  #count = 0n

  /** `mark` is the watermark's picture; it becomes the pipe's. */
  constructor(target: PictureTarget, mark: Frame | undefined) {
    this.#target = target
    this.#mark = mark
  }

  /** The finished picture; it is overwritten by the next call. The source's picture stays the caller's. */
  process(picture: Frame): Frame {
    const format = `${bufferOptions(picture, timeBase)}:${picture.colorPrimaries}:${picture.colorTrc}`
    if (!this.#pipe || format !== this.#format) this.#pipe = this.#open(picture)
    this.#format = format
    picture.pts = this.#count
    this.#count += 1n
    this.#pipe.push('in', picture)
    const done = this.#pipe.pull()
    if (!done) throw new AppError('CODEC_FAILED', 'the filters gave no picture')
    return done
  }

  [Symbol.dispose](): void {
    this.#pipe?.[Symbol.dispose]()
    this.#mark?.free()
  }

  /** Sources may change size or colour on their way. */
  #open(picture: Frame): FilterPipe {
    this.#pipe?.[Symbol.dispose]()
    const inputs = {
      in: bufferOptions(picture, timeBase),
      ...(this.#mark ? { mark: bufferOptions(this.#mark, timeBase) } : {}),
    }
    const pipe = new FilterPipe('video', pictureFilters(this.#target, colorOf(picture)), inputs)
    if (this.#mark) {
      this.#mark.pts = 0n
      pipe.push('mark', this.#mark)
      pipe.push('mark', null)
    }
    return pipe
  }
}

/** Reads the first picture of an image. Throws what `MediaInput` throws, `MALFORMED` when there is none. */
export async function loadImage(url: string, run: Run): Promise<Frame> {
  await using input = await MediaInput.open(url, run)
  using source = new VideoSource(input, 1)
  const image = (await source.next())?.clone()
  if (!image) throw new AppError('MALFORMED', 'the watermark has no picture')
  return image
}
