import { BoxWriter } from './box-writer.ts'
import { sampleFlags, tfhdFlags, trunFlags } from './flags.ts'

/** What the head of a fragment says of a frame. */
export type SampleHead = {
  readonly data: { readonly length: number }
  /** At least 0, below 2^32. */
  readonly durationTicks: number
  /** Composition time minus decode time; may be negative (track run version 1). */
  readonly compositionOffsetTicks: number
  readonly isKeyframe: boolean
}

/** One frame inside a fragment. */
export type FragmentSample = SampleHead & { readonly data: Buffer }

/** The samples of one track inside a fragment. */
export type TrackFragment<Sample extends SampleHead = FragmentSample> = {
  /** `track_ID` of the initialization segment. */
  readonly trackId: number
  /** Video states flags and composition offsets for each sample; the samples of audio are all sync samples. */
  readonly kind: 'video' | 'audio'
  /** Decode time of the first sample in the track's timescale: `baseMediaDecodeTime`. */
  readonly decodeTicks: number
  readonly samples: readonly Sample[]
}

/** Bytes in pieces that follow each other: `chunks` are `sizeBytes` long together. */
export type Fragment = { readonly chunks: readonly Buffer[]; readonly sizeBytes: number }

/**
 * A movie fragment and its media data: `moof` + `mdat`, ISO/IEC 14496-12 §8.8.4 and §8.1.1. The first chunk is written here; the others are the
 * samples as they were given, not copied: one copy less of all media, and half the memory of whoever keeps both frames and fragments.
 * `sequenceNumber` grows from fragment to fragment; it is kept in 32 bits.
 */
export function writeFragment(sequenceNumber: number, tracks: readonly TrackFragment[]): Fragment {
  const head = writeFragmentHead(sequenceNumber, tracks)
  const samples = tracks.flatMap((track) => track.samples.map(({ data }) => data))
  return { chunks: [head, ...samples], sizeBytes: head.length + tracks.reduce((sum, track) => sum + sampleBytes(track), 0) }
}

/** The same without the samples, which follow it as they stand in `tracks`. */
export function writeFragmentHead(sequenceNumber: number, tracks: readonly TrackFragment<SampleHead>[]): Buffer {
  const moofSize = boxHeaderSize + mfhdSize + tracks.reduce((sum, track) => sum + trafSize(track), 0)
  const dataSize = tracks.reduce((sum, track) => sum + sampleBytes(track), 0)
  const w = new BoxWriter(moofSize + boxHeaderSize)
  let dataOffset = moofSize + boxHeaderSize
  w.box('moof', () => {
    w.fullBox('mfhd', 0, 0, () => {
      w.u32(sequenceNumber % 2 ** 32) // sequence_number
    })
    for (const track of tracks) {
      writeTrackFragment(w, track, dataOffset)
      dataOffset += sampleBytes(track)
    }
  })
  w.u32(boxHeaderSize + dataSize) // size
  w.ascii('mdat') // type
  return w.finish()
}

const boxHeaderSize = 8
const mfhdSize = 16
const tfhdSize = 16
const tfdtSize = 20
const trunHeaderSize = 20

/** Track fragment, ISO/IEC 14496-12 §8.8.6; `dataOffset` is that of its first sample from the start of the `moof`. */
function writeTrackFragment(w: BoxWriter, track: TrackFragment<SampleHead>, dataOffset: number): void {
  w.box('traf', () => {
    w.fullBox('tfhd', 0, tfhdFlags.defaultBaseIsMoof, () => {
      w.u32(track.trackId) // track_ID
    })
    w.fullBox('tfdt', 1, 0, () => {
      w.u64(track.decodeTicks) // baseMediaDecodeTime
    })
    writeTrackRun(w, track, dataOffset)
  })
}

/** Track run, ISO/IEC 14496-12 §8.8.8, version 1: signed composition offsets. */
function writeTrackRun(w: BoxWriter, { kind, samples }: TrackFragment<SampleHead>, dataOffset: number): void {
  w.fullBox('trun', 1, kind === 'video' ? videoRunFlags : audioRunFlags, () => {
    w.u32(samples.length) // sample_count
    w.i32(dataOffset) // data_offset
    for (const sample of samples) {
      w.u32(sample.durationTicks) // sample_duration
      w.u32(sample.data.length) // sample_size
      if (kind === 'audio') continue
      w.u32(sample.isKeyframe ? sampleFlags.sync : sampleFlags.nonSync) // sample_flags
      w.i32(sample.compositionOffsetTicks) // sample_composition_time_offset
    }
  })
}

const audioRunFlags = trunFlags.dataOffset | trunFlags.sampleDuration | trunFlags.sampleSize
const videoRunFlags = audioRunFlags | trunFlags.sampleFlags | trunFlags.sampleCompositionOffset

function trafSize({ kind, samples }: TrackFragment<SampleHead>): number {
  return boxHeaderSize + tfhdSize + tfdtSize + trunHeaderSize + samples.length * (kind === 'video' ? 16 : 8)
}

function sampleBytes({ samples }: TrackFragment<SampleHead>): number {
  return samples.reduce((sum, sample) => sum + sample.data.length, 0)
}
