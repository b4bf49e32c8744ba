import { firstWaitingRank } from './model.ts'

/** A ready task, in the order in which tasks are to be claimed. */
export type Candidate = { readonly id: number; readonly rank: number; readonly cost: number }

export type WorkerSlots = {
  readonly slots: number
  readonly usedSlots: number
  /** The part of `usedSlots` that live jobs take. */
  readonly liveSlots: number
  /** Slots that only live jobs may use. */
  readonly liveReserve: number
}

/** Slots that a task takes: its cost, and no more than a worker of this size can ever give it; a small machine does big tasks alone. */
export function slotsFor({ rank, cost }: Pick<Candidate, 'rank' | 'cost'>, { slots, liveReserve }: WorkerSlots): number {
  return Math.min(cost, rank < firstWaitingRank ? slots : Math.max(1, slots - liveReserve))
}

/** The most that a task may cost for it to fit once others have ended. Live jobs may go on for ever, so nobody waits for them. */
export type CostLimits = { readonly liveCost: number; readonly otherCost: number }

export function costLimits({ slots, liveSlots, liveReserve }: WorkerSlots): CostLimits {
  const otherCost = slots - Math.max(liveSlots, liveReserve)
  // Without live jobs in the way everything fits: what costs more than all slots takes all slots.
  return {
    liveCost: liveSlots === 0 ? Infinity : slots - liveSlots,
    otherCost: otherCost > 0 && liveSlots <= liveReserve ? Infinity : otherCost,
  }
}

/**
 * The first tasks that fit, of those within the cost limits. The first one that does not fit yet holds up those behind it, or it would wait for ever.
 */
export function chooseTasks<T extends Candidate>(candidates: readonly T[], worker: WorkerSlots & { readonly max: number }): T[] {
  const { slots, liveReserve, max } = worker
  let { usedSlots: used, liveSlots: live } = worker
  const chosen: T[] = []
  for (const task of candidates) {
    if (chosen.length === max) break
    const isLive = task.rank < firstWaitingRank
    const taken = slotsFor(task, worker)
    const free = isLive ? slots - used : Math.min(slots - used, slots - liveReserve - (used - live))
    if (taken > free) break
    chosen.push(task)
    used += taken
    if (isLive) live += taken
  }
  return chosen
}
