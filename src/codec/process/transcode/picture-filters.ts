import type { Picture } from '#codec/transcoding.ts'
import { isHdrTransfer, type Color } from './color-names.ts'

/** Exact rather than fast, so that every machine makes the same pixels. */
const scaleFlags = 'bicubic+accurate_rnd+full_chroma_int+bitexact'

export type PictureTarget = {
  readonly picture: Picture
  /** Whether there is a watermark's picture; without one `picture.watermark` means nothing. */
  readonly hasMark: boolean
  readonly color: Color
  /** Name of the encoder's pixel format. */
  readonly pixelFormat: string
}

/** The chain from a whole picture of the source, `[in]`, to what the encoder gets, in FFmpeg's syntax; `[mark]` is the watermark's. */
export function pictureFilters({ picture, hasMark, color, pixelFormat }: PictureTarget, source: Color): string {
  const from = assumed(source, color)
  const chain = [
    `setparams=${named({ color_primaries: from.primaries, color_trc: filterTransfers[from.transfer] ?? from.transfer, colorspace: filterMatrix(from), range: from.range })}`,
    ...rotation(picture.rotationDegrees),
    ...(picture.crop ? [cropFilter(picture.crop)] : []),
    ...toColor(picture, from, color),
    `format=${pixelFormat}`,
    'setsar=1',
  ]
  const main = `[in]${chain.join(',')}`
  return hasMark && picture.watermark
    ? `${main}[main];${watermarkFilters(picture, picture.watermark, pixelFormat)}`
    : `${main}[out]`
}

/** What the source does not say is taken to be what is wanted. */
function assumed(source: Color, target: Color): Color {
  const pick = (name: string, otherwise: string) => (name === 'unknown' ? otherwise : name)
  // Signals of PQ and HLG that say nothing else are BT.2020.
  const isHdr = isHdrTransfer(source.transfer)
  return {
    primaries: pick(source.primaries, isHdr ? 'bt2020' : target.primaries),
    transfer: pick(source.transfer, target.transfer),
    matrix: pick(source.matrix, isHdr ? 'bt2020nc' : target.matrix),
    range: source.range === 'unknown' ? 'tv' : source.range,
  }
}

/** Matrices that no filter knows are not converted: they are the same in source and output, or as good as forgotten. */
function filterMatrix({ matrix, transfer }: Color): string {
  if (matrix === 'gbr' || Object.hasOwn(scalerMatrices, matrix)) return matrix
  return isHdrTransfer(transfer) ? 'bt2020nc' : 'unknown'
}

function rotation(degrees: Picture['rotationDegrees']): string[] {
  switch (degrees) {
    case 0:
      return []
    case 90:
      return ['transpose=clock']
    case 180:
      return ['hflip', 'vflip']
    case 270:
      return ['transpose=cclock']
    default:
      return degrees satisfies never
  }
}

function cropFilter({ x, y, width, height }: NonNullable<Picture['crop']>): string {
  return `crop=w=${width}:h=${height}:x=${x}:y=${y}:exact=1`
}

/** Where libavfilter has other names than FFmpeg's encoders. */
const filterTransfers: Readonly<Record<string, string>> = { gamma22: 'bt470m', gamma28: 'bt470bg' }

/** The scaler's own names. */
const scalerMatrices: Readonly<Record<string, string>> = {
  bt709: 'bt709',
  fcc: 'fcc',
  bt470bg: 'bt470',
  smpte170m: 'smpte170m',
  smpte240m: 'smpte240m',
  bt2020nc: 'bt2020',
}

/** Scales and brings into the wanted colours; light of HDR is mapped onto SDR when that is wanted. */
function toColor({ width, height }: Picture, from: Color, to: Color): string[] {
  const range = to.range === 'unknown' ? 'tv' : to.range
  if (isHdrTransfer(from.transfer) && !isHdrTransfer(to.transfer)) {
    const size = `scale=w=${width}:h=${height}:flags=${scaleFlags}`
    return [
      size,
      'zscale=t=linear:npl=100',
      'format=gbrpf32le',
      'zscale=p=bt709',
      'tonemap=tonemap=hable:desat=0',
      `zscale=t=bt709:m=bt709:r=${range}`,
    ]
  }
  const wanted = to.matrix === from.matrix ? undefined : scalerMatrices[to.matrix]
  const matrix = wanted === undefined ? {} : { out_color_matrix: wanted }
  return [`scale=w=${width}:h=${height}:flags=${scaleFlags}:${named({ ...matrix, out_range: range })}`]
}

function watermarkFilters(
  { width }: Picture,
  { corner, widthPercent, marginPercent, opacity }: NonNullable<Picture['watermark']>,
  pixelFormat: string,
): string {
  const markWidth = Math.max(1, Math.round((width * widthPercent) / 100))
  const margin = Math.round((width * marginPercent) / 100)
  const x = corner.endsWith('left') ? `${margin}` : `W-w-${margin}`
  const y = corner.startsWith('top') ? `${margin}` : `H-h-${margin}`
  const depth = pixelFormat.includes('10') ? 'yuv420p10' : 'yuv420'
  const mark = `[mark]format=rgba,scale=w=${markWidth}:h=-1:flags=${scaleFlags},colorchannelmixer=aa=${opacity}[faint]`
  return `${mark};[main][faint]overlay=x=${x}:y=${y}:eof_action=repeat:format=${depth},format=${pixelFormat}[out]`
}

/** `a=b:c=d` of what has a name that libavfilter knows. */
function named(options: Readonly<Record<string, string>>): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(':')
}
