import type { Duty } from './duties.ts'
import type { JobChanges } from './job-changes.ts'
import { cleanJobs, pruneJobs, type CleanedObjects } from './job-cleaning.ts'
import type { JobStore } from '../job-store.ts'
import type { NodeState } from '../model.ts'
import type { Outages } from './outages.ts'

type Deps = {
  readonly store: JobStore
  readonly objects: CleanedObjects
  readonly outages: Outages
  readonly changes: JobChanges
  readonly leaseMs: number
  readonly retentionMs: number
}

const longestSweepMs = 2_000
const ageEveryMs = 10_000
const cleanEveryMs = 30_000
const pruneEveryMs = 3_600_000

/** What somebody has to do now and then for the jobs of all nodes. */
export function schedulerDuties(deps: Deps): readonly Duty[] {
  const { store, objects, leaseMs, retentionMs } = deps
  // Several times within a lease: what is longer is taken for an outage.
  const sweepEveryMs = Math.min(longestSweepMs, leaseMs / 4)
  const sweeper = new Sweeper(deps)
  return [
    { name: 'jobs.sweep', everyMs: sweepEveryMs, run: () => sweeper.run() },
    { name: 'jobs.age', everyMs: ageEveryMs, run: () => store.age() },
    { name: 'jobs.clean', everyMs: cleanEveryMs, run: () => cleanJobs({ store, objects }) },
    { name: 'jobs.prune', everyMs: pruneEveryMs, run: () => pruneJobs({ store, objects }, { retentionMs }) },
  ]
}

/** Ends what is lost, stale or too late, and tells which workers were lost. */
class Sweeper {
  readonly #deps: Deps
  /** Undefined before the first look: who was lost then is no news. */
  #states: ReadonlyMap<string, NodeState> | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  async run(): Promise<void> {
    const { store, outages, changes } = this.#deps
    const before = this.#states ?? new Map((await store.listNodes()).map(({ id, state }) => [id, state]))
    const { lost: _lost, stale: _stale, ...effects } = await outages.guard(() => store.sweep())
    changes.apply(effects)
    const nodes = await store.listNodes()
    for (const node of nodes) {
      if (node.state === 'lost' && before.get(node.id) !== 'lost') changes.nodeChanged('node.lost', node)
    }
    this.#states = new Map(nodes.map(({ id, state }) => [id, state]))
  }
}
