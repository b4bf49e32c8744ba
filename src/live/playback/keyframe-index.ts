import { scanFragments } from '#formats/mp4/fragment-index.ts'
import type { OpenSegment } from '../archive/open-segment.ts'
import { type RecordedHead, readRecordedHead } from '../recorder/recorded-file.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'

/** Where one may start in a recorded file: a part that begins with a keyframe. */
type KeyframePlace = { readonly offset: number; readonly startMs: number }

/** What playback knows of one file. Times are on the stream's timeline. */
export type KeyframeIndex = {
  readonly head: RecordedHead
  readonly places: readonly KeyframePlace[]
  /** Behind the last whole part. */
  readonly endOffset: number
  readonly endMs: number
}

const defaultMaxBytes = 64 * 2 ** 20
const bytesPerPlace = 64

/**
 * Reads where the keyframes of recorded files are, and remembers it for as many files as fit. A file that is still being written is read
 * on from where it ended the last time.
 */
export class KeyframeIndexes {
  readonly #open: OpenSegment
  readonly #maxBytes: number
  /** Least recently used first. */
  readonly #known = new Map<string, KeyframeIndex>()
  readonly #loading = new Map<string, Promise<KeyframeIndex>>()
  #knownBytes = 0

  constructor({ openSegment, maxBytes = defaultMaxBytes }: { openSegment: OpenSegment; maxBytes?: number }) {
    this.#open = openSegment
    this.#maxBytes = maxBytes
  }

  /** Throws `RECORDING_NOT_FOUND` when the file is gone, `TRUNCATED` or `MALFORMED` when its head is damaged, `DISK_FAILED`, and what the object store throws. */
  async load(segment: RecordingSegment): Promise<KeyframeIndex> {
    const known = this.#known.get(segment.id)
    if (known && segment.state === 'closed' && known.endOffset >= segment.sizeBytes) {
      this.#forget(segment.id)
      this.#remember(segment.id, known)
      return known
    }
    const loading = this.#loading.get(segment.id) ?? this.#read(segment, known).finally(() => this.#loading.delete(segment.id))
    this.#loading.set(segment.id, loading)
    return await loading
  }

  async #read(segment: RecordingSegment, known: KeyframeIndex | undefined): Promise<KeyframeIndex> {
    const { id } = segment
    await using source = await this.#open(segment)
    const head = known?.head ?? (await readRecordedHead(source))
    const places = [...(known?.places ?? [])]
    let endOffset = known?.endOffset ?? head.mediaOffset
    let endMs = known?.endMs ?? 0
    for await (const { offset, sizeBytes, startMs, endMs: end, isIndependent } of scanFragments(source, head.init, endOffset)) {
      if (isIndependent || places.length === 0) places.push({ offset, startMs })
      endOffset = offset + sizeBytes
      endMs = Math.max(endMs, end)
    }
    const index = { head, places, endOffset, endMs }
    this.#forget(id)
    this.#remember(id, index)
    return index
  }

  #remember(id: string, index: KeyframeIndex): void {
    this.#known.set(id, index)
    this.#knownBytes += costOf(index)
    for (const [oldest] of this.#known) {
      if (this.#knownBytes <= this.#maxBytes) return
      this.#forget(oldest)
    }
  }

  #forget(id: string): void {
    const index = this.#known.get(id)
    if (!index) return
    this.#known.delete(id)
    this.#knownBytes -= costOf(index)
  }
}

function costOf({ head, places }: KeyframeIndex): number {
  return 2 * head.initBytes.length + places.length * bytesPerPlace
}
