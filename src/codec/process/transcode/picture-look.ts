import {
  AV_FRAME_DATA_CONTENT_LIGHT_LEVEL,
  AV_FRAME_DATA_MASTERING_DISPLAY_METADATA,
  AV_FRAME_FLAG_INTERLACED,
  AV_FRAME_FLAG_TOP_FIELD_FIRST,
  AV_PKT_DATA_CONTENT_LIGHT_LEVEL,
  AV_PKT_DATA_DISPLAYMATRIX,
  AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
  type AVPixelFormat,
} from 'node-av/constants'
import { avGetPixFmtName, type Frame, type Stream } from 'node-av/lib'
import type { Hdr, SourceVideo } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import { colorOf, type Color } from './color-names.ts'
import { contentLightText, masteringDisplayText } from './hdr-metadata.ts'
import { MediaInput, type Run } from './media-input.ts'
import { VideoSource } from './video-source.ts'

/** So many pictures are decoded to see what they are, or fewer when most of them must be alike. */
const looks = 16

export type PictureFacts = Pick<
  SourceVideo,
  'pixelFormat' | 'bitDepth' | 'pixelAspect' | 'rotationDegrees' | 'fieldOrder' | 'color' | 'hdr'
>

/** What the first pictures of a source look like. Throws `MALFORMED` when none can be decoded. */
export async function lookAtPictures(url: string, run: Run): Promise<PictureFacts> {
  await using input = await MediaInput.open(url, run)
  using source = new VideoSource(input, 1)
  let facts: PictureFacts | undefined
  let hdr: Hdr | undefined
  const fields = { progressive: 0, 'top-first': 0, 'bottom-first': 0 }
  for (let look = 0; look < looks; look++) {
    const frame = await source.next()
    if (!frame) break
    fields[fieldOrderOf(frame)] += 1
    hdr ??= hdrOf(frame, source.stream)
    facts ??= factsOf(frame, source.stream)
    if (fields.progressive >= looks / 2) break
  }
  if (!facts) throw new AppError('MALFORMED', 'no picture of the source can be decoded')
  const fieldOrder = fields['top-first'] + fields['bottom-first'] <= fields.progressive ? 'progressive' : interlacedOrder(fields)
  return { ...facts, fieldOrder, ...(hdr ? { hdr } : {}) }
}

function factsOf(frame: Frame, stream: Stream): PictureFacts {
  const pixelFormat = nameOf(frame)
  return {
    pixelFormat,
    bitDepth: bitDepthOf(pixelFormat),
    pixelAspect: aspectOf(frame, stream),
    rotationDegrees: rotationOf(stream),
    fieldOrder: 'progressive',
    color: mergedColor(colorOf(frame), colorOf(stream.codecpar)),
  }
}

function nameOf({ format }: Frame): string {
  return (isPixelFormat(format) && avGetPixFmtName(format)) || 'unknown'
}

function isPixelFormat(format: number): format is AVPixelFormat {
  return format >= 0
}

/** `yuv420p10le`, `p010le`, `gbrp12be`: planar names end with the depth, unless it is 8. */
function bitDepthOf(pixelFormat: string): number {
  const depth = Number(/(?:p|p0|y|gray|xyz)(9|10|12|14|16)(?:le|be)$/.exec(pixelFormat)?.[1] ?? 8)
  return /^(rgb48|rgba64|bgr48|bgra64)/.test(pixelFormat) ? 16 : depth
}

function aspectOf(frame: Frame, stream: Stream): { num: number; den: number } {
  const said = [stream.sampleAspectRatio, frame.sampleAspectRatio].find(({ num, den }) => num > 0 && den > 0)
  return said ? { num: said.num, den: said.den } : { num: 1, den: 1 }
}

function fieldOrderOf(frame: Frame): SourceVideo['fieldOrder'] {
  if (!frame.hasFlags(AV_FRAME_FLAG_INTERLACED)) return 'progressive'
  return frame.hasFlags(AV_FRAME_FLAG_TOP_FIELD_FIRST) ? 'top-first' : 'bottom-first'
}

function interlacedOrder(fields: Record<SourceVideo['fieldOrder'], number>): SourceVideo['fieldOrder'] {
  return fields['top-first'] >= fields['bottom-first'] ? 'top-first' : 'bottom-first'
}

/** The picture knows best; what it does not say may stand in the container. */
function mergedColor(picture: Color, container: Color): Color {
  const pick = <Name extends string>(own: Name, other: Name) => (own === 'unknown' ? other : own)
  return {
    primaries: pick(picture.primaries, container.primaries),
    transfer: pick(picture.transfer, container.transfer),
    matrix: pick(picture.matrix, container.matrix),
    range: pick(picture.range, container.range),
  }
}

function hdrOf(frame: Frame, stream: Stream): Hdr | undefined {
  const { transfer } = mergedColor(colorOf(frame), colorOf(stream.codecpar))
  if (transfer === 'arib-std-b67') return { kind: 'hlg' }
  if (transfer !== 'smpte2084') return undefined
  const display =
    frame.getSideData(AV_FRAME_DATA_MASTERING_DISPLAY_METADATA) ??
    stream.codecpar.getCodedSideData(AV_PKT_DATA_MASTERING_DISPLAY_METADATA)
  const light =
    frame.getSideData(AV_FRAME_DATA_CONTENT_LIGHT_LEVEL) ?? stream.codecpar.getCodedSideData(AV_PKT_DATA_CONTENT_LIGHT_LEVEL)
  const masteringDisplay = display ? masteringDisplayText(display) : undefined
  const contentLight = light ? contentLightText(light) : undefined
  return {
    kind: masteringDisplay ? 'hdr10' : 'pq',
    ...(masteringDisplay ? { masteringDisplay } : {}),
    ...(contentLight ? { contentLight } : {}),
  }
}

/** Of the matrix that players apply, 3 × 3 in 16.16 fixed point: how far clockwise it turns. Mirrored pictures count as upright. */
function rotationOf(stream: Stream): SourceVideo['rotationDegrees'] {
  const matrix = stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX)
  if (!matrix || matrix.length < 36) return 0
  const [a = 0, b = 0] = new Int32Array(Uint8Array.from(matrix).buffer)
  const quarters = Math.round((Math.atan2(b, a) * 2) / Math.PI)
  return ([0, 90, 180, 270] as const)[(quarters + 4) % 4] ?? 0
}
