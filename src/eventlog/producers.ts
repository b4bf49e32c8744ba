import type { BatchHeader } from '#formats/kafka/record-batch.ts'
import { AppError } from '#lib/errors.ts'
import type { ProducerBatch, ProducerRow } from './metadata/log-metadata.ts'

/** A batch that an idempotent producer has appended; `Batch` is whatever the partition keeps of it, absent for those of before the start. */
type Appended<Batch> = {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly timestampMs: number
  readonly batch?: Batch
}

/** `nextSequence` is that of the batch which comes next. */
type Producer<Batch> = { epoch: number; nextSequence: number; updatedAtMs: number; batches: Appended<Batch>[] }

/** As many batches of one producer are remembered as its clients may have in flight: Kafka's `max.in.flight.requests.per.connection`. */
const remembered = 5
/** Idempotent producers of one partition; the one that was silent longest is forgotten for another. */
const capacity = 10_000
/** Sequences wrap here: they are 31 bits. */
const sequenceModulus = 2 ** 31

/**
 * What idempotent producers have appended to one partition: a batch that comes again is found, one that is out of order is refused (KIP-98, KIP-360).
 * Batches that are not committed are all remembered, so that what is stored with an object never speaks of records that are not in it.
 */
export class Producers<Batch> {
  readonly #producers = new Map<number, Producer<Batch>>()

  /** The producers as they are stored. */
  restore(row: ProducerRow): void {
    const { producerId, producerEpoch, batches, updatedAtMs } = row
    const nextSequence = sequenceAfter(batches.at(-1)?.lastSequence ?? -1)
    this.#producers.set(producerId, { epoch: producerEpoch, nextSequence, updatedAtMs, batches: [...batches] })
  }

  /** The earlier append of the same batch, or undefined when there is none. Batches without a producer are always new. */
  findDuplicate(header: BatchHeader): Appended<Batch> | undefined {
    const { producerId, producerEpoch, baseSequence } = header
    const producer = producerId < 0 ? undefined : this.#producers.get(producerId)
    if (producer?.epoch !== producerEpoch) return undefined
    const lastSequence = lastSequenceOf(header)
    return producer.batches.findLast((one) => one.firstSequence === baseSequence && one.lastSequence === lastSequence)
  }

  /** Throws `PRODUCER_FENCED` for an epoch that is over, `PRODUCER_SEQUENCE_GAP` for a new batch that does not follow the last one. */
  checkOrder({ producerId, producerEpoch, baseSequence }: BatchHeader): void {
    const producer = producerId < 0 ? undefined : this.#producers.get(producerId)
    if (producer === undefined) return
    if (producerEpoch < producer.epoch) {
      const message = `producer ${producerId} has epoch ${producer.epoch} by now, the batch has ${producerEpoch}; start the producer anew`
      throw new AppError('PRODUCER_FENCED', message)
    }
    const expected = producerEpoch === producer.epoch ? producer.nextSequence : 0
    if (baseSequence === expected) return
    const message = `producer ${producerId} sent sequence ${baseSequence} where ${expected} comes next; send the missing batch first`
    throw new AppError('PRODUCER_SEQUENCE_GAP', message)
  }

  /** Takes note of an appended batch. */
  remember(header: BatchHeader, place: { baseOffset: number; lastOffset: number; nowMs: number; batch?: Batch }): void {
    const { producerId, producerEpoch } = header
    if (producerId < 0) return
    const { nowMs, ...rest } = place
    const known = this.#producers.get(producerId)
    const sequences = { firstSequence: header.baseSequence, lastSequence: lastSequenceOf(header) }
    const nextSequence = sequenceAfter(sequences.lastSequence)
    const producer =
      known?.epoch === producerEpoch ? known : { epoch: producerEpoch, nextSequence, updatedAtMs: nowMs, batches: [] }
    producer.nextSequence = nextSequence
    producer.updatedAtMs = nowMs
    producer.batches.push({ ...sequences, ...rest, timestampMs: header.maxTimestampMs })
    // The map keeps the order of use.
    this.#producers.delete(producerId)
    this.#producers.set(producerId, producer)
    if (this.#producers.size > capacity) this.#forgetOldest()
  }

  /** Batches from `offset` on have never been: forgets them, and expects the first of them again. */
  rewind(offset: number): void {
    for (const producer of this.#producers.values()) {
      const firstGone = producer.batches.findIndex(({ lastOffset }) => lastOffset >= offset)
      const [gone] = firstGone < 0 ? [] : producer.batches.splice(firstGone)
      if (gone) producer.nextSequence = gone.firstSequence
    }
  }

  /** What to store of this producer together with the records before `endOffset`. */
  rowAt(endOffset: number, { partitionId, producerId }: { partitionId: number; producerId: number }): ProducerRow | undefined {
    const producer = this.#producers.get(producerId)
    if (producer === undefined) return undefined
    const batches = producer.batches
      .filter((one) => one.lastOffset < endOffset)
      .slice(-remembered)
      .map(placeOf)
    if (batches.length === 0) return undefined
    return { partitionId, producerId, producerEpoch: producer.epoch, batches, updatedAtMs: producer.updatedAtMs }
  }

  /** Records before `endOffset` are committed: of their batches only the last few are needed, and of these where they are, not their bytes. */
  trim(producerId: number, endOffset: number): void {
    const producer = this.#producers.get(producerId)
    if (producer === undefined) return
    const committed = producer.batches.filter((one) => one.lastOffset < endOffset)
    producer.batches.splice(0, committed.length, ...committed.slice(-remembered).map(placeOf))
  }

  #forgetOldest(): void {
    for (const producerId of this.#producers.keys()) {
      this.#producers.delete(producerId)
      return
    }
  }
}

function placeOf({ firstSequence, lastSequence, baseOffset, lastOffset, timestampMs }: Appended<unknown>): ProducerBatch {
  return { firstSequence, lastSequence, baseOffset, lastOffset, timestampMs }
}

function sequenceAfter(sequence: number): number {
  return (sequence + 1) % sequenceModulus
}

function lastSequenceOf({ baseSequence, recordCount }: BatchHeader): number {
  return (baseSequence + recordCount - 1) % sequenceModulus
}
