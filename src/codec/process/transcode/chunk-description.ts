import type { AudioCodec, Rational, VideoCodec } from '#codec/transcoding.ts'

type Shared = {
  /** One tick of all times: 1001/30000 for frames at 29.97 per second, 1/48000 for samples. */
  readonly timeBase: Rational
  /** As the encoder made it, for H.264 and H.265 in Annex B. Base64. */
  readonly extradata: string
  /** Side data of the whole stream under libav's type numbers: light levels and mastering display. Base64. */
  readonly sideData: readonly { readonly type: number; readonly data: string }[]
  readonly profile: number
  readonly level: number
}

type VideoStream = Shared & {
  readonly kind: 'video'
  readonly codec: VideoCodec
  readonly width: number
  readonly height: number
  readonly pixelFormat: string
  /** Shape of a pixel; 0/1 where it is not said. */
  readonly pixelAspect: Rational
  readonly frameRate: Rational
  readonly colorPrimaries: number
  readonly colorTransfer: number
  readonly colorMatrix: number
  readonly colorRange: number
  readonly chromaLocation: number
  /** Frames by which the encoder changes their order. */
  readonly videoDelay: number
}

type AudioStream = Shared & {
  readonly kind: 'audio'
  readonly codec: AudioCodec
  readonly sampleFormat: string
  readonly sampleRate: number
  readonly channels: number
  /** Speakers, as libav numbers them; decimal, for it may have 64 bits. */
  readonly channelMask: string
  /** Samples of one packet. */
  readonly frameSize: number
  /** Samples before the first one that is heard: the first packet's pts is their negative. */
  readonly initialPadding: number
  readonly bitsPerSecond: number
}

/** What a muxer must know about a chunk's packets. Equal streams may be stitched. Enumerations of colour are those of H.273. */
export type ChunkStream = VideoStream | AudioStream

type Fields<Stream> = { readonly [Name in keyof Stream]: (value: unknown) => boolean }

const shared: Fields<Shared> = { timeBase: isRate, extradata: isText, sideData: isSideData, profile: isInteger, level: isInteger }
const videoFields: Fields<VideoStream> = {
  ...shared,
  kind: (value) => value === 'video',
  codec: isKeyOf<VideoCodec>({ h264: true, h265: true, av1: true, vp9: true }),
  width: isCount,
  height: isCount,
  pixelFormat: isText,
  pixelAspect: (value) => isRational(value, 0),
  frameRate: isRate,
  colorPrimaries: isCount,
  colorTransfer: isCount,
  colorMatrix: isCount,
  colorRange: isCount,
  chromaLocation: isCount,
  videoDelay: isCount,
}
const audioFields: Fields<AudioStream> = {
  ...shared,
  kind: (value) => value === 'audio',
  codec: isKeyOf<AudioCodec>({ aac: true, opus: true }),
  sampleFormat: isText,
  sampleRate: isCount,
  channels: isCount,
  channelMask: (value) => typeof value === 'string' && /^\d{1,20}$/.test(value),
  frameSize: isCount,
  initialPadding: isCount,
  bitsPerSecond: isCount,
}

/** Whether JSON that was read is a description. By hand: see `child-messages.ts`. */
export function isChunkStream(value: unknown): value is ChunkStream {
  return hasFields(value, videoFields) || hasFields(value, audioFields)
}

/** All of these, and no others. */
function hasFields(value: unknown, fields: Readonly<Record<string, (value: unknown) => boolean>>): boolean {
  if (typeof value !== 'object' || value === null) return false
  const entries = Object.entries(value)
  return entries.length === Object.keys(fields).length && entries.every(([name, field]) => fields[name]?.(field) === true)
}

function isKeyOf<Name extends string>(names: Readonly<Record<Name, true>>): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && Object.hasOwn(names, value)
}

function isSideData(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => hasFields(each, { type: isCount, data: isText }))
}

function isRate(value: unknown): boolean {
  return isRational(value, 1)
}

function isRational(value: unknown, least: number): boolean {
  const isTerm = (term: unknown) => typeof term === 'number' && Number.isInteger(term) && term >= least
  return hasFields(value, { num: isTerm, den: isTerm })
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isInteger(value: unknown): boolean {
  return Number.isInteger(value)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
