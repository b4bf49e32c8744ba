import type { RtpHeader } from './header.ts'
import type { RtpParameters } from './track-description.ts'

/** Why packets or units could not be used; each is counted under its name. */
export type PayloadProblem =
  /** A length inside the payload does not fit. */
  | 'payload-malformed'
  /** An interleaved or otherwise unknown kind of packet. */
  | 'payload-unsupported'
  /** The middle of a fragmented unit without its beginning, and no packet was lost. */
  | 'fragment-without-start'
  /** A unit above `maxUnitBytes`, or an audio frame above 64 KiB. */
  | 'unit-too-large'
  /** A parameter set that cannot be parsed. */
  | 'parameter-set-invalid'

/** A complete frame. `data` is as in `AccessUnit` and belongs to whoever gets it. */
export type RtpFrame = {
  /** As in the packets, 32 bits. */
  readonly timestamp: number
  /** When its first packet came. */
  readonly arrivalMs: number
  readonly isKeyframe: boolean
  readonly data: Buffer
}

/** A second of music, five of speech: frames of sound are too small for memory of their own. */
export const audioSlabBytes = 16 * 1024

/** Where a depacketizer leaves what it finds. Called within `push` and `gap`. */
export interface FrameSink {
  frame(frame: RtpFrame): void
  problem(reason: PayloadProblem): void
  /** A frame was thrown away because a part of it was lost or unusable. */
  discarded(): void
}

/** Joins the payloads of one track to frames. Nothing is kept of `packet` after `push`; nothing throws. */
export interface Depacketizer {
  push(packet: Buffer, header: RtpHeader, arrivalMs: number): void
  /** Packets are missing before the next one. */
  gap(): void
  /** What is known of the codec by now; a new object when parameter sets within the stream change it. */
  readonly parameters: RtpParameters
}
