/** What is known of a run in the bucket. Ids of objects grow with time. */
export type ChainRun = {
  readonly epoch: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly objectId: string
}

/** The runs of a partition, sorted out. Offsets of a gap: the first that is missing, and the first that is there again. */
export type Chain<Run> = {
  /** The history, in order. */
  readonly kept: readonly Run[]
  /** Runs of an owner that had been replaced when they would have been committed. */
  readonly superseded: readonly Run[]
  /** Runs whose offsets others cover. */
  readonly overlapping: readonly Run[]
  readonly gaps: readonly { readonly fromOffset: number; readonly toOffset: number }[]
}

/**
 * Finds the committed history of a partition among all runs that were ever uploaded for it. Runs that were committed never overlap (invariant I3); others were
 * refused, or lost their agent before the commit. Two rules tell them apart, as far as it can be known:
 *
 * - An owner begins at the committed end. So what reaches to where any run of a later epoch begins was not committed.
 * - Of what is left, those runs that together cover most offsets: a chain without a gap when there is one. Where two would do, the younger object's, because
 *   what was not committed in time goes again in a new object.
 */
export function chooseChain<Run extends ChainRun>(runs: readonly Run[]): Chain<Run> {
  const superseded = findSuperseded(runs)
  const left = runs.filter((run) => !superseded.has(run))
  const kept = coverMost(left)
  const chosen = new Set(kept)
  return { kept, superseded: [...superseded], overlapping: left.filter((run) => !chosen.has(run)), gaps: gapsOf(kept) }
}

function findSuperseded<Run extends ChainRun>(runs: readonly Run[]): Set<Run> {
  const superseded = new Set<Run>()
  const epochs = [...Map.groupBy(runs, ({ epoch }) => epoch)].toSorted(([one], [other]) => other - one)
  let laterStart = Infinity
  for (const [, ofEpoch] of epochs) {
    for (const run of ofEpoch) if (run.lastOffset >= laterStart) superseded.add(run)
    laterStart = ofEpoch.reduce((start, { baseOffset }) => Math.min(start, baseOffset), laterStart)
  }
  return superseded
}

/** Weighted interval scheduling: `covered[i]` is the most that the first `i` runs can cover without overlapping. */
function coverMost<Run extends ChainRun>(runs: readonly Run[]): Run[] {
  const sorted = runs.toSorted((one, other) => one.lastOffset - other.lastOffset || (one.objectId < other.objectId ? -1 : 1))
  const lasts = sorted.map(({ lastOffset }) => lastOffset)
  const covered = new Float64Array(sorted.length + 1)
  const before = sorted.map(({ baseOffset }) => countBelow(lasts, baseOffset))
  const isTaken = sorted.map(({ baseOffset, lastOffset }, index) => {
    const withIt = at(covered, before[index] ?? 0) + lastOffset - baseOffset + 1
    const without = at(covered, index)
    covered[index + 1] = Math.max(withIt, without)
    return withIt >= without
  })
  const chosen: Run[] = []
  for (let index = sorted.length - 1; index >= 0;) {
    const run = isTaken[index] ? sorted[index] : undefined
    if (run) chosen.push(run)
    index = run ? (before[index] ?? 0) - 1 : index - 1
  }
  return chosen.reverse()
}

/** How many of these ascending numbers are below the limit. */
function countBelow(ascending: readonly number[], limit: number): number {
  let [from, to] = [0, ascending.length]
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if (at(ascending, middle) < limit) from = middle + 1
    else to = middle
  }
  return from
}

function at(numbers: { readonly [index: number]: number | undefined }, index: number): number {
  return numbers[index] ?? 0
}

function gapsOf(kept: readonly ChainRun[]): Chain<never>['gaps'] {
  return kept.flatMap(({ baseOffset }, index) => {
    const fromOffset = (kept[index - 1]?.lastOffset ?? baseOffset - 1) + 1
    return fromOffset < baseOffset ? [{ fromOffset, toOffset: baseOffset }] : []
  })
}
