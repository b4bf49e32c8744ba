import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { TopicRow } from './metadata/log-metadata.ts'
import { Partition, type TopicIdentity } from './partition.ts'
import type { PartitionRow } from './metadata/log-metadata.ts'
import type { Durability, TopicConfig } from './topic-config.ts'

/** A topic in use. */
export class Topic implements TopicIdentity {
  /** A UUID; another topic of the same name has another one. */
  readonly id: string
  readonly name: string
  readonly createdAtMs: number
  readonly #hasWal: boolean
  readonly #clock: Clock
  readonly #partitions: Partition[] = []
  #config: TopicConfig

  constructor(row: TopicRow, { hasWal, clock }: { hasWal: boolean; clock: Clock }) {
    this.id = row.id
    this.name = row.name
    this.createdAtMs = row.createdAtMs
    this.#config = row.config
    this.#hasWal = hasWal
    this.#clock = clock
    this.addPartitions(this.newPartitions(row.partitions))
  }

  get config(): TopicConfig {
    return this.#config
  }
  /** Where there is no write-ahead log, every topic waits for the object store. */
  get durability(): Durability {
    return this.#hasWal ? this.#config.durability : 'object'
  }
  /** In order of their numbers, from 0, without a hole. */
  get partitions(): readonly Partition[] {
    return this.#partitions
  }
  /** Made and written by Millrace itself. */
  get isInternal(): boolean {
    return this.name.startsWith('millrace.')
  }

  configure(config: TopicConfig): void {
    this.#config = config
  }

  /** What these rows stand for, in order; nobody finds it before it is added. */
  newPartitions(rows: readonly PartitionRow[]): Partition[] {
    return rows.toSorted((a, b) => a.index - b.index).map((row) => new Partition(row, { topic: this, clock: this.#clock }))
  }

  addPartitions(added: readonly Partition[]): void {
    this.#partitions.push(...added)
  }

  /** Throws `PARTITION_NOT_FOUND`. */
  partition(index: number): Partition {
    const partition = this.#partitions[index]
    if (partition) return partition
    const message = `topic "${this.name}" has no partition ${index}; it has ${this.#partitions.length}, from 0`
    throw new AppError('PARTITION_NOT_FOUND', message)
  }
}
