import { open, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { ByteRange } from '#formats/hls/vod-playlist.ts'
import { cmafTrackId, writeCmafHeader, type CmafTrack } from '#formats/mp4/cmaf-header.ts'
import { writeFragment, type FragmentSample } from '#formats/mp4/fragment.ts'
import { segmentIndexBytes, writeSegmentIndex } from '#formats/mp4/segment-index.ts'

/** A stretch of the file and how long it is shown. */
export type FileStretch = ByteRange & { readonly durationTicks: number }

/** Where everything is in a finished file; times in ticks of the track's timescale. */
export type CmafLayout = {
  readonly timescaleHz: number
  /** `ftyp` and `moov`. */
  readonly init: ByteRange
  /** `sidx`. */
  readonly index: ByteRange
  readonly segments: readonly FileStretch[]
  /** From the start of a fragment to the end of its keyframe; empty for sound. */
  readonly iframes: readonly FileStretch[]
  readonly sizeBytes: number
  readonly sampleCount: number
  /** Of all samples, in order. */
  readonly crc32: number
}

/** One group of pictures, or the sound of one segment. */
export type TrackFragment = {
  readonly decodeTicks: number
  readonly samples: readonly FragmentSample[]
  /** For how long it is shown; for sound without what comes before the first sample that is heard. */
  readonly shownTicks: number
}

type Segment = { sizeBytes: number; durationTicks: number }

/** Writes `ftyp moov sidx (moof mdat)*` of one track. The index is filled in at the end, in the place that was left for it. */
export class CmafFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #track: CmafTrack
  readonly #headerBytes: number
  /** Left for the index. */
  readonly #indexBytes: number
  readonly #segments: Segment[] = []
  readonly #iframes: FileStretch[] = []
  #staging = Buffer.alloc(0)
  #crc32 = 0
  #sizeBytes: number
  #fragmentCount = 0
  #sampleCount = 0

  /** `segmentCount`: so many at most. */
  static async create(path: string, { track, segmentCount }: { track: CmafTrack; segmentCount: number }): Promise<CmafFile> {
    const header = writeCmafHeader(track)
    const file = new CmafFile(await open(path, 'w'), { track, headerBytes: header.length, segmentCount })
    await file.#append([header, Buffer.alloc(file.#indexBytes)])
    return file
  }

  private constructor(
    file: FileHandle,
    { track, headerBytes, segmentCount }: { track: CmafTrack; headerBytes: number; segmentCount: number },
  ) {
    this.#file = file
    this.#track = track
    this.#headerBytes = headerBytes
    this.#indexBytes = segmentIndexBytes(segmentCount)
    this.#sizeBytes = headerBytes + this.#indexBytes
  }

  /** The next fragment; `isSegmentStart`: it begins a segment, else it belongs to the one before. */
  async add({ decodeTicks, samples, shownTicks }: TrackFragment, isSegmentStart: boolean): Promise<void> {
    this.#fragmentCount += 1
    const { kind } = this.#track
    const fragment = writeFragment(this.#fragmentCount, [{ trackId: cmafTrackId, kind, decodeTicks, samples }])
    if (isSegmentStart) this.#segments.push({ sizeBytes: 0, durationTicks: 0 })
    const segment = this.#segments.at(-1)
    if (!segment) throw new Error('the first fragment of a file begins no segment')
    segment.sizeBytes += fragment.sizeBytes
    segment.durationTicks += shownTicks
    if (kind === 'video') this.#addIframe(fragment.sizeBytes, samples, shownTicks)
    for (const { data } of samples) this.#crc32 = crc32(data, this.#crc32)
    this.#sampleCount += samples.length
    await this.#append(fragment.chunks)
    this.#sizeBytes += fragment.sizeBytes
  }

  /** Writes the index and syncs the file. `earliestTicks`: when the first sample is shown. */
  async finish(earliestTicks: number): Promise<CmafLayout> {
    const usedBytes = segmentIndexBytes(this.#segments.length)
    const gapBytes = this.#indexBytes - usedBytes
    const index = writeSegmentIndex({
      trackId: cmafTrackId,
      timescaleHz: this.#track.timescaleHz,
      earliestTicks,
      gapBytes,
      segments: this.#segments,
    })
    await this.#file.write(Buffer.concat([index, freeBox(gapBytes)]), 0, this.#indexBytes, this.#headerBytes)
    await this.#file.datasync()
    return {
      timescaleHz: this.#track.timescaleHz,
      init: { offset: 0, length: this.#headerBytes },
      index: { offset: this.#headerBytes, length: usedBytes },
      segments: this.#stretches(),
      iframes: this.#iframes,
      sizeBytes: this.#sizeBytes,
      sampleCount: this.#sampleCount,
      crc32: this.#crc32,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  #addIframe(fragmentBytes: number, samples: readonly FragmentSample[], shownTicks: number): void {
    const afterFirst = samples.slice(1).reduce((sum, { data }) => sum + data.length, 0)
    this.#iframes.push({ offset: this.#sizeBytes, length: fragmentBytes - afterFirst, durationTicks: shownTicks })
  }

  #stretches(): FileStretch[] {
    let offset = this.#headerBytes + this.#indexBytes
    return this.#segments.map(({ sizeBytes, durationTicks }) => {
      const stretch = { offset, length: sizeBytes, durationTicks }
      offset += sizeBytes
      return stretch
    })
  }

  /**
   * One write for a fragment: a copy of a few megabytes costs less than a vector of thousands of frames that may be taken in
   * part. It goes into memory that is there already, for most of the cost of fresh memory is to get it.
   */
  async #append(chunks: readonly Buffer[]): Promise<void> {
    const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0)
    if (this.#staging.length < sizeBytes) this.#staging = Buffer.allocUnsafeSlow(sizeBytes)
    let at = 0
    for (const chunk of chunks) at += chunk.copy(this.#staging, at)
    await this.#file.appendFile(this.#staging.subarray(0, sizeBytes))
  }
}

/**
 * Room that is not needed, ISO/IEC 14496-12 §8.1.2. An entry of the index has 12 bytes, so there is always place for its head.
 */
function freeBox(sizeBytes: number): Buffer {
  const box = Buffer.alloc(sizeBytes)
  if (sizeBytes === 0) return box
  box.writeUInt32BE(sizeBytes, 0)
  box.write('free', 4, 'latin1')
  return box
}
