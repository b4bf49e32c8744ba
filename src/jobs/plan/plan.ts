/** What a job consists of once its source is known: plain data, kept with the job. The orders of its tasks follow from it alone. */
import type { AudioEncoder, FrameRange, Picture, Rolls, SourceProbe, Timeline, VideoEncoder } from '#codec/transcoding.ts'
import type { Scenario } from '../scenario.ts'

export type PlannedRendition = {
  readonly name: string
  readonly timeline: Timeline
  readonly picture: Picture
  readonly video: VideoEncoder
  /** In the order of the timeline; without holes. */
  readonly chunks: readonly FrameRange[]
  /** Around each of them. */
  readonly rolls: Rolls
}

export type PlannedAudio = {
  /** Unique within the job: `audio-0`. */
  readonly name: string
  readonly track: number
  readonly audio: AudioEncoder
  readonly language: string | undefined
  readonly title: string | undefined
  readonly isDefault: boolean
}

export type JobPlan = {
  readonly scenario: Scenario
  readonly probe: SourceProbe
  /** Of the clip, on the source's clock. */
  readonly startMs: number
  readonly durationMs: number
  readonly renditions: readonly PlannedRendition[]
  readonly audio: readonly PlannedAudio[]
  /** Why the pictures are encoded in one piece; absent: they are not. */
  readonly singlePiece: string | undefined
}
