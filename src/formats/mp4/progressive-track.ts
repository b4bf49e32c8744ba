import { Reader } from '#bytes/reader.ts'
import { Writer } from '#bytes/writer.ts'
import type { BoxWriter } from './box-writer.ts'
import { writeHandler, writeMatrix, writeMediaInformation } from './progressive-boxes.ts'

/** One sample placed on the output timeline of its track. */
export type PlacedSample = {
  readonly dtsTicks: number
  readonly ctoTicks: number
  readonly durationTicks: number
  readonly sizeBytes: number
  readonly isKeyframe: boolean
}

/** Bytes in memory per sample and per chunk: about 4 to 24. A day of 25 fps with AAC is about 6 million samples, 100 MB at most. */
export class ProgressiveTrack {
  readonly kind: 'video' | 'audio'
  readonly timescaleHz: number
  readonly #size: { width: number; height: number }
  readonly #sampleEntries: Buffer[] = []
  readonly #durations = new RunLengthTable()
  readonly #compositionOffsets = new RunLengthTable()
  readonly #sizes = new Writer(4096)
  readonly #keyframes = new Writer(1024)
  readonly #chunkRuns = new Writer(256)
  /** 64-bit offsets from the first byte of media. */
  readonly #chunkOffsets = new Writer(1024)
  #sampleCount = 0
  #keyframeCount = 0
  #chunkCount = 0
  #chunkRunCount = 0
  #lastChunk = { samples: 0, entryIndex: 0 }
  #entryIndex = 0
  #last: PlacedSample | undefined
  #firstDtsTicks = 0
  #firstCtoTicks = 0
  #mediaTicks = 0

  constructor({
    kind,
    timescaleHz,
    width,
    height,
  }: {
    kind: 'video' | 'audio'
    timescaleHz: number
    width: number
    height: number
  }) {
    this.kind = kind
    this.timescaleHz = timescaleHz
    this.#size = { width, height }
  }

  get sampleCount(): number {
    return this.#sampleCount
  }
  /** Where the next sample may begin without stepping back. */
  get endTicks(): number {
    return this.#last ? this.#last.dtsTicks + this.#last.durationTicks : 0
  }
  /** When the first sample is shown, in seconds on the output timeline. */
  get firstShownSeconds(): number {
    return (this.#firstDtsTicks + this.#firstCtoTicks) / this.timescaleHz
  }

  /** The sample description that the following chunks use; equal ones are kept once. */
  useSampleEntry(entry: Buffer): void {
    const known = this.#sampleEntries.findIndex((other) => other.equals(entry))
    this.#entryIndex = known < 0 ? this.#sampleEntries.push(entry) : known + 1
  }

  /** Samples that lie one behind the other from `offset` of the media on. */
  addChunk(offset: number, samples: readonly PlacedSample[]): void {
    for (const sample of samples) this.#addSample(sample)
    this.#chunkOffsets.u64(offset)
    this.#chunkCount += 1
    if (samples.length === this.#lastChunk.samples && this.#entryIndex === this.#lastChunk.entryIndex) return
    this.#lastChunk = { samples: samples.length, entryIndex: this.#entryIndex }
    this.#chunkRunCount += 1
    this.#chunkRuns.u32(this.#chunkCount).u32(samples.length).u32(this.#entryIndex) // first_chunk, samples_per_chunk, sample_description_index
  }

  #addSample(sample: PlacedSample): void {
    const last = this.#last
    if (last) this.#addDuration(sample.dtsTicks - last.dtsTicks)
    else {
      this.#firstDtsTicks = sample.dtsTicks
      this.#firstCtoTicks = Math.max(0, sample.ctoTicks)
    }
    // A sample that would step back is moved to where the last one is: `stts` has no negative distances.
    this.#last = last && sample.dtsTicks < last.dtsTicks ? { ...sample, dtsTicks: last.dtsTicks } : sample
    this.#sampleCount += 1
    this.#sizes.u32(sample.sizeBytes)
    this.#compositionOffsets.add(sample.ctoTicks)
    if (!sample.isKeyframe || this.kind !== 'video') return
    this.#keyframes.u32(this.#sampleCount)
    this.#keyframeCount += 1
  }

  #addDuration(ticks: number): void {
    const durationTicks = Math.max(0, ticks)
    this.#durations.add(durationTicks)
    this.#mediaTicks += durationTicks
  }

  /** No sample follows: the last one gets its own duration. */
  finish(): void {
    if (this.#last) this.#addDuration(this.#last.durationTicks)
  }

  /** Length of what is shown, in the movie's timescale. */
  shownTicks(movieTimescaleHz: number): number {
    return Math.max(0, Math.round(((this.#mediaTicks - this.#firstCtoTicks) * movieTimescaleHz) / this.timescaleHz))
  }

  /**
   * Track, ISO/IEC 14496-12 §8.3.1. `delayTicks` of the movie pass before its first sample is shown; media begins at byte `mediaOffset`
   * of the file. All fields have a fixed width, so that the size does not depend on `mediaOffset`.
   */
  write(w: BoxWriter, { id, delayTicks, mediaOffset, movieTimescaleHz }: TrackPlace): void {
    const shownTicks = this.shownTicks(movieTimescaleHz)
    w.box('trak', () => {
      this.#writeTrackHeader(w, id, delayTicks + shownTicks)
      w.box('edts', () => {
        this.#writeEditList(w, delayTicks, shownTicks)
      })
      w.box('mdia', () => {
        this.#writeMediaHeader(w)
        writeHandler(w, this.kind)
        w.box('minf', () => {
          writeMediaInformation(w, this.kind)
          w.box('stbl', () => {
            this.#writeSampleTable(w, mediaOffset)
          })
        })
      })
    })
  }

  /** Track header, ISO/IEC 14496-12 §8.3.2. */
  #writeTrackHeader(w: BoxWriter, id: number, durationTicks: number): void {
    w.fullBox('tkhd', 1, 3, () => {
      w.u64(0) // creation_time
      w.u64(0) // modification_time
      w.u32(id) // track_ID
      w.u32(0) // reserved
      w.u64(durationTicks) // duration
      w.zeros(8) // reserved
      w.i16(0) // layer
      w.i16(this.kind === 'video' ? 0 : 1) // alternate_group
      w.u16(this.kind === 'video' ? 0 : 0x0100) // volume
      w.u16(0) // reserved
      writeMatrix(w) // matrix
      w.u16(this.#size.width).u16(0) // width, 16.16
      w.u16(this.#size.height).u16(0) // height, 16.16
    })
  }

  /** Edit list, ISO/IEC 14496-12 §8.6.6: first nothing for as long as the track begins later, then the media from its first picture on. */
  #writeEditList(w: BoxWriter, delayTicks: number, shownTicks: number): void {
    w.fullBox('elst', 1, 0, () => {
      w.u32(delayTicks > 0 ? 2 : 1) // entry_count
      if (delayTicks > 0) {
        w.u64(delayTicks) // segment_duration
        w.u32(0xffff_ffff).u32(0xffff_ffff) // media_time -1: empty
        w.u16(1).u16(0) // media_rate 1.0
      }
      w.u64(shownTicks) // segment_duration
      w.u64(this.#firstCtoTicks) // media_time
      w.u16(1).u16(0) // media_rate 1.0
    })
  }

  /** Media header, ISO/IEC 14496-12 §8.4.2. */
  #writeMediaHeader(w: BoxWriter): void {
    w.fullBox('mdhd', 1, 0, () => {
      w.u64(0) // creation_time
      w.u64(0) // modification_time
      w.u32(this.timescaleHz) // timescale
      w.u64(this.#mediaTicks) // duration
      w.u16(0x55c4) // language: und
      w.u16(0) // pre_defined
    })
  }

  /** Sample table, ISO/IEC 14496-12 §8.5 to §8.7. */
  #writeSampleTable(w: BoxWriter, mediaOffset: number): void {
    w.fullBox('stsd', 0, 0, () => {
      w.u32(this.#sampleEntries.length) // entry_count
      for (const entry of this.#sampleEntries) w.raw(entry)
    })
    this.#durations.write(w, 'stts', 0)
    // Version 1: signed offsets.
    if (!this.#compositionOffsets.isAllZero) this.#compositionOffsets.write(w, 'ctts', 1)
    if (this.kind === 'video') writeTable(w, 'stss', this.#keyframeCount, this.#keyframes)
    writeTable(w, 'stsc', this.#chunkRunCount, this.#chunkRuns)
    w.fullBox('stsz', 0, 0, () => {
      w.u32(0) // sample_size: each its own
      w.u32(this.#sampleCount) // sample_count
      w.raw(this.#sizes.finish())
    })
    w.fullBox('co64', 0, 0, () => {
      w.u32(this.#chunkCount) // entry_count
      const offsets = new Reader(this.#chunkOffsets.finish())
      while (offsets.remaining > 0) w.u64(mediaOffset + offsets.u64()) // chunk_offset
    })
  }
}

type TrackPlace = {
  readonly id: number
  readonly delayTicks: number
  readonly mediaOffset: number
  readonly movieTimescaleHz: number
}

/** Pairs of count and value, as `stts` and `ctts` hold them. */
class RunLengthTable {
  readonly #pairs = new Writer(1024)
  #runCount = 0
  #count = 0
  #value = 0

  get isAllZero(): boolean {
    return this.#runCount === 0 && this.#value === 0
  }

  add(value: number): void {
    if (this.#count > 0 && value !== this.#value) this.#close()
    this.#value = value
    this.#count += 1
  }

  write(w: BoxWriter, type: string, version: number): void {
    w.fullBox(type, version, 0, () => {
      w.u32(this.#runCount + (this.#count > 0 ? 1 : 0)) // entry_count
      w.raw(this.#pairs.finish())
      if (this.#count > 0) w.u32(this.#count).i32(this.#value) // sample_count, sample_delta or sample_offset
    })
  }

  #close(): void {
    this.#pairs.u32(this.#count).i32(this.#value)
    this.#runCount += 1
    this.#count = 0
  }
}

function writeTable(w: BoxWriter, type: string, count: number, rows: Writer): void {
  w.fullBox(type, 0, 0, () => {
    w.u32(count) // entry_count
    w.raw(rows.finish())
  })
}
