import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'

/** Real parameter sets of a 320x180 H.264 stream made by x264 (High profile, level 1.3). */
export const h264Parameters = {
  codec: 'h264',
  sps: Buffer.from('6764000dacd941419f9f011000000300100000030320f1429960', 'hex'),
  pps: Buffer.from('68ebe3cb22c0', 'hex'),
} as const

export const videoTrack: Track = { id: 1, kind: 'video', clockRateHz: 90_000, parameters: h264Parameters }
export const audioTrack: Track = {
  id: 2,
  kind: 'audio',
  clockRateHz: 48_000,
  parameters: { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 },
}

/** An access unit as a test needs it; times in milliseconds. */
export function unitAt(
  dtsMs: number,
  options: { track?: Track; isKeyframe?: boolean; sizeBytes?: number; compositionMs?: number } = {},
): AccessUnit {
  const { track = videoTrack, sizeBytes = 100, compositionMs = 0 } = options
  const { isKeyframe = track.kind === 'audio' } = options
  const dtsTicks = Math.round((dtsMs * track.clockRateHz) / 1000)
  const data = Buffer.alloc(sizeBytes, 1)
  if (track.kind === 'video') {
    data.writeUInt32BE(sizeBytes - 4, 0)
    data[4] = isKeyframe ? 0x65 : 0x41
  }
  return {
    track,
    dtsTicks,
    ptsTicks: dtsTicks + Math.round((compositionMs * track.clockRateHz) / 1000),
    ntpMs: dtsMs,
    isKeyframe,
    data,
  }
}

/** Video at 25 fps with a keyframe each `gop` frames. */
export function* video({ fromMs = 0, frames = 50, gop = 25, sizeBytes = 100, track = videoTrack } = {}): Generator<AccessUnit> {
  for (let i = 0; i < frames; i++) yield unitAt(fromMs + i * 40, { track, isKeyframe: i % gop === 0, sizeBytes })
}
