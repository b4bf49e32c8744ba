/** Which encoder makes a rendition, with what settings, and what that costs a worker. */
import type { SourceVideo, VideoEncoder } from '#codec/transcoding.ts'
import { AppError } from '#lib/errors.ts'
import type { NodeRow } from '../model.ts'
import type { Rendition, Scenario } from '../scenario.ts'
import { findEncoder, hardwareEncoders, softwareEncoder, type EncoderFacts } from './encoders.ts'
import { linesOf, type Size } from './picture-size.ts'

/** What is known of a worker when a job is planned. */
export type FleetWorker = Pick<NodeRow, 'capabilities'>

/** As an encoder's name: hardware where a worker has it, else software. */
export const autoEncoder = 'auto'

/** The capability that a worker must have. */
export function encoderNeed(encoder: string): string {
  return `encoder:${encoder}`
}

type Colours = Pick<VideoEncoder, 'bitDepth' | 'hdr' | 'color'>

/** The encoder's settings. All chunks of a rendition have the same, whatever worker makes them. */
export function videoEncoderFor({
  rendition,
  video,
  hdr,
  size,
  gopFrames,
  workers,
}: {
  readonly rendition: Rendition
  readonly video: Pick<SourceVideo, 'color' | 'hdr'>
  readonly hdr: Scenario['hdr']
  readonly size: Size
  readonly gopFrames: number
  readonly workers: readonly FleetWorker[]
}): VideoEncoder {
  const colours = coloursOf(rendition, video, hdr)
  const encoder = chooseEncoder(rendition, { isHdr: colours.hdr !== undefined, workers })
  const { codec, rate, preset } = rendition
  return {
    codec,
    encoder: encoder.name,
    rate,
    // With `auto` the word was meant for the software encoder; hardware has its own.
    preset: preset !== undefined && encoder.presets.test(preset) ? preset : encoder.preset,
    ...colours,
    gopFrames,
    threads: threadsFor(size),
  }
}

/** HDR is promised only by software encoders: drivers differ in what metadata they keep. */
function chooseEncoder(
  { codec, encoder, name }: Rendition,
  { isHdr, workers }: { readonly isHdr: boolean; readonly workers: readonly FleetWorker[] },
): EncoderFacts {
  const software = softwareEncoder(codec)
  if (encoder === undefined) return software
  if (encoder === autoEncoder) {
    const present = hardwareEncoders(codec).find((hardware) => canAny(workers, encoderNeed(hardware.name)))
    return isHdr ? software : (present ?? software)
  }
  const named = findEncoder(codec, encoder)
  if (named) return named
  throw new AppError(
    'SCENARIO_INVALID',
    `rendition "${name}" asks for ${encoder}, which does not make ${codec}; leave the encoder out`,
  )
}

function canAny(workers: readonly FleetWorker[], need: string): boolean {
  return workers.some(({ capabilities }) => capabilities.includes(need))
}

const sdrColor = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', range: 'tv' } as const

/** HDR stays only where it has room, 10 bit of H.265 or AV1; elsewhere the picture becomes SDR. */
function coloursOf(
  { codec, bitDepth = 8 }: Rendition,
  { color, hdr }: Pick<SourceVideo, 'color' | 'hdr'>,
  wanted: Scenario['hdr'],
): Colours {
  if (hdr === undefined) return { bitDepth, color: isRgb(color) ? sdrColor : color }
  const hasRoom = bitDepth === 10 && (codec === 'h265' || codec === 'av1')
  return wanted === 'keep' && hasRoom ? { bitDepth, color, hdr } : { bitDepth, color: sdrColor }
}

/** Pictures of red, green and blue become brightness and colour, as all codecs here have them. */
function isRgb({ matrix }: SourceVideo['color']): boolean {
  return matrix === 'gbr' || matrix === 'rgb'
}

/** Of one encoder. Never left to the machine: another number of threads makes another stream. */
export function threadsFor(size: Size): number {
  const lines = linesOf(size)
  if (lines <= 720) return 2
  return lines <= 1440 ? 4 : 8
}

/** Cores that an encoder keeps busy for each million pixels of a picture. */
const coresPerMegapixel = { h264: 0.9, h265: 1.4, av1: 1.4, vp9: 1.4 } as const
/** Besides the hardware a core decodes and scales. */
const hardwareCost = 1

/** Slots that a task of this encoder takes: about the cores that it keeps busy. A worker that has fewer gives it all. */
export function encoderCost(
  { codec, encoder, threads }: Pick<VideoEncoder, 'codec' | 'encoder' | 'threads'>,
  size: Size,
): number {
  if (findEncoder(codec, encoder)?.isHardware === true) return hardwareCost
  const busy = Math.ceil(((size.width * size.height) / 1_000_000) * coresPerMegapixel[codec])
  return Math.max(1, Math.min(busy, threads))
}
