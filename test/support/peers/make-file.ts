import { PeerProcess } from './peer-process.ts'

/** A track of a file to make. The graph must end by itself; its time stamps go into the file. */
export type TrackRecipe = {
  readonly kind: 'video' | 'audio'
  /** Filter graph that makes the frames in a format that the encoder takes, in FFmpeg's syntax, without a sink. */
  readonly filters: string
  /** Name in FFmpeg. */
  readonly encoder: string
  readonly encoderOptions?: Readonly<Record<string, string>>
  /** Such as `language` and `title`. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Clockwise, what players are told to do. */
  readonly rotationDegrees?: 90 | 180 | 270
}

export type FileRecipe = {
  readonly path: string
  /** Name of the muxer: `mp4`, `matroska`, `mpegts`, `image2`. */
  readonly format: string
  readonly tracks: readonly TrackRecipe[]
  readonly muxerOptions?: Readonly<Record<string, string>>
}

/** Makes a media file with libav. Returns its path; throws what libav says. */
export async function makeFile(recipe: FileRecipe): Promise<string> {
  await using peer = new PeerProcess(new URL('./process/make-file.ts', import.meta.url), recipe)
  await peer.event('made')
  return recipe.path
}
