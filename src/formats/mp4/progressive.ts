import { AppError } from '#lib/errors.ts'
import { BoxWriter } from './box-writer.ts'
import type { IndexedSample, TrackSamples } from './fragment-index.ts'
import { writeMatrix } from './progressive-boxes.ts'
import { ProgressiveTrack } from './progressive-track.ts'
import type { InitTrack, MovieInit } from './read-init.ts'

/** Samples of one MP4 at most: a day of 25 fps with AAC at 48 kHz is 6.2 million. Each costs 4 to 24 bytes of memory. */
const maxSamples = 10_000_000
const movieTimescaleHz = 1000

/** A stretch of a source file that goes into the media data as it stands. */
export type MediaRange = { readonly offset: number; readonly sizeBytes: number }

/**
 * Builds the head of an MP4 that plays while it downloads: `ftyp` + `moov` + the header of one `mdat` (ISO/IEC 14496-12 §8.1, §8.2), for
 * samples of many fragmented files. The media bytes themselves are not touched: `add` answers which stretches of the file belong next.
 *
 * Input comes in spans. Within a span decode times are continuous; between spans the timeline is closed up: all tracks move together, so
 * sound stays with the picture. Tracks of different files are one when they are of the same kind and in the same place; a codec
 * configuration that changes becomes one more sample description.
 */
export class ProgressiveBuilder {
  readonly #tracks = new Map<string, ProgressiveTrack>()
  #init: MovieInit | undefined
  #keys = new Map<number, string>()
  #spanStartSeconds = 0
  #spanOutSeconds = 0
  #mediaBytes = 0
  #sampleCount = 0

  get sampleCount(): number {
    return this.#sampleCount
  }

  /** The following samples are described by `init`. */
  useInit(init: MovieInit): void {
    if (this.#init === init) return
    this.#init = init
    this.#keys = new Map()
    const counts = { video: 0, audio: 0 }
    for (const track of init.tracks) {
      if (track.kind === 'other') continue
      const key = `${track.kind}-${counts[track.kind]}`
      counts[track.kind] += 1
      this.#keys.set(track.id, key)
      const entry = track.sampleEntries[0]
      if (entry) this.#require(key, track, track.kind).useSampleEntry(entry)
    }
  }

  /** Begins a span whose decode times start at `startSeconds`: it is put right behind what is there. */
  beginSpan(startSeconds: number): void {
    this.#spanStartSeconds = startSeconds
    this.#spanOutSeconds = Math.max(0, ...[...this.#tracks.values()].map((track) => track.endTicks / track.timescaleHz))
  }

  /**
   * The next samples of one track. Returns where in the source file their bytes are: these follow in the media data, in this order.
   * Throws `LIMIT_EXCEEDED` when the file would have too many samples.
   */
  add({ track, samples }: TrackSamples): MediaRange[] {
    const out = this.#tracks.get(this.#keys.get(track.id) ?? '')
    if (!out) return []
    this.#sampleCount += samples.length
    if (this.#sampleCount > maxSamples) {
      throw new AppError('LIMIT_EXCEEDED', `more than ${maxSamples} samples in one MP4; ask for a shorter range`)
    }
    const ranges: MediaRange[] = []
    for (const run of contiguousRuns(samples)) {
      out.addChunk(
        this.#mediaBytes,
        run.samples.map((sample) => this.#place(sample, track, out)),
      )
      this.#mediaBytes += run.range.sizeBytes
      ranges.push(run.range)
    }
    return ranges
  }

  /** The head of the file and the bytes of media that follow it. Call once, after the last `add`. */
  finish(): { head: Buffer; mediaBytes: number } {
    const tracks = [...this.#tracks.values()].filter(({ sampleCount }) => sampleCount > 0)
    for (const track of tracks) track.finish()
    const fileType = writeFileType()
    // Offsets in `moov` have a fixed width, so a first pass tells its size and the second where media begins.
    const moovBytes = writeMovie(tracks, 0).length
    const mediaOffset = fileType.length + moovBytes + 16
    const w = new BoxWriter(16)
    w.u32(1).ascii('mdat') // size: in largesize; type
    w.u64(16 + this.#mediaBytes) // largesize
    return { head: Buffer.concat([fileType, writeMovie(tracks, mediaOffset), w.finish()]), mediaBytes: this.#mediaBytes }
  }

  #require(key: string, track: InitTrack, kind: 'video' | 'audio'): ProgressiveTrack {
    const known = this.#tracks.get(key)
    if (known) return known
    const made = new ProgressiveTrack({ kind, timescaleHz: track.timescaleHz, width: track.width, height: track.height })
    this.#tracks.set(key, made)
    return made
  }

  #place(sample: IndexedSample, from: InitTrack, to: ProgressiveTrack): IndexedSample {
    const scale = to.timescaleHz / from.timescaleHz
    const shiftTicks = Math.round((this.#spanOutSeconds - this.#spanStartSeconds) * to.timescaleHz)
    return {
      ...sample,
      dtsTicks: Math.max(0, Math.round(sample.dtsTicks * scale) + shiftTicks),
      ctoTicks: Math.round(sample.ctoTicks * scale),
      durationTicks: Math.round(sample.durationTicks * scale),
    }
  }
}

/** Samples whose bytes follow each other in the file. */
function* contiguousRuns(samples: readonly IndexedSample[]): Generator<{ samples: IndexedSample[]; range: MediaRange }> {
  let run: IndexedSample[] = []
  let offset = 0
  let sizeBytes = 0
  for (const sample of samples) {
    if (run.length > 0 && sample.offset !== offset + sizeBytes) {
      yield { samples: run, range: { offset, sizeBytes } }
      run = []
    }
    if (run.length === 0) {
      offset = sample.offset
      sizeBytes = 0
    }
    run.push(sample)
    sizeBytes += sample.sizeBytes
  }
  if (run.length > 0) yield { samples: run, range: { offset, sizeBytes } }
}

/** File type, ISO/IEC 14496-12 §4.3. */
function writeFileType(): Buffer {
  const w = new BoxWriter(32)
  w.box('ftyp', () => {
    w.ascii('isom') // major_brand
    w.u32(512) // minor_version
    for (const brand of ['isom', 'iso2', 'mp41']) w.ascii(brand) // compatible_brands
  })
  return w.finish()
}

/** Movie, ISO/IEC 14496-12 §8.2.1: presentation begins with the first picture or sound of any track. */
function writeMovie(tracks: readonly ProgressiveTrack[], mediaOffset: number): Buffer {
  const startSeconds = Math.min(...tracks.map(({ firstShownSeconds }) => firstShownSeconds))
  const places = tracks.map((track, index) => ({
    track,
    id: index + 1,
    delayTicks: Math.round((track.firstShownSeconds - startSeconds) * movieTimescaleHz),
  }))
  const durationTicks = Math.max(0, ...places.map(({ track, delayTicks }) => delayTicks + track.shownTicks(movieTimescaleHz)))
  const w = new BoxWriter(65_536)
  w.box('moov', () => {
    writeMovieHeader(w, { durationTicks, nextTrackId: tracks.length + 1 })
    for (const { track, id, delayTicks } of places) track.write(w, { id, delayTicks, mediaOffset, movieTimescaleHz })
  })
  return w.finish()
}

/** Movie header, ISO/IEC 14496-12 §8.2.2. */
function writeMovieHeader(w: BoxWriter, { durationTicks, nextTrackId }: { durationTicks: number; nextTrackId: number }): void {
  w.fullBox('mvhd', 1, 0, () => {
    w.u64(0) // creation_time
    w.u64(0) // modification_time
    w.u32(movieTimescaleHz) // timescale
    w.u64(durationTicks) // duration
    w.u32(0x0001_0000) // rate 1.0
    w.u16(0x0100) // volume 1.0
    w.zeros(2 + 8) // reserved
    writeMatrix(w) // matrix
    w.zeros(24) // pre_defined
    w.u32(nextTrackId) // next_track_ID
  })
}
