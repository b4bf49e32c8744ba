import type { DashAudio, DashVideo } from '#formats/dash/mpd.ts'
import { targetDurationOf } from '#formats/hls/file-playlist.ts'
import type { MasterAudio, MasterVideo, MeasuredRate, VideoRange } from '#formats/hls/master-playlist.ts'
import { sampleEntryCodec } from '#formats/mp4/sample-entry-codecs.ts'
import type { ChunkStream } from '../transcode/chunk-description.ts'
import { averageBitsPerSecond, peakBitsPerSecond, type Stretch } from './bit-rates.ts'
import type { CmafLayout, FileStretch } from './cmaf-file.ts'
import type { WrittenTrack } from './cmaf-track.ts'
import type { OrderedTrack, StitchedTrack } from './stitched-track.ts'

/** A track as players are told of it. */
export type PlayerTrack = {
  readonly order: OrderedTrack
  readonly stream: ChunkStream
  readonly layout: CmafLayout
  /** RFC 6381. */
  readonly codecs: string
  readonly segments: readonly Stretch[]
  readonly fileName: string
  readonly playlistName: string
  readonly iframesName: string
}

export function playerTrack({ order, stream }: StitchedTrack, { layout, sampleEntry }: WrittenTrack): PlayerTrack {
  return {
    order,
    stream,
    layout,
    codecs: sampleEntryCodec(sampleEntry),
    segments: stretches(layout, layout.segments),
    fileName: `${order.name}.mp4`,
    playlistName: `${order.name}.m3u8`,
    iframesName: `${order.name}-iframes.m3u8`,
  }
}

export function toMasterVideo(track: PlayerTrack, targetSeconds: number): MasterVideo | undefined {
  const { stream, codecs, layout } = track
  if (stream.kind !== 'video') return undefined
  const iframes = stretches(layout, layout.iframes)
  return {
    uri: track.playlistName,
    codecs,
    width: stream.width,
    height: stream.height,
    framesPerSecond: stream.timeBase.den / stream.timeBase.num,
    videoRange: videoRangeOf(stream.colorTransfer),
    rate: rateOf(track.segments, targetSeconds),
    iframes: {
      uri: track.iframesName,
      rate: rateOf(iframes, targetDurationOf(iframes.map(({ durationSeconds }) => durationSeconds))),
    },
  }
}

export function toMasterAudio(track: PlayerTrack, targetSeconds: number): MasterAudio | undefined {
  const { stream, order, codecs } = track
  if (stream.kind !== 'audio' || order.kind !== 'audio') return undefined
  const language = languageTag(order.language)
  return {
    uri: track.playlistName,
    codecs,
    name: order.title ?? language ?? order.name,
    ...(language === undefined ? {} : { language }),
    isDefault: order.isDefault,
    channels: stream.channels,
    rate: rateOf(track.segments, targetSeconds),
  }
}

export function toDashVideo(track: PlayerTrack, targetSeconds: number): DashVideo | undefined {
  const { stream } = track
  if (stream.kind !== 'video') return undefined
  const { timeBase, colorPrimaries, colorTransfer, colorMatrix } = stream
  const color = { primaries: colorPrimaries, transfer: colorTransfer, matrix: colorMatrix }
  return {
    ...dashFile(track, targetSeconds),
    width: stream.width,
    height: stream.height,
    frameRate: { num: timeBase.den, den: timeBase.num },
    ...(videoRangeOf(colorTransfer) === 'SDR' ? {} : { color }),
  }
}

export function toDashAudio(track: PlayerTrack, targetSeconds: number): DashAudio | undefined {
  const { stream, order } = track
  if (stream.kind !== 'audio' || order.kind !== 'audio') return undefined
  const language = languageTag(order.language)
  return {
    ...dashFile(track, targetSeconds),
    sampleRateHz: stream.sampleRate,
    channels: stream.channels,
    ...(language === undefined ? {} : { language }),
    ...(order.title === undefined ? {} : { title: order.title }),
    isDefault: order.isDefault,
  }
}

function dashFile({ order, fileName, codecs, layout, segments }: PlayerTrack, targetSeconds: number) {
  return {
    id: order.name,
    uri: fileName,
    codecs,
    initByteRange: layout.init,
    indexByteRange: layout.index,
    bandwidthBitsPerSecond: peakBitsPerSecond(segments, targetSeconds),
  }
}

function rateOf(segments: readonly Stretch[], targetSeconds: number): MeasuredRate {
  return {
    peakBitsPerSecond: peakBitsPerSecond(segments, targetSeconds),
    averageBitsPerSecond: averageBitsPerSecond(segments),
  }
}

function stretches({ timescaleHz }: CmafLayout, list: readonly FileStretch[]): Stretch[] {
  return list.map(({ length, durationTicks }) => ({ sizeBytes: length, durationSeconds: durationTicks / timescaleHz }))
}

/** `transfer_characteristics` of ISO/IEC 23091-2. */
function videoRangeOf(transfer: number): VideoRange {
  if (transfer === 16) return 'PQ'
  return transfer === 18 ? 'HLG' : 'SDR'
}

/** RFC 5646 from what files have, often three letters: `eng` is `en`. What is no language, or `und`, is left out. */
function languageTag(language: string | undefined): string | undefined {
  if (language === undefined || language === 'und') return undefined
  try {
    return Intl.getCanonicalLocales(language)[0]
  } catch {
    return undefined
  }
}
