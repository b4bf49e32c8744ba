import type { Spans } from './message.ts'
import { ProtoReader, wireTypes } from './proto-reader.ts'

/** Tags of `Record` and `Header` in `schemas/log-v1.ts`. */
const recordTags = { key: tagOf(1), value: tagOf(2), header: tagOf(3), timestampMs: 4 * 8 } as const
const headerTags = { key: tagOf(1), value: tagOf(2) } as const
/** From these tags on, fields are of a later version; below, a tag that is not known is one of another type. */
const unknownFrom = { record: 5 * 8, header: 3 * 8 } as const
/** Positions in `headers` for each header: key from, to, value from, to. */
const headerStep = 4

/**
 * Reads the records of a request one at a time, without an object for any of them. All positions are in `bytes`; one of -1 stands for what is absent, which is null in
 * a batch.
 */
export class RecordCursor {
  readonly bytes: Buffer
  keyAt = -1
  keyEnd = -1
  valueAt = -1
  valueEnd = -1
  /** 0: the record has no time of its own. */
  timestampMs = 0
  /** For each header four positions: where its key begins and ends, and its value. */
  readonly headers: number[] = []
  readonly #spans: Spans
  readonly #reader: ProtoReader

  constructor(spans: Spans) {
    this.bytes = spans.bytes
    this.#spans = spans
    this.#reader = new ProtoReader(spans.bytes)
  }

  get headerCount(): number {
    return this.headers.length / headerStep
  }

  /** Reads the record with this number. Throws `TRUNCATED`, `MALFORMED`. */
  read(index: number): void {
    this.keyAt = this.keyEnd = this.valueAt = this.valueEnd = -1
    this.timestampMs = 0
    if (this.headers.length > 0) this.headers.length = 0
    const r = this.#reader
    r.pos = this.#spans.starts[index] ?? 0
    r.end = this.#spans.ends[index] ?? 0
    while (r.pos < r.end) this.#readField(r, r.tag())
    if (this.timestampMs < 0) throw r.malformed(`a record whose time is ${this.timestampMs},`)
  }

  #readField(r: ProtoReader, tag: number): void {
    switch (tag) {
      case recordTags.key:
        this.keyEnd = r.lengthEnd()
        this.keyAt = r.pos
        r.pos = this.keyEnd
        return
      case recordTags.value:
        this.valueEnd = r.lengthEnd()
        this.valueAt = r.pos
        r.pos = this.valueEnd
        return
      case recordTags.timestampMs:
        this.timestampMs = r.int()
        return
      case recordTags.header:
        return this.#readHeader(r)
      default:
        if (tag < unknownFrom.record) throw r.malformed(`a record that has a field with the tag ${tag}`)
        r.skip(tag % 8)
    }
  }

  #readHeader(r: ProtoReader): void {
    const recordEnd = r.end
    r.end = r.lengthEnd()
    // A key that is absent is empty.
    let keyAt = r.pos
    let keyEnd = r.pos
    let valueAt = -1
    let valueEnd = -1
    while (r.pos < r.end) {
      const tag = r.tag()
      if (tag === headerTags.key) {
        keyEnd = r.lengthEnd()
        keyAt = r.pos
        r.pos = keyEnd
      } else if (tag === headerTags.value) {
        valueEnd = r.lengthEnd()
        valueAt = r.pos
        r.pos = valueEnd
      } else if (tag < unknownFrom.header) {
        throw r.malformed(`a header that has a field with the tag ${tag}`)
      } else {
        r.skip(tag % 8)
      }
    }
    r.end = recordEnd
    this.headers.push(keyAt, keyEnd, valueAt, valueEnd)
  }
}

function tagOf(number: number): number {
  return number * 8 + wireTypes.lengthDelimited
}
