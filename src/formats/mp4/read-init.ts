import { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'
import { boxesIn, findBox, requireBox } from './read-boxes.ts'

/** One track as an initialization segment declares it. */
export type InitTrack = {
  /** `track_ID`. */
  readonly id: number
  readonly kind: 'video' | 'audio' | 'other'
  readonly timescaleHz: number
  /** Pixels; 0 for audio. */
  readonly width: number
  readonly height: number
  /** The boxes of `stsd` as they stand: codec and its configuration. */
  readonly sampleEntries: readonly Buffer[]
  /** What a fragment means when it does not say it, `trex`. */
  readonly defaults: SampleDefaults
}

export type SampleDefaults = { readonly durationTicks: number; readonly sizeBytes: number; readonly flags: number }

/** An initialization segment, read. */
export type MovieInit = {
  readonly tracks: readonly InitTrack[]
  /** The track that decides where one may start: the first video track, or the first one. */
  readonly leading: InitTrack
}

const maxTracks = 64

/** Reads `ftyp` + `moov` of a fragmented file, ISO/IEC 14496-12 §8.2. Throws `MALFORMED`, `TRUNCATED`, `LIMIT_EXCEEDED`. */
export function readInit(bytes: Buffer): MovieInit {
  const moov = requireBox(bytes, 'moov')
  const defaults = readTrackExtends(moov)
  const tracks: InitTrack[] = []
  for (const box of boxesIn(moov)) {
    if (box.type !== 'trak') continue
    if (tracks.length >= maxTracks)
      throw new AppError('LIMIT_EXCEEDED', `more than ${maxTracks} tracks in one initialization segment`)
    tracks.push(readTrack(box.body, defaults))
  }
  const leading = tracks.find(({ kind }) => kind === 'video') ?? tracks[0]
  if (!leading) throw new AppError('MALFORMED', 'an initialization segment without tracks')
  return { tracks, leading }
}

/** Track, ISO/IEC 14496-12 §8.3.1. */
function readTrack(trak: Buffer, defaults: ReadonlyMap<number, SampleDefaults>): InitTrack {
  const { id, width, height } = readTrackHeader(requireBox(trak, 'tkhd'))
  const timescaleHz = readTimescale(requireBox(trak, 'mdia', 'mdhd'))
  const stsd = requireBox(trak, 'mdia', 'minf', 'stbl', 'stsd')
  if (stsd.length < 8) throw new AppError('TRUNCATED', `stsd of ${stsd.length} bytes`)
  const sampleEntries = [...boxesIn(stsd.subarray(8))].map(({ offset, sizeBytes }) =>
    stsd.subarray(8 + offset, 8 + offset + sizeBytes),
  )
  if (sampleEntries.length === 0) throw new AppError('MALFORMED', `track ${id} has no sample entry`)
  return {
    id,
    kind: readKind(requireBox(trak, 'mdia', 'hdlr')),
    timescaleHz,
    width,
    height,
    sampleEntries,
    defaults: defaults.get(id) ?? { durationTicks: 0, sizeBytes: 0, flags: 0 },
  }
}

/** Track header, ISO/IEC 14496-12 §8.3.2. */
function readTrackHeader(body: Buffer): { id: number; width: number; height: number } {
  const r = new Reader(body)
  const version = r.u8() // version
  r.skip(3) // flags
  r.skip(version === 1 ? 16 : 8) // creation_time, modification_time
  const id = r.u32() // track_ID
  r.skip(4) // reserved
  r.skip(version === 1 ? 8 : 4) // duration
  r.skip(8 + 2 + 2 + 2 + 2 + 36) // reserved, layer, alternate_group, volume, reserved, matrix
  const width = Math.floor(r.u32() / 65_536) // width, 16.16
  const height = Math.floor(r.u32() / 65_536) // height, 16.16
  return { id, width, height }
}

/** Media header, ISO/IEC 14496-12 §8.4.2. */
function readTimescale(body: Buffer): number {
  const r = new Reader(body)
  const version = r.u8() // version
  r.skip(3) // flags
  r.skip(version === 1 ? 16 : 8) // creation_time, modification_time
  const timescaleHz = r.u32() // timescale
  if (timescaleHz === 0) throw new AppError('MALFORMED', 'a track with timescale 0')
  return timescaleHz
}

/** Handler reference, ISO/IEC 14496-12 §8.4.3. */
function readKind(body: Buffer): InitTrack['kind'] {
  const r = new Reader(body)
  r.skip(8) // version, flags, pre_defined
  const handler = r.ascii(4) // handler_type
  if (handler === 'vide') return 'video'
  return handler === 'soun' ? 'audio' : 'other'
}

/** Track extends defaults, ISO/IEC 14496-12 §8.8.3, by track. */
function readTrackExtends(moov: Buffer): Map<number, SampleDefaults> {
  const defaults = new Map<number, SampleDefaults>()
  for (const box of boxesIn(findBox(moov, 'mvex') ?? Buffer.alloc(0))) {
    if (box.type !== 'trex') continue
    const r = new Reader(box.body)
    r.skip(4) // version, flags
    const trackId = r.u32() // track_ID
    r.skip(4) // default_sample_description_index
    defaults.set(trackId, { durationTicks: r.u32(), sizeBytes: r.u32(), flags: r.u32() }) // default_sample_duration, _size, _flags
  }
  return defaults
}
