import type { Reader } from '#bytes/reader.ts'
import type { Writer } from '#bytes/writer.ts'

/** Seconds from 1900, where NTP time begins, to 1970. */
const unixEpochSeconds = 2_208_988_800

/** A 64-bit NTP timestamp, RFC 3550 §4, in the two forms that RTCP needs. */
export type NtpTime = {
  /** Milliseconds since the Unix epoch. */
  readonly ms: number
  /** The middle 32 bits, by which a receiver refers to a sender report. */
  readonly middle: number
}

export function readNtpTime(r: Reader): NtpTime {
  const seconds = r.u32() // NTP timestamp, most significant word
  const fraction = r.u32() // NTP timestamp, least significant word
  // Seconds wrap in 2036; until then no clock that works shows the lower half.
  const era = seconds < 2 ** 31 ? 2 ** 32 : 0
  const ms = (seconds + era - unixEpochSeconds) * 1000 + (fraction * 1000) / 2 ** 32
  return { ms, middle: (seconds % 2 ** 16) * 2 ** 16 + Math.floor(fraction / 2 ** 16) }
}

export function writeNtpTime(w: Writer, ms: number): void {
  const seconds = Math.floor(ms / 1000)
  w.u32((seconds + unixEpochSeconds) % 2 ** 32)
  w.u32(Math.floor(((ms - seconds * 1000) * 2 ** 32) / 1000))
}
