import { apis } from '#formats/kafka/apis.ts'
import { encodeResponse } from '#formats/kafka/frame.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { Call } from './call.ts'
import { accepted, refused } from './handlers/produce-answers.ts'
import type { Appended, PartitionRef } from './log-hub.ts'

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
  readonly #suffixBytes: number
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
    this.#suffixBytes = frame.length - recordsAt - lengthBytes
    this.#answer = this.#encode(0)
    // The three numbers follow each other in every version; where they begin is where answers begin to differ.
    const other = this.#encode(-1)
    this.#offsetAt = this.#answer.findIndex((byte, at) => byte !== other[at])
  }

  /** The records of a request of this kind, in memory of their own; undefined: it is another kind. */
  recordsOf(frame: Buffer): Buffer | undefined {
    const prefix = this.#prefix
    if (frame.length < prefix.length + plainLengthBytes) return undefined
    // From the end: kinds differ most in their partition.
    for (let at = prefix.length - 1; at >= correlationIdEnd; at--) if (frame[at] !== prefix[at]) return undefined
    for (let at = correlationIdAt - 1; at >= 0; at--) if (frame[at] !== prefix[at]) return undefined
    let at = prefix.length
    let lengthBytes = 0
    if (this.#isCompact) {
      for (let shift = 0, isMore = true; isMore; shift += 7) {
        const byte = frame[at++] ?? 0
        isMore = byte >= 0x80 && shift < 28
        lengthBytes += (byte % 0x80) * 2 ** shift
      }
      lengthBytes -= 1
    } else {
      lengthBytes = frame.readInt32BE(at)
      at += plainLengthBytes
    }
    const end = at + lengthBytes
    if (lengthBytes <= 0 || end + this.#suffixBytes !== frame.length) return undefined
    for (let tag = end; tag < frame.length; tag++) if (frame[tag] !== 0) return undefined
    const records = Buffer.allocUnsafe(lengthBytes)
    frame.copy(records, 0, at, end)
    return records
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

  /** The kind of a request, and its records. */
  find(frame: Buffer): { readonly kind: RepeatedProduce; readonly records: Buffer } | undefined {
    for (const kind of this.#known) {
      const records = kind.recordsOf(frame)
      if (records) return { kind, records }
    }
    return undefined
  }
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
