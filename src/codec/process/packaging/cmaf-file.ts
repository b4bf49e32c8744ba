import { open, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { ByteRange } from '#formats/hls/vod-playlist.ts'
import { cmafTrackId, writeCmafHeader, type CmafTrack } from '#formats/mp4/cmaf-header.ts'
import { writeFragmentHead, type FragmentSample, type SampleHead } from '#formats/mp4/fragment.ts'
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
export type FragmentTimes = {
  readonly decodeTicks: number
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
  readonly #media = new MediaData()
  #samples: SampleHead[] = []
  #crc32 = 0
  #sizeBytes: number
  #fragmentCount = 0
  #sampleCount = 0

  /** `segmentCount`: so many at most. */
  static async create(path: string, { track, segmentCount }: { track: CmafTrack; segmentCount: number }): Promise<CmafFile> {
    const header = writeCmafHeader(track)
    const file = new CmafFile(await open(path, 'w'), { track, headerBytes: header.length, segmentCount })
    await file.#file.appendFile(Buffer.concat([header, Buffer.alloc(file.#indexBytes)]))
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

  /** Adds a sample to the next fragment; its data is copied. */
  add({ data, ...rest }: FragmentSample): void {
    this.#media.append(data)
    this.#samples.push({ ...rest, data: { length: data.length } })
  }

  /** Writes what was added as a fragment; `isSegmentStart`: it begins a segment, else it belongs to the one before. */
  async endFragment({ decodeTicks, shownTicks }: FragmentTimes, isSegmentStart: boolean): Promise<void> {
    const media = this.#media.take()
    const samples = this.#samples
    this.#samples = []
    this.#fragmentCount += 1
    const { kind } = this.#track
    const head = writeFragmentHead(this.#fragmentCount, [{ trackId: cmafTrackId, kind, decodeTicks, samples }])
    const sizeBytes = head.length + media.length
    if (isSegmentStart) this.#segments.push({ sizeBytes: 0, durationTicks: 0 })
    const segment = this.#segments.at(-1)
    if (!segment) throw new Error('the first fragment of a file begins no segment')
    segment.sizeBytes += sizeBytes
    segment.durationTicks += shownTicks
    if (kind === 'video') this.#addIframe(sizeBytes, samples, shownTicks)
    this.#crc32 = crc32(media, this.#crc32)
    this.#sampleCount += samples.length
    await this.#file.appendFile(head)
    await this.#file.appendFile(media)
    this.#sizeBytes += sizeBytes
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

  #addIframe(fragmentBytes: number, samples: readonly SampleHead[], shownTicks: number): void {
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
}

/** Samples one behind the other, in memory that is used again: most of the cost of fresh memory is to get it. */
class MediaData {
  #bytes = Buffer.alloc(0)
  #length = 0

  append(data: Buffer): void {
    const length = this.#length + data.length
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    this.#length += data.copy(this.#bytes, this.#length)
  }

  /** All that was appended, valid until more is. */
  take(): Buffer {
    const all = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return all
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
