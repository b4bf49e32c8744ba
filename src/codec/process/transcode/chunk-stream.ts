import {
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_AV1,
  AV_CODEC_ID_H264,
  AV_CODEC_ID_HEVC,
  AV_CODEC_ID_OPUS,
  AV_CODEC_ID_VP9,
  AV_CHANNEL_ORDER_NATIVE,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
  type AVChromaLocation,
  type AVCodecID,
  type AVColorPrimaries,
  type AVColorRange,
  type AVColorSpace,
  type AVColorTransferCharacteristic,
  type AVPacketSideDataType,
  type AVProfile,
} from 'node-av/constants'
import {
  avGetPixFmtFromName,
  avGetPixFmtName,
  avGetSampleFmtFromName,
  avGetSampleFmtName,
  CodecParameters,
  FFmpegError,
  Rational,
  type CodecContext,
} from 'node-av/lib'
import type { AudioCodec, VideoCodec } from '#codec/transcoding.ts'
import type { ChunkStream } from './chunk-description.ts'

const codecIds: Record<VideoCodec | AudioCodec, AVCodecID> = {
  h264: AV_CODEC_ID_H264,
  h265: AV_CODEC_ID_HEVC,
  av1: AV_CODEC_ID_AV1,
  vp9: AV_CODEC_ID_VP9,
  aac: AV_CODEC_ID_AAC,
  opus: AV_CODEC_ID_OPUS,
}

/** Describes what an open video encoder makes. */
export function videoChunkStream(context: CodecContext, codec: VideoCodec): ChunkStream {
  using parameters = parametersOf(context)
  return {
    kind: 'video',
    codec,
    ...sharedOf(parameters, context),
    width: parameters.width,
    height: parameters.height,
    pixelFormat: avGetPixFmtName(context.pixelFormat) ?? 'unknown',
    pixelAspect: plain(parameters.sampleAspectRatio),
    frameRate: plain(context.framerate),
    colorPrimaries: parameters.colorPrimaries,
    colorTransfer: parameters.colorTrc,
    colorMatrix: parameters.colorSpace,
    colorRange: parameters.colorRange,
    chromaLocation: parameters.chromaLocation,
    videoDelay: parameters.videoDelay,
  }
}

/** Describes what an open audio encoder makes. */
export function audioChunkStream(context: CodecContext, codec: AudioCodec): ChunkStream {
  using parameters = parametersOf(context)
  return {
    kind: 'audio',
    codec,
    ...sharedOf(parameters, context),
    sampleFormat: avGetSampleFmtName(context.sampleFormat) ?? 'unknown',
    sampleRate: parameters.sampleRate,
    channels: parameters.channels,
    channelMask: String(parameters.channelLayout.mask),
    frameSize: parameters.frameSize,
    initialPadding: parameters.initialPadding,
    bitsPerSecond: Number(parameters.bitRate),
  }
}

/** Writes the description into parameters of libav, such as those of a muxer's stream. */
export function fillParameters(parameters: CodecParameters, stream: ChunkStream): void {
  parameters.codecId = codecIds[stream.codec]
  parameters.codecTag = 0
  if (isNumberOf<AVProfile>(stream.profile)) parameters.profile = stream.profile
  parameters.level = stream.level
  const extradata = Buffer.from(stream.extradata, 'base64')
  parameters.extradata = extradata.length > 0 ? extradata : null
  for (const { type, data } of stream.sideData) {
    if (!isNumberOf<AVPacketSideDataType>(type)) continue
    FFmpegError.throwIfError(parameters.addCodedSideData(type, Buffer.from(data, 'base64')), 'add side data')
  }
  if (stream.kind === 'video') fillVideo(parameters, stream)
  else fillAudio(parameters, stream)
}

function fillVideo(parameters: CodecParameters, stream: Extract<ChunkStream, { kind: 'video' }>): void {
  parameters.codecType = AVMEDIA_TYPE_VIDEO
  parameters.width = stream.width
  parameters.height = stream.height
  parameters.format = avGetPixFmtFromName(stream.pixelFormat)
  parameters.sampleAspectRatio = new Rational(stream.pixelAspect.num, stream.pixelAspect.den)
  parameters.frameRate = new Rational(stream.frameRate.num, stream.frameRate.den)
  parameters.videoDelay = stream.videoDelay
  if (isNumberOf<AVColorPrimaries>(stream.colorPrimaries)) parameters.colorPrimaries = stream.colorPrimaries
  if (isNumberOf<AVColorTransferCharacteristic>(stream.colorTransfer)) parameters.colorTrc = stream.colorTransfer
  if (isNumberOf<AVColorSpace>(stream.colorMatrix)) parameters.colorSpace = stream.colorMatrix
  if (isNumberOf<AVColorRange>(stream.colorRange)) parameters.colorRange = stream.colorRange
  if (isNumberOf<AVChromaLocation>(stream.chromaLocation)) parameters.chromaLocation = stream.chromaLocation
}

function fillAudio(parameters: CodecParameters, stream: Extract<ChunkStream, { kind: 'audio' }>): void {
  parameters.codecType = AVMEDIA_TYPE_AUDIO
  parameters.format = avGetSampleFmtFromName(stream.sampleFormat)
  parameters.sampleRate = stream.sampleRate
  parameters.channelLayout = { nbChannels: stream.channels, order: AV_CHANNEL_ORDER_NATIVE, mask: BigInt(stream.channelMask) }
  parameters.frameSize = stream.frameSize
  parameters.initialPadding = stream.initialPadding
  parameters.bitRate = BigInt(stream.bitsPerSecond)
}

function parametersOf(context: CodecContext): CodecParameters {
  const parameters = new CodecParameters()
  parameters.alloc()
  FFmpegError.throwIfError(parameters.fromContext(context), 'describe an encoder')
  return parameters
}

function sharedOf(parameters: CodecParameters, context: CodecContext) {
  return {
    timeBase: plain(context.timeBase),
    extradata: (parameters.extradata ?? Buffer.alloc(0)).toString('base64'),
    sideData: parameters.getAllCodedSideData().map(({ type, data }) => ({ type, data: data.toString('base64') })),
    profile: parameters.profile,
    level: parameters.level,
  }
}

function plain({ num, den }: Rational): { num: number; den: number } {
  return { num, den }
}

/** Libav's enumerations are numbers with a brand. */
function isNumberOf<Brand extends number>(value: number): value is Brand {
  return Number.isInteger(value)
}
