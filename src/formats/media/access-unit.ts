import type { Track } from './track.ts'

/**
 * One frame of one track, the unit that everything in Millrace passes on. Never changed after it is made; all readers share it.
 *
 * `data` is the frame as MP4 stores it, in one slab of its own: for video each NAL unit behind a 32-bit length (ISO/IEC 14496-15),
 * without access unit delimiters and parameter sets (these are in `track.parameters`); for audio one bare frame (AAC without ADTS,
 * one Opus packet, G.711 samples). So a sample in a recording is `data` as it stands, and an RTP payload is a slice of it.
 */
export type AccessUnit = {
  readonly track: Track
  /** When to show it, in `track.clockRateHz` ticks. */
  readonly ptsTicks: number
  /** When to decode it; never after `ptsTicks`, strictly growing within a track. */
  readonly dtsTicks: number
  /** Wall time of capture as far as known, milliseconds since the Unix epoch. */
  readonly ntpMs: number
  /** A decoder can start here. Always true for audio. */
  readonly isKeyframe: boolean
  readonly data: Buffer
}

export function ticksToMs(ticks: number, clockRateHz: number): number {
  return (ticks * 1000) / clockRateHz
}

export function msToTicks(ms: number, clockRateHz: number): number {
  return Math.round((ms * clockRateHz) / 1000)
}

/** The NAL units of a video access unit, as views. Stops quietly at a length that does not fit: `data` is made by us. */
export function* nalUnits(data: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= data.length;) {
    const length = data.readUInt32BE(at)
    yield data.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}
