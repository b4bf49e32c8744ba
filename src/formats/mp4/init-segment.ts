import type { Track } from '#formats/media/track.ts'
import { BoxWriter } from './box-writer.ts'
import { sampleFlags } from './flags.ts'
import { pictureOf } from './picture.ts'
import { writeHandler, writeMatrix, writeMediaInformation } from './progressive-boxes.ts'
import { writeSampleEntry } from './sample-entry.ts'

/** Timescale of the movie header; each track counts in its own clock rate. */
const movieTimescaleHz = 1000

/** `track_ID` of a track from its position among the tracks of an initialization segment. */
export function trackIdAt(index: number): number {
  return index + 1
}

/**
 * The initialization segment for these tracks, in this order: `ftyp` + `moov` with `mvex` (ISO/IEC 14496-12 §8.2.1, §8.8.1).
 *
 * No edit list: composition offsets are never negative (decode time is never after presentation time), so each track's times are the
 * stream's own and the tracks agree. G.711 is written as QuickTime's `alaw` and `ulaw`, which the ISO base format has no entry for.
 */
export function writeInitSegment(tracks: readonly Track[]): Buffer {
  const w = new BoxWriter(2048)
  w.box('ftyp', () => {
    w.ascii('iso5') // major_brand
    w.u32(512) // minor_version
    for (const brand of ['iso5', 'iso6', 'mp41']) w.ascii(brand) // compatible_brands
  })
  w.box('moov', () => {
    writeMovieHeader(w, tracks.length)
    for (const [index, track] of tracks.entries()) writeTrack(w, track, trackIdAt(index))
    w.box('mvex', () => {
      for (const [index, track] of tracks.entries()) writeTrackExtends(w, track, trackIdAt(index))
    })
  })
  return w.finish()
}

/** Movie header, ISO/IEC 14496-12 §8.2.2. */
function writeMovieHeader(w: BoxWriter, trackCount: number): void {
  w.fullBox('mvhd', 0, 0, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(movieTimescaleHz) // timescale
    w.u32(0) // duration: unknown, the fragments tell
    w.u32(0x0001_0000) // rate 1.0
    w.u16(0x0100) // volume 1.0
    w.zeros(2 + 8) // reserved
    writeMatrix(w) // matrix
    w.zeros(24) // pre_defined
    w.u32(trackIdAt(trackCount)) // next_track_ID
  })
}

function writeTrack(w: BoxWriter, track: Track, trackId: number): void {
  w.box('trak', () => {
    writeTrackHeader(w, track, trackId)
    w.box('mdia', () => {
      writeMediaHeader(w, track)
      writeHandler(w, track.kind)
      w.box('minf', () => {
        writeMediaInformation(w, track.kind)
        writeSampleTable(w, track)
      })
    })
  })
}

/** Track header, ISO/IEC 14496-12 §8.3.2. */
function writeTrackHeader(w: BoxWriter, track: Track, trackId: number): void {
  const isVideo = track.kind === 'video'
  const { width, height } = pictureOf(track.parameters)
  w.fullBox('tkhd', 0, trackEnabled | trackInMovie, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(trackId) // track_ID
    w.u32(0) // reserved
    w.u32(0) // duration
    w.zeros(8) // reserved
    w.i16(0) // layer
    w.i16(isVideo ? 0 : 1) // alternate_group
    w.u16(isVideo ? 0 : 0x0100) // volume
    w.u16(0) // reserved
    writeMatrix(w) // matrix
    w.u16(width).u16(0) // width, 16.16
    w.u16(height).u16(0) // height, 16.16
  })
}

const trackEnabled = 1
const trackInMovie = 2

/** Media header, ISO/IEC 14496-12 §8.4.2. */
function writeMediaHeader(w: BoxWriter, track: Track): void {
  w.fullBox('mdhd', 0, 0, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(track.clockRateHz) // timescale
    w.u32(0) // duration
    w.u16(languageUndetermined) // language
    w.u16(0) // pre_defined
  })
}

/** `und` as three letters of five bits, ISO/IEC 14496-12 §8.4.2.3. */
const languageUndetermined = 0x55c4

/** Sample table, ISO/IEC 14496-12 §8.5.1: the description of the codec, and no samples: they are in the fragments. */
function writeSampleTable(w: BoxWriter, track: Track): void {
  w.box('stbl', () => {
    w.fullBox('stsd', 0, 0, () => {
      w.u32(1) // entry_count
      writeSampleEntry(w, track)
    })
    for (const type of ['stts', 'stsc', 'stco']) {
      w.fullBox(type, 0, 0, () => {
        w.u32(0) // entry_count
      })
    }
    w.fullBox('stsz', 0, 0, () => {
      w.u32(0) // sample_size
      w.u32(0) // sample_count
    })
  })
}

/** Track extends, ISO/IEC 14496-12 §8.8.3: what a fragment does not say of its samples. */
function writeTrackExtends(w: BoxWriter, track: Track, trackId: number): void {
  w.fullBox('trex', 0, 0, () => {
    w.u32(trackId) // track_ID
    w.u32(1) // default_sample_description_index
    w.u32(0) // default_sample_duration
    w.u32(0) // default_sample_size
    w.u32(track.kind === 'video' ? sampleFlags.nonSync : sampleFlags.sync) // default_sample_flags
  })
}
