import type { Timeline } from '#codec/transcoding.ts'
import { secondsOf } from './cuts.ts'
import type { StitchedTrack } from './stitched-track.ts'
import { inputError } from './track-error.ts'

/** For rounding of seconds. */
const slackSeconds = 1e-6

/** A track ends with the timeline, up to one frame of the one or the other. Throws `ENCODE_DAMAGED`, naming the last input. */
export function requireDuration({ order, stream, timeBase }: StitchedTrack, endSeconds: number, timeline: Timeline): void {
  const frameSeconds = timeline.frameRate.den / timeline.frameRate.num
  const wantedSeconds = timeline.frameCount * frameSeconds
  const ownSeconds = secondsOf(timeBase) * (stream.kind === 'video' ? 1 : Math.max(1, stream.frameSize))
  if (Math.abs(endSeconds - wantedSeconds) <= Math.max(frameSeconds, ownSeconds) + slackSeconds) return
  throw inputError(
    'ENCODE_DAMAGED',
    { track: order.name, input: order.inputs.length - 1 },
    `the track ends at ${endSeconds.toFixed(3)} s, the work at ${wantedSeconds.toFixed(3)} s`,
  )
}
