import type { ProducerBatch, ProducerRow } from '../metadata/log-metadata.ts'
import type { IndexedRun } from './object-index.ts'

/** As many batches of one producer are kept as the log keeps. */
const batchesPerProducer = 5
/** Producers that were silent this long before the newest object will not repeat a batch. */
const keptForMs = 24 * 60 * 60_000

type Known = { epoch: number; updatedAtMs: number; batches: readonly ProducerBatch[] }

/** The last batches of each idempotent producer in each partition, gathered from runs that come in any order. */
export class ProducerHistory {
  /** By partition, then by producer. */
  readonly #partitions = new Map<number, Map<number, Known>>()
  #newestMs = -Infinity

  /** `storedAtMs`: when the object of the run was stored. */
  add({ row: { partitionId }, producers }: IndexedRun, storedAtMs: number): void {
    this.#newestMs = Math.max(this.#newestMs, storedAtMs)
    if (producers.length === 0) return
    const ofPartition = this.#partitions.get(partitionId) ?? new Map<number, Known>()
    this.#partitions.set(partitionId, ofPartition)
    for (const { producerId, producerEpoch: epoch, batches } of producers) {
      const known = ofPartition.get(producerId)
      if (known && known.epoch > epoch) continue
      const same = known?.epoch === epoch ? known : { updatedAtMs: storedAtMs, batches: [] }
      const all = [...same.batches, ...batches].toSorted((one, other) => one.baseOffset - other.baseOffset)
      const updatedAtMs = Math.max(same.updatedAtMs, storedAtMs)
      ofPartition.set(producerId, { epoch, updatedAtMs, batches: all.slice(-batchesPerProducer) })
    }
  }

  /** As the database keeps them, without those that were silent for a day. */
  rows(): ProducerRow[] {
    const rows: ProducerRow[] = []
    for (const [partitionId, ofPartition] of this.#partitions) {
      for (const [producerId, { epoch: producerEpoch, updatedAtMs, batches }] of ofPartition) {
        if (updatedAtMs >= this.#newestMs - keptForMs) rows.push({ partitionId, producerId, producerEpoch, batches, updatedAtMs })
      }
    }
    return rows
  }
}
