/** Chooses partitions for records without a key: one for all of a request, so that batches are large, and the next request the next one. */
export class StickyChoice {
  #next = 0

  /** A partition that takes records, if any does. */
  next({ partitions }: { readonly partitions: readonly { readonly isOwned: boolean }[] }): number {
    for (let tried = 0; tried < partitions.length; tried++) {
      const index = this.#next++ % partitions.length
      if (partitions[index]?.isOwned) return index
    }
    return 0
  }
}
