import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { LogMetadata } from './metadata/log-metadata.ts'
import type { Partition } from './partition.ts'

/** Offsets that may be given out before the database is asked again. */
const ceilingStep = 10_000_000
/** Asked again when fewer than this are left. */
const ceilingReserve = 5_000_000

type Deps = {
  readonly agentId: string
  readonly walId: string
  readonly hasWal: boolean
  readonly metadata: LogMetadata
  readonly log: Logger
}

/**
 * Which partitions this agent may write. The database grants them, each with an epoch and an offset ceiling; a partition whose records may lie in this agent's
 * write-ahead log only is marked dirty there, and no other agent gets it (invariants I2, I4, I5).
 */
export class Leases {
  readonly #deps: Deps
  readonly #raising = new Set<Partition>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Partitions that are not granted stay without owner here, and refuse producers. */
  async acquire(partitions: readonly Partition[]): Promise<void> {
    if (partitions.length === 0) return
    const { metadata, agentId, walId, hasWal } = this.#deps
    // Whatever a topic's durability is, a request may ask for an acknowledgement from the disk.
    const request = partitions.map(({ id }) => ({ partitionId: id, isDirty: hasWal }))
    const granted = await metadata.acquirePartitions({ agentId, walId, partitions: request, ceilingStep })
    const byId = new Map(partitions.map((partition) => [partition.id, partition]))
    for (const grant of granted) byId.get(grant.partitionId)?.own(grant)
  }

  /** Raises the ceiling in the background, long before it is reached. */
  keepCeiling(partition: Partition): void {
    if (partition.nextOffset + ceilingReserve < partition.ceiling || this.#raising.has(partition)) return
    this.#raising.add(partition)
    void this.#raiseCeiling(partition).finally(() => this.#raising.delete(partition))
  }

  /** Gives back what holds nothing that is only here. */
  async release(partitions: readonly Partition[]): Promise<void> {
    const owned = partitions.filter(({ isOwned }) => isOwned).map(({ id, epoch }) => ({ partitionId: id, epoch }))
    if (owned.length > 0) await this.#deps.metadata.releasePartitions({ agentId: this.#deps.agentId, partitions: owned })
  }

  async #raiseCeiling(partition: Partition): Promise<void> {
    const { metadata, agentId, log } = this.#deps
    const ceiling = partition.nextOffset + ceilingStep
    try {
      const isRaised = await metadata.raiseCeiling({ agentId, partitionId: partition.id, epoch: partition.epoch, ceiling })
      if (isRaised) partition.raiseCeiling(ceiling)
    } catch (thrown) {
      // The next append asks again; half of the step is left until producers are refused.
      log.warn({ err: toAppError(thrown), partition: partition.label }, 'offset ceiling not raised')
    }
  }
}
