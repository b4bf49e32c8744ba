/** From the pixels of a source to those of a rendition: upright, cropped, square, of even sides, never larger than they were. */
import type { Picture, SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { JobInput, Rendition } from '../scenario.ts'

export type Size = { readonly width: number; readonly height: number }
type Crop = NonNullable<JobInput['crop']>

/** Encoders and players take no smaller picture, and hardly any takes a larger one. */
const shortestSide = 16
const longestSide = 8192

/** The source as a viewer sees it, before anything is scaled: upright, in square pixels. The width may be a fraction. */
export type ShownSource = {
  readonly width: number
  readonly height: number
  /** In whole even pixels of the upright picture; absent: all of it. */
  readonly crop: Crop | undefined
}

/** Throws `REQUEST_INVALID` for a crop that does not lie within the picture. */
export function shownSource(video: SourceVideo, wanted: Crop | undefined): ShownSource {
  const isTurned = video.rotationDegrees === 90 || video.rotationDegrees === 270
  const upright = isTurned ? { width: video.height, height: video.width } : { width: video.width, height: video.height }
  const { num, den } = video.pixelAspect
  const pixelAspect = isTurned ? den / num : num / den
  const crop = wanted && evenCrop(wanted, upright)
  const { width, height } = crop ?? upright
  return { width: width * pixelAspect, height, crop }
}

/** Colour is kept for squares of two pixels: a crop begins and ends on them. */
function evenCrop({ x, y, width, height }: Crop, upright: Size): Crop {
  const crop = { x: evenDown(x), y: evenDown(y), width: evenDown(width), height: evenDown(height) }
  const isInside = x + width <= upright.width && y + height <= upright.height
  if (isInside && crop.width >= shortestSide && crop.height >= shortestSide) return crop
  throw new AppError(
    'REQUEST_INVALID',
    `crop ${width}×${height} at ${x},${y} does not fit: the upright picture has ${upright.width}×${upright.height} pixels, and a crop at least ${shortestSide}×${shortestSide}`,
  )
}

/** The lines that a rung is compared with: of a picture that stands, the short side. 1080×1920 is "1080p", too. */
export function linesOf({ width, height }: Size): number {
  return Math.min(width, height)
}

/**
 * Size of a rendition whose short side has up to `lines` pixels: both sides even, the aspect kept within a pixel, and not larger than the source unless
 * `allowUpscale`. Throws `UNSUPPORTED` for a picture that is too small, or so long that nothing of it is left.
 */
export function outputSize(shown: Size, { height: lines, allowUpscale }: Pick<Rendition, 'height' | 'allowUpscale'>): Size {
  const aspect = Math.max(shown.width, shown.height) / linesOf(shown)
  const most = Math.min(lines, longestSide / aspect, allowUpscale ? lines : linesOf(shown))
  const short = evenDown(most)
  if (short < shortestSide) {
    const found = `${Math.round(shown.width)}×${shown.height}`
    throw new AppError(
      'UNSUPPORTED',
      `a picture of ${found} is too small or too long: no side may be below ${shortestSide} pixels`,
    )
  }
  const long = longSide(short * aspect, allowUpscale ? Infinity : Math.max(shown.width, shown.height))
  return shown.width < shown.height ? { width: short, height: long } : { width: long, height: short }
}

/** Divisions lose a bit on the way. */
const tolerance = 1e-6

/** The even number next to a length; the one below where the nearest is longer than allowed, and that is within a pixel, too. */
function longSide(exact: number, most: number): number {
  const nearest = Math.max(shortestSide, Math.round(exact / 2) * 2)
  return nearest > most && exact - (nearest - 2) <= 1 + tolerance ? nearest - 2 : nearest
}

function evenDown(value: number): number {
  return Math.floor(value / 2) * 2
}

/** A rung above the source is worth keeping when the next below it would lose this much of the lines. */
const worthKeeping = 1.1

/**
 * The renditions that a source is good for, by codec: those up to its lines, and those that allow upscaling. Of the rungs above one is kept, at the size of the
 * source, when there is no other or the next below would lose a tenth of the lines: 1920×800 is not brought down to 720 for want of 1080.
 */
export function keptRenditions(renditions: readonly Rendition[], shown: Size): readonly Rendition[] {
  const lines = linesOf(shown)
  const isWithin = ({ height, allowUpscale }: Rendition): boolean => allowUpscale || height <= lines
  const lowestAbove = new Map<Rendition['codec'], Rendition>()
  const highestWithin = new Map<Rendition['codec'], number>()
  for (const rendition of renditions) {
    const { codec, height } = rendition
    if (isWithin(rendition)) {
      highestWithin.set(codec, Math.max(height, highestWithin.get(codec) ?? 0))
      continue
    }
    const lowest = lowestAbove.get(codec)
    if (lowest === undefined || isBelow(rendition, lowest)) lowestAbove.set(codec, rendition)
  }
  const isKept = (rendition: Rendition): boolean =>
    isWithin(rendition) ||
    (rendition === lowestAbove.get(rendition.codec) && lines >= (highestWithin.get(rendition.codec) ?? 0) * worthKeeping)
  return renditions.filter(isKept)
}

function isBelow(one: Rendition, other: Rendition): boolean {
  return one.height === other.height ? ceilingOf(one) < ceilingOf(other) : one.height < other.height
}

function ceilingOf({ rate }: Rendition): number {
  return rate.mode === 'crf' ? Infinity : rate.maxBitsPerSecond
}

/** What is done with the source's pictures on their way to a rendition. */
export function pictureOf(
  video: SourceVideo,
  {
    shown,
    size,
    deinterlace,
    watermark,
  }: {
    readonly shown: ShownSource
    readonly size: Size
    readonly deinterlace: 'auto' | 'always' | 'never'
    readonly watermark: JobInput['watermark']
  },
): Picture {
  const isInterlaced = video.fieldOrder !== 'progressive'
  const { object: _, ...mark } = watermark ?? { object: '' }
  return {
    deinterlace: deinterlace === 'always' || (deinterlace === 'auto' && isInterlaced),
    rotationDegrees: video.rotationDegrees,
    ...(shown.crop ? { crop: shown.crop } : {}),
    ...size,
    ...('corner' in mark ? { watermark: mark } : {}),
  }
}
