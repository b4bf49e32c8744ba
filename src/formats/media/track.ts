/** What a decoder must know before the first frame. Parameter sets are bare NAL units: no start code, no length prefix. */
export type CodecParameters =
  | { readonly codec: 'h264'; readonly sps: Buffer; readonly pps: Buffer }
  | { readonly codec: 'h265'; readonly vps: Buffer; readonly sps: Buffer; readonly pps: Buffer }
  /** `config` is the AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1. */
  | { readonly codec: 'aac'; readonly config: Buffer; readonly sampleRateHz: number; readonly channelCount: number }
  | { readonly codec: 'opus'; readonly channelCount: number }
  /** G.711, A-law and µ-law. */
  | { readonly codec: 'pcma' | 'pcmu'; readonly sampleRateHz: number; readonly channelCount: number }

export type Codec = CodecParameters['codec']
export type VideoCodec = Extract<Codec, 'h264' | 'h265'>

/**
 * One elementary stream within a stream. Immutable: when the parameters change, a new `Track` with the same `id` takes its place,
 * so that every access unit carries the parameters it needs.
 */
export type Track = {
  readonly id: number
  readonly kind: 'video' | 'audio'
  /** Ticks per second of this track's timestamps: 90,000 for video, the sample rate for audio (48,000 for Opus). */
  readonly clockRateHz: number
  readonly parameters: CodecParameters
}

export function isVideoCodec(codec: Codec): codec is VideoCodec {
  return codec === 'h264' || codec === 'h265'
}

/** Whether both describe the same decoder set-up, bit by bit. */
export function sameParameters(a: CodecParameters, b: CodecParameters): boolean {
  if (a === b) return true
  if (a.codec === 'h264' && b.codec === 'h264') return a.sps.equals(b.sps) && a.pps.equals(b.pps)
  if (a.codec === 'h265' && b.codec === 'h265') return a.vps.equals(b.vps) && a.sps.equals(b.sps) && a.pps.equals(b.pps)
  if (a.codec === 'aac' && b.codec === 'aac') return a.config.equals(b.config)
  if (a.codec === 'opus' && b.codec === 'opus') return a.channelCount === b.channelCount
  if ((a.codec === 'pcma' || a.codec === 'pcmu') && a.codec === b.codec) {
    return a.sampleRateHz === b.sampleRateHz && a.channelCount === b.channelCount
  }
  return false
}
