import type { Static } from 'typebox'
import { Type } from 'typebox'
import { Check } from 'typebox/value'
import { PeerProcess } from './peer-process.ts'

const pictureSchema = Type.Object({
  ptsSeconds: Type.Number(),
  /** Of all the dots of the decoded picture. */
  sha256: Type.String(),
  /** What `job-files.ts` wrote into the corner. */
  sourceFrame: Type.Integer(),
  /** Brightness at each of the wanted points, 0 to 255. */
  luma: Type.Array(Type.Number()),
})
export type FilmPicture = Static<typeof pictureSchema>

const filmTrackSchema = Type.Object({
  kind: Type.Enum(['video', 'audio']),
  /** FFmpeg's name: `h264`, `hevc`, `av1`, `vp9`, `aac`, `opus`. */
  codec: Type.String(),
  decodeErrors: Type.Integer(),
  /** Of the first picture, `320x180`; empty for sound. */
  size: Type.String(),
  bitDepth: Type.Integer(),
  transfer: Type.Integer(),
  isInterlaced: Type.Boolean(),
  /** Metadata of HDR10 that came with a picture. */
  hasMasteringDisplay: Type.Boolean(),
  hasContentLight: Type.Boolean(),
  pictures: Type.Array(pictureSchema),
  /** Of sound: how long it is, and when a beep begins. */
  seconds: Type.Number(),
  beepSeconds: Type.Array(Type.Number()),
})
export type FilmTrack = Static<typeof filmTrackSchema>

const filmSchema = Type.Object({ tracks: Type.Array(filmTrackSchema) })
export type Film = Static<typeof filmSchema>

export type ReadFilmOptions = {
  /** An address or a path: a file, a master playlist with all its tracks, a manifest. */
  readonly url: string
  /** Places to look at, as parts of width and height. */
  readonly points?: readonly (readonly [x: number, y: number])[]
  /** How wide the picture of the source was that a number was written into; that of the picture when absent. */
  readonly numberWidth?: number
}

/** Decodes every frame of a film with libav. Throws what libav says. */
export async function readFilm(options: ReadFilmOptions): Promise<Film> {
  await using peer = new PeerProcess(new URL('./process/read-film.ts', import.meta.url), options)
  const film = await peer.event('film')
  if (!Check(filmSchema, film)) throw new Error(`${options.url}: the reader said ${JSON.stringify(film)}`)
  return film
}

/** The only track of this kind. Throws when there is none, or several. */
export function onlyFilmTrack({ tracks }: Film, kind: FilmTrack['kind']): FilmTrack {
  const [track, ...others] = tracks.filter((candidate) => candidate.kind === kind)
  if (!track || others.length > 0) throw new Error(`${others.length + (track ? 1 : 0)} ${kind} tracks instead of 1`)
  return track
}
