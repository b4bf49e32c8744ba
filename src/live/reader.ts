import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import type { Peer } from './peer.ts'

/** Where a reader's access units go: a connection, the packager. Called synchronously on the stream's hot path; must not throw. */
export interface ReaderSink {
  /** Bytes that were handed over and are not yet sent. The reader is cut to the next keyframe when this grows above its limit. */
  readonly bufferedBytes: number
  write(unit: AccessUnit): void
  /** The set of tracks changed: a source with other codecs took over. Not called for new parameters of a track it has. */
  tracksChanged(tracks: readonly Track[]): void
  /** The stream ended for this reader; no call follows. */
  end(reason: string): void
}

export type ReaderLimits = { readonly maxBytes: number; readonly maxMs: number }

export type ReaderStats = {
  readonly sentUnits: number
  readonly sentBytes: number
  readonly droppedUnits: number
  readonly queuedBytes: number
  readonly queuedMs: number
}

/** What `Stream.addReader` gives back. */
export interface ReaderHandle {
  readonly peer: Peer
  readonly stats: ReaderStats
  /** Idempotent; nothing is written afterwards and `end` is not called. */
  remove(): void
}

/** One stretch of units that a slow reader did not get. */
export type Drop = { readonly units: number; readonly ms: number; readonly queuedBytes: number }

/**
 * One reader of a stream.
 *
 *   waiting ──keyframe──► flowing ──queue full──► dropping ──keyframe and queue half empty──► flowing
 *
 * A slow reader loses whole stretches up to a keyframe, never single frames, so its picture is late but never broken.
 */
export class Reader implements ReaderHandle {
  readonly peer: Peer
  readonly sink: ReaderSink
  readonly #limits: ReaderLimits
  readonly #onDrop: (drop: Drop) => void
  readonly #onRemove: (reader: Reader) => void
  #state: 'waiting' | 'flowing' | 'dropping' | 'removed' = 'waiting'
  #sentUnits = 0
  #sentBytes = 0
  #droppedUnits = 0
  #drop = { units: 0, sinceMs: 0, queuedBytes: 0 }
  /** When what is still unsent was handed over, oldest first: running byte count at its end, and the time. */
  #marks: { endBytes: number; atMs: number }[] = []

  constructor(options: {
    peer: Peer
    sink: ReaderSink
    limits: ReaderLimits
    onDrop: (drop: Drop) => void
    onRemove: (reader: Reader) => void
  }) {
    this.peer = options.peer
    this.sink = options.sink
    this.#limits = options.limits
    this.#onDrop = options.onDrop
    this.#onRemove = options.onRemove
  }

  get stats(): ReaderStats {
    const queuedBytes = this.#state === 'removed' ? 0 : this.sink.bufferedBytes
    const first = this.#marks[0]
    const last = this.#marks.at(-1)
    return {
      sentUnits: this.#sentUnits,
      sentBytes: this.#sentBytes,
      droppedUnits: this.#droppedUnits,
      queuedBytes,
      queuedMs: queuedBytes === 0 || !first || !last ? 0 : last.atMs - first.atMs,
    }
  }

  /** Hands a unit over, or drops it. `canStart`: a reader may begin with this unit. `nowMs` is monotonic. */
  push(unit: AccessUnit, canStart: boolean, nowMs: number): void {
    if (this.#state === 'removed') return
    const queuedBytes = this.sink.bufferedBytes
    if (this.#state === 'flowing') {
      if (!this.#isFull(queuedBytes, nowMs)) return this.#send(unit, queuedBytes, nowMs)
      this.#state = 'dropping'
      this.#drop = { units: 0, sinceMs: nowMs, queuedBytes }
    }
    if (canStart && (this.#state === 'waiting' || queuedBytes <= this.#limits.maxBytes / 2)) {
      if (this.#state === 'dropping') this.#reportDrop(nowMs)
      this.#state = 'flowing'
      return this.#send(unit, queuedBytes, nowMs)
    }
    if (this.#state === 'dropping') {
      this.#drop.units += 1
      this.#droppedUnits += 1
    }
  }

  /** The stream is over for this reader. */
  end(reason: string): void {
    if (this.#state === 'removed') return
    this.#state = 'removed'
    this.sink.end(reason)
  }

  remove(): void {
    if (this.#state === 'removed') return
    this.#state = 'removed'
    this.#onRemove(this)
  }

  #send(unit: AccessUnit, queuedBytes: number, nowMs: number): void {
    this.#sentUnits += 1
    this.#sentBytes += unit.data.length
    this.sink.write(unit)
    if (queuedBytes === 0) this.#marks.length = 0
    if (this.sink.bufferedBytes > 0) this.#marks.push({ endBytes: this.#sentBytes, atMs: nowMs })
  }

  #isFull(queuedBytes: number, nowMs: number): boolean {
    if (queuedBytes === 0) return false
    const drainedBytes = this.#sentBytes - queuedBytes
    let drained = 0
    for (const mark of this.#marks) {
      if (mark.endBytes > drainedBytes) break
      drained += 1
    }
    if (drained > 0) this.#marks.splice(0, drained)
    const oldest = this.#marks[0]
    return queuedBytes > this.#limits.maxBytes || (oldest !== undefined && nowMs - oldest.atMs > this.#limits.maxMs)
  }

  #reportDrop(nowMs: number): void {
    this.#onDrop({ units: this.#drop.units, ms: Math.round(nowMs - this.#drop.sinceMs), queuedBytes: this.#drop.queuedBytes })
  }
}
