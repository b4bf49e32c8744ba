import { apis } from '#formats/kafka/apis.ts'
import { encodeResponse } from '#formats/kafka/frame.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { AppError } from '#lib/errors.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { Call } from './call.ts'
import type { FrameReader } from './frame-reader.ts'
import { accepted, refused } from './handlers/produce-answers.ts'
import type { Appended, PackedBatches, PartitionRef } from './log-hub.ts'

export type ProduceOptions = { readonly ack?: AckLevel; readonly timeoutMs: number }

const correlationIdAt = 4
const correlationIdEnd = 8
const plainLengthBytes = 4
/** Answers have `log_start_offset` from this version on. */
const oldestVersion = 5
/** A longer beginning is not worth keeping. */
const maxPrefixBytes = 512
/** Requests that differ, of one client. One that sends more kinds gains nothing, and is not learned from any more. */
const maxKnown = 16
const maxLearned = 64

/**
 * A producer sends the same request again and again, only with other records. Of one that was read in full this keeps what stands in front of the records: the
 * next that begins with the same bytes, but for its correlation id, asks for the same and need not be read, and its answer differs in a few numbers.
 */
export class RepeatedProduce {
  readonly ref: PartitionRef
  readonly options: ProduceOptions
  readonly call: Call
  readonly #prefix: Buffer
  /** The length of the records is a varint, or an INT32. */
  readonly #isCompact: boolean
  /** Tags behind the records, of which there are none: zeros. */
  readonly suffixBytes: number
  readonly #answer: Buffer
  readonly #offsetAt: number

  /** Undefined for a request that is not worth it. `records` is a view into `call.frame`, and the only batch there. */
  static of(
    call: Call,
    records: Buffer,
    { ref, options }: Pick<RepeatedProduce, 'ref' | 'options'>,
  ): RepeatedProduce | undefined {
    const { frame, version } = call
    const recordsAt = records.byteOffset - frame.byteOffset
    const suffix = frame.subarray(recordsAt + records.length)
    const isPlain = version >= oldestVersion && recordsAt <= maxPrefixBytes && suffix.every((byte) => byte === 0)
    return isPlain ? new RepeatedProduce(call, { ref, options, recordsAt, lengthBytes: records.length }) : undefined
  }

  private constructor(
    call: Call,
    {
      ref,
      options,
      recordsAt,
      lengthBytes,
    }: Pick<RepeatedProduce, 'ref' | 'options'> & { recordsAt: number; lengthBytes: number },
  ) {
    const { context, client, api, version, clientId, frame } = call
    // Without these records.
    this.call = new Call({ context, client, api, version, clientId, frame: Buffer.alloc(0) })
    this.ref = ref
    this.options = options
    this.#isCompact = version >= apis.produce.flexibleFrom
    this.#prefix = Buffer.from(
      frame.subarray(0, recordsAt - (this.#isCompact ? uvarintBytes(lengthBytes + 1) : plainLengthBytes)),
    )
    this.suffixBytes = frame.length - recordsAt - lengthBytes
    this.#answer = this.#encode(0)
    // The three numbers follow each other in every version; where they begin is where answers begin to differ.
    const other = this.#encode(-1)
    this.#offsetAt = this.#answer.findIndex((byte, at) => byte !== other[at])
  }

  /** Where the records begin of the request that lies here; they end where its tags begin. -1: it is of another kind. */
  recordsAt(chunk: Buffer, start: number, end: number): number {
    const prefix = this.#prefix
    if (end - start < prefix.length + plainLengthBytes) return -1
    // From the end: kinds differ most in their partition.
    for (let at = prefix.length - 1; at >= correlationIdEnd; at--) if (chunk[start + at] !== prefix[at]) return -1
    for (let at = correlationIdAt - 1; at >= 0; at--) if (chunk[start + at] !== prefix[at]) return -1
    const recordsEnd = end - this.suffixBytes
    for (let tag = recordsEnd; tag < end; tag++) if (chunk[tag] !== 0) return -1
    const lengthAt = start + prefix.length
    if (!this.#isCompact) {
      const at = lengthAt + plainLengthBytes
      return chunk.readInt32BE(lengthAt) === recordsEnd - at && recordsEnd > at ? at : -1
    }
    let at = lengthAt
    let length = 0
    for (let shift = 0, isMore = true; isMore; shift += 7) {
      const byte = chunk[at++] ?? 0
      isMore = byte >= 0x80 && shift < 28
      length += (byte % 0x80) * 2 ** shift
    }
    return length - 1 === recordsEnd - at && recordsEnd > at ? at : -1
  }

  /** The answer to a request of this kind whose records were taken: always the same memory, to be copied from at once. */
  answer(correlationId: number, { baseOffset, appendTimeMs, logStartOffset }: Appended): Buffer {
    const bytes = this.#answer
    bytes.writeInt32BE(correlationId, correlationIdAt)
    writeI64(bytes, this.#offsetAt, baseOffset)
    writeI64(bytes, this.#offsetAt + 8, appendTimeMs)
    writeI64(bytes, this.#offsetAt + 16, logStartOffset)
    return bytes
  }

  /** The answer to one whose records were not. */
  refusal(correlationId: number, thrown: unknown): Buffer {
    return this.#respond(correlationId, refused(this.call, this.ref.partition, thrown))
  }

  #encode(number: number): Buffer {
    const appended = { baseOffset: number, appendTimeMs: number, logStartOffset: number }
    return this.#respond(0, accepted(this.ref.partition, appended))
  }

  #respond(correlationId: number, response: ReturnType<typeof accepted>): Buffer {
    const responses = [{ name: this.ref.topic, partitionResponses: [response] }]
    return encodeResponse(apis.produce, this.call.version, correlationId, { responses })
  }
}

/** The kinds of requests that one client repeats. */
export class RepeatedProduces {
  readonly #known: RepeatedProduce[] = []
  #learned = 0

  learn(call: Call, records: Buffer, fields: Pick<RepeatedProduce, 'ref' | 'options'>): void {
    if (this.#learned === maxLearned) return
    const repeated = RepeatedProduce.of(call, records, fields)
    if (!repeated) return
    this.#learned += 1
    if (this.#known.length === maxKnown) this.#known.shift()
    this.#known.push(repeated)
  }

  get isEmpty(): boolean {
    return this.#known.length === 0
  }

  /** Takes the next requests as long as they are of one known kind, up to `maxRequests` of them; undefined: the next one is not, or the client may not write there. */
  takeRun(frames: FrameReader, maxRequests: number): ProduceRun | undefined {
    let found: FoundRun | undefined
    frames.takeWhile((chunk, start, end) => {
      if (!found) {
        const kind = this.#known.find((one) => one.recordsAt(chunk, start, end) >= 0)
        if (!kind?.call.isAllowed('write', 'topic', kind.ref.topic)) return false
        found = { kind, chunk, correlationIds: [], starts: [], ends: [] }
      }
      const recordsAt = chunk === found.chunk ? found.kind.recordsAt(chunk, start, end) : -1
      if (recordsAt < 0 || found.starts.length === maxRequests) return false
      found.correlationIds.push(chunk.readInt32BE(start + correlationIdAt))
      found.starts.push(recordsAt)
      found.ends.push(end - found.kind.suffixBytes)
      return true
    })
    return found && new ProduceRun(found)
  }
}

/** Requests of one kind in a chunk, and where their records begin and end. */
type FoundRun = {
  readonly kind: RepeatedProduce
  readonly chunk: Buffer
  readonly correlationIds: number[]
  readonly starts: number[]
  readonly ends: number[]
}

/** Requests of one kind that came one after the other. */
export class ProduceRun {
  readonly kind: RepeatedProduce
  /** What the requests append. */
  readonly batches: PackedBatches
  readonly #correlationIds: readonly number[]

  constructor(found: FoundRun) {
    this.kind = found.kind
    this.batches = pack(found)
    this.#correlationIds = found.correlationIds
  }

  /** Answers each request; returns how many bytes that were. */
  answer(results: readonly (Appended | AppError)[], writer: Pick<AnswerWriter, 'write'>): number {
    let sizeBytes = 0
    for (let index = 0; index < results.length; index++) {
      const result = results[index]
      const correlationId = this.#correlationIds[index]
      if (result === undefined || correlationId === undefined) break
      const { kind } = this
      sizeBytes += writer.write(
        result instanceof AppError ? kind.refusal(correlationId, result) : kind.answer(correlationId, result),
      )
    }
    return sizeBytes
  }
}

/** Moves the records together: where they lie, if they are most of the memory that they keep alive then, or into memory of their own. */
function pack({ chunk, starts, ends }: FoundRun): PackedBatches {
  const sizeBytes = ends.reduce((sum, end, index) => sum + end - (starts[index] ?? end), 0)
  const isKept = sizeBytes * 2 >= chunk.buffer.byteLength
  const memory = isKept ? chunk : Buffer.allocUnsafe(sizeBytes)
  const first = isKept ? (starts[0] ?? 0) : 0
  let filled = first
  const packedEnds = ends.map((end, index) => {
    const start = starts[index] ?? end
    if (isKept) chunk.copyWithin(filled, start, end)
    else chunk.copy(memory, filled, start, end)
    filled += end - start
    return filled - first
  })
  return { bytes: memory.subarray(first, filled), ends: packedEnds }
}

function uvarintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1
  return bytes
}

function writeI64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32)
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(value - high * 2 ** 32, at + 4)
}
