import { BoxWriter } from './box-writer.ts'
import { sampleFlags } from './flags.ts'
import { writeHandler, writeMatrix, writeMediaInformation } from './progressive-boxes.ts'

/** The only track of a CMAF file, ISO/IEC 23000-19 §7. */
export type CmafTrack = {
  readonly kind: 'video' | 'audio'
  readonly timescaleHz: number
  /** The whole box of `stsd` that names the codec: `avc1`, `hvc1`, `av01`, `vp09`, `mp4a`, `Opus`. */
  readonly sampleEntry: Buffer
  /** Pixels as shown; 0 for audio. */
  readonly width: number
  readonly height: number
  /** Three letters, ISO 639-2/T; `und` where nobody knows. */
  readonly language: string
  /**
   * Media time at which the work begins: what encoders need to put pictures out of order, or put before sound. 0: no edit list is
   * written.
   */
  readonly mediaStartTicks: number
}

/** `track_ID` of the track. */
export const cmafTrackId = 1

/**
 * The CMAF header of one track: `ftyp` + `moov`, ISO/IEC 23000-19 §7.3.1.
 *
 * Decode times begin at 0 and composition offsets are never negative; the edit list says by how much pictures are shown later
 * than that. The other way, `cmf2` with negative offsets and without edit list, plays some frames late in libav (8.0,
 * `mov_read_trun`), and with it in every player built on it.
 */
export function writeCmafHeader(track: CmafTrack): Buffer {
  const w = new BoxWriter(2048)
  w.box('ftyp', () => {
    w.ascii('iso6') // major_brand
    w.u32(0) // minor_version
    for (const brand of ['iso6', 'cmfc', 'mp41', 'dash']) w.ascii(brand) // compatible_brands
  })
  w.box('moov', () => {
    writeMovieHeader(w, track)
    w.box('trak', () => {
      writeTrackHeader(w, track)
      if (track.mediaStartTicks > 0) writeEdits(w, track.mediaStartTicks)
      w.box('mdia', () => {
        writeMediaHeader(w, track)
        writeHandler(w, track.kind)
        w.box('minf', () => {
          writeMediaInformation(w, track.kind)
          writeSampleTable(w, track.sampleEntry)
        })
      })
    })
    w.box('mvex', () => {
      writeTrackExtends(w, track)
    })
  })
  return w.finish()
}

/** Movie header, ISO/IEC 14496-12 §8.2.2. */
function writeMovieHeader(w: BoxWriter, { timescaleHz }: CmafTrack): void {
  w.fullBox('mvhd', 0, 0, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(timescaleHz) // timescale
    w.u32(0) // duration: the fragments tell
    w.u32(0x0001_0000) // rate 1.0
    w.u16(0x0100) // volume 1.0
    w.zeros(2 + 8) // reserved
    writeMatrix(w) // matrix
    w.zeros(24) // pre_defined
    w.u32(cmafTrackId + 1) // next_track_ID
  })
}

/** Track header, ISO/IEC 14496-12 §8.3.2: enabled, in the movie. */
function writeTrackHeader(w: BoxWriter, { kind, width, height }: CmafTrack): void {
  w.fullBox('tkhd', 0, 3, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(cmafTrackId) // track_ID
    w.u32(0) // reserved
    w.u32(0) // duration
    w.zeros(8) // reserved
    w.i16(0) // layer
    w.i16(0) // alternate_group
    w.u16(kind === 'video' ? 0 : 0x0100) // volume
    w.u16(0) // reserved
    writeMatrix(w) // matrix
    w.u16(width).u16(0) // width, 16.16
    w.u16(height).u16(0) // height, 16.16
  })
}

/** Edit list, ISO/IEC 14496-12 §8.6.6: all of the media from `mediaStartTicks` on. */
function writeEdits(w: BoxWriter, mediaStartTicks: number): void {
  w.box('edts', () => {
    w.fullBox('elst', 0, 0, () => {
      w.u32(1) // entry_count
      w.u32(0) // segment_duration: to the end of the fragments
      w.i32(mediaStartTicks) // media_time
      w.u16(1).u16(0) // media_rate 1.0
    })
  })
}

/** Media header, ISO/IEC 14496-12 §8.4.2. */
function writeMediaHeader(w: BoxWriter, { timescaleHz, language }: CmafTrack): void {
  w.fullBox('mdhd', 0, 0, () => {
    w.u32(0) // creation_time
    w.u32(0) // modification_time
    w.u32(timescaleHz) // timescale
    w.u32(0) // duration
    w.u16(packedLanguage(language)) // language
    w.u16(0) // pre_defined
  })
}

/** Three letters of five bits, ISO/IEC 14496-12 §8.4.2.3; anything else is `und`. */
function packedLanguage(language: string): number {
  const letters = /^[a-z]{3}$/.test(language) ? language : 'und'
  return Buffer.from(letters).reduce((packed, letter) => packed * 32 + letter - 0x60, 0)
}

/** Sample table, ISO/IEC 14496-12 §8.5.1: the description of the codec, and no samples: they are in the fragments. */
function writeSampleTable(w: BoxWriter, sampleEntry: Buffer): void {
  w.box('stbl', () => {
    w.fullBox('stsd', 0, 0, () => {
      w.u32(1) // entry_count
      w.raw(sampleEntry)
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
function writeTrackExtends(w: BoxWriter, { kind }: CmafTrack): void {
  w.fullBox('trex', 0, 0, () => {
    w.u32(cmafTrackId) // track_ID
    w.u32(1) // default_sample_description_index
    w.u32(0) // default_sample_duration
    w.u32(0) // default_sample_size
    w.u32(kind === 'video' ? sampleFlags.nonSync : sampleFlags.sync) // default_sample_flags
  })
}
