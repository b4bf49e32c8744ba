import { Reader } from '#bytes/reader.ts'
import { AppError } from '#lib/errors.ts'
import { sampleFlags, tfhdFlags, trunFlags } from './flags.ts'
import { boxesIn, type ByteSource, readBoxHeader, requireBox, WindowedReader } from './read-boxes.ts'
import type { InitTrack, MovieInit, SampleDefaults } from './read-init.ts'

/** One sample of a fragmented file. */
export type IndexedSample = {
  readonly dtsTicks: number
  /** Composition time minus decode time. */
  readonly ctoTicks: number
  readonly durationTicks: number
  readonly sizeBytes: number
  readonly isKeyframe: boolean
  /** Where its bytes begin in the file. */
  readonly offset: number
}

/** The samples of one track within one fragment. */
export type TrackSamples = { readonly track: InitTrack; readonly samples: readonly IndexedSample[] }

/** One whole `moof` + `mdat` of a file. Samples are not kept: `fragmentSamples` reads them out of `moof` when somebody wants them. */
export type Fragment = {
  /** Where `moof` begins in the file. */
  readonly offset: number
  /** `moof` and `mdat` together. */
  readonly sizeBytes: number
  readonly moof: Buffer
  /** Decode time of the leading track on the stream's timeline: of its first sample, and of what would follow its last. */
  readonly startMs: number
  readonly endMs: number
  /** Starts with a keyframe of the leading track. */
  readonly isIndependent: boolean
}

/** A fragment header above this is taken for damage. 200 ms of video and audio need about 500 bytes. */
const maxMoofBytes = 4 * 2 ** 20
const maxSamplesPerRun = 100_000

/**
 * The whole fragments of a file from `from` on, in order, until the file ends or something is not a whole, well-formed `moof` + `mdat`:
 * a half-written part, a tail of zeros, garbage. Never throws for what is in the file; errors of `source` pass through.
 */
export async function* scanFragments(source: ByteSource, init: MovieInit, from: number): AsyncGenerator<Fragment> {
  const reader = new WindowedReader(source)
  for (let at = from; at < source.sizeBytes;) {
    const fragment = await loadFragment(reader, { at, init, fileBytes: source.sizeBytes })
    if (!fragment) return
    yield fragment
    at += fragment.sizeBytes
  }
}

async function loadFragment(
  reader: WindowedReader,
  { at, init, fileBytes }: { at: number; init: MovieInit; fileBytes: number },
): Promise<Fragment | undefined> {
  // Two header reads of the file, then pure parsing; the only errors translated are those of the parsing.
  const moofHead = await reader.view(at, 16)
  const moofBytes = declaredSize(moofHead, 'moof', fileBytes - at)
  if (moofBytes === undefined || moofBytes > maxMoofBytes) return undefined
  const moof = Buffer.from(await reader.view(at, moofBytes))
  const mdatHead = await reader.view(at + moofBytes, 16)
  const mdatBytes = declaredSize(mdatHead, 'mdat', fileBytes - at - moofBytes)
  if (mdatBytes === undefined || moof.length < moofBytes) return undefined
  return orUndefined(() => readFragment(moof, { offset: at, mdatBytes, init }))
}

/**
 * A fragment from its `moof` and the size of the `mdat` behind it. Throws `MALFORMED` when a sample lies outside that `mdat`, when no
 * sample is there, or when a track is unknown to `init`; `TRUNCATED`, `LIMIT_EXCEEDED`.
 */
export function readFragment(
  moof: Buffer,
  { offset, mdatBytes, init }: { offset: number; mdatBytes: number; init: MovieInit },
): Fragment {
  const tracks = fragmentSamples(moof, offset, init)
  const sizeBytes = moof.length + mdatBytes
  for (const { samples } of tracks) {
    for (const sample of samples) {
      if (sample.offset < offset + moof.length + 8 || sample.offset + sample.sizeBytes > offset + sizeBytes) {
        throw new AppError('MALFORMED', `a sample at ${sample.offset} lies outside the media data of the fragment at ${offset}`)
      }
    }
  }
  const leading = tracks.find(({ track, samples }) => track === init.leading && samples.length > 0)
  const timed = leading ?? tracks.find(({ samples }) => samples.length > 0)
  const first = timed?.samples[0]
  const last = timed?.samples.at(-1)
  if (!timed || !first || !last) throw new AppError('MALFORMED', `the fragment at ${offset} has no sample`)
  const rateHz = timed.track.timescaleHz
  return {
    offset,
    sizeBytes,
    moof,
    startMs: (first.dtsTicks * 1000) / rateHz,
    endMs: ((last.dtsTicks + last.durationTicks) * 1000) / rateHz,
    isIndependent: leading !== undefined && first.isKeyframe,
  }
}

/** The samples that a whole `moof` box at `moofOffset` of its file describes, by track fragment. Throws as `readFragment`. */
export function fragmentSamples(moof: Buffer, moofOffset: number, init: MovieInit): TrackSamples[] {
  const { headerBytes } = readBoxHeader(moof, 0)
  const tracks: TrackSamples[] = []
  for (const box of boxesIn(moof.subarray(headerBytes))) {
    if (box.type === 'traf') tracks.push(readTrackFragment(box.body, moofOffset, init))
  }
  return tracks
}

type TrackFragmentHeader = { readonly track: InitTrack; readonly baseOffset: number; readonly defaults: SampleDefaults }

/** Track fragment, ISO/IEC 14496-12 §8.8.6. */
function readTrackFragment(traf: Buffer, moofOffset: number, init: MovieInit): TrackSamples {
  const header = readTrackFragmentHeader(requireBox(traf, 'tfhd'), moofOffset, init)
  const tfdt = new Reader(requireBox(traf, 'tfdt'))
  const version = tfdt.u8() // version
  tfdt.skip(3) // flags
  const cursor = { dtsTicks: version === 1 ? tfdt.u64() : tfdt.u32(), offset: header.baseOffset } // baseMediaDecodeTime
  const samples: IndexedSample[] = []
  for (const box of boxesIn(traf)) if (box.type === 'trun') readTrackRun(box.body, header, cursor, samples)
  return { track: header.track, samples }
}

/** Track fragment header, ISO/IEC 14496-12 §8.8.7. */
function readTrackFragmentHeader(body: Buffer, moofOffset: number, init: MovieInit): TrackFragmentHeader {
  const r = new Reader(body)
  r.skip(1) // version
  const flags = r.u24() // flags
  const trackId = r.u32() // track_ID
  const track = init.tracks.find(({ id }) => id === trackId)
  if (!track) throw new AppError('MALFORMED', `a fragment of track ${trackId}, which the initialization segment does not have`)
  const baseOffset = flags & tfhdFlags.baseDataOffset ? r.u64() : moofOffset // base_data_offset
  if (flags & tfhdFlags.sampleDescriptionIndex) r.skip(4) // sample_description_index
  const durationTicks = flags & tfhdFlags.defaultSampleDuration ? r.u32() : track.defaults.durationTicks // default_sample_duration
  const sizeBytes = flags & tfhdFlags.defaultSampleSize ? r.u32() : track.defaults.sizeBytes // default_sample_size
  const sampleFlagBits = flags & tfhdFlags.defaultSampleFlags ? r.u32() : track.defaults.flags // default_sample_flags
  return { track, baseOffset, defaults: { durationTicks, sizeBytes, flags: sampleFlagBits } }
}

/** Track run, ISO/IEC 14496-12 §8.8.8; moves `cursor` behind its last sample. */
function readTrackRun(
  body: Buffer,
  { track, baseOffset, defaults }: TrackFragmentHeader,
  cursor: { dtsTicks: number; offset: number },
  samples: IndexedSample[],
): void {
  const r = new Reader(body)
  const version = r.u8() // version
  const flags = r.u24() // flags
  const count = r.u32() // sample_count
  if (count > maxSamplesPerRun)
    throw new AppError('LIMIT_EXCEEDED', `a track run of ${count} samples; at most ${maxSamplesPerRun} are read`)
  if (flags & trunFlags.dataOffset) cursor.offset = baseOffset + r.i32() // data_offset
  const firstFlags = flags & trunFlags.firstSampleFlags ? r.u32() : undefined // first_sample_flags
  for (let i = 0; i < count; i++) {
    const durationTicks = flags & trunFlags.sampleDuration ? r.u32() : defaults.durationTicks // sample_duration
    const sizeBytes = flags & trunFlags.sampleSize ? r.u32() : defaults.sizeBytes // sample_size
    const ownFlags = flags & trunFlags.sampleFlags ? r.u32() : defaults.flags // sample_flags
    const bits = i === 0 ? (firstFlags ?? ownFlags) : ownFlags
    const ctoTicks = readCompositionOffset(r, version, flags)
    const isKeyframe = track.kind !== 'video' || (bits & sampleFlags.isNonSync) === 0
    samples.push({ dtsTicks: cursor.dtsTicks, ctoTicks, durationTicks, sizeBytes, isKeyframe, offset: cursor.offset })
    cursor.dtsTicks += durationTicks
    cursor.offset += sizeBytes
  }
}

/** Signed since version 1. */
function readCompositionOffset(r: Reader, version: number, flags: number): number {
  if (!(flags & trunFlags.sampleCompositionOffset)) return 0
  return version === 0 ? r.u32() : r.i32() // sample_composition_time_offset
}

/** The size of a box of the given type, when its header is whole and the box fits. */
function declaredSize(head: Buffer, type: string, availableBytes: number): number | undefined {
  const header = orUndefined(() => readBoxHeader(head, 0, availableBytes))
  // A size of 0, "to the end of the file", is never written for fragments: it is what a tail of zeros looks like.
  if (header?.type !== type || head.readUInt32BE(0) === 0) return undefined
  return header.sizeBytes
}

function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
