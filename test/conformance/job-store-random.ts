import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sql } from 'kysely'
import { isTerminal, jobTransitions, type JobState } from '#jobs/model.ts'
import { chunksAndPackage, leaseMs, type TestFleet, type TestWorker } from './job-store-fixture.ts'

const actions = [
  'submit',
  'claim',
  'done',
  'done',
  'done',
  'transient',
  'terminal',
  'released',
  'input',
  'beat',
  'forget',
  'register',
] as const
const rareActions = ['cancel', 'retry', 'sweep', 'lapse', 'wait', 'age', 'drain', 'clean', 'prune'] as const
type Action = (typeof actions)[number] | (typeof rareActions)[number]
type Event = { readonly action: Action; readonly worker: number; readonly pick: number }

const event: fc.Arbitrary<Event> = fc.record({
  action: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...actions) },
    { weight: 1, arbitrary: fc.constantFrom(...rareActions) },
  ),
  worker: fc.nat(1),
  pick: fc.nat(1000),
})

/** Whatever happens, in whatever order. */
export function randomTests(create: () => Promise<TestFleet>): void {
  test('random events never leave the table of states, nor a slot, a counter or a dependency wrong', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 20, maxLength: 60 }), async (events) => {
        await using fleet = await create()
        await new RandomLife(fleet).run(events)
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })
}

class RandomLife {
  readonly #fleet: TestFleet
  readonly #workers: TestWorker[] = []
  /** The last state of each job and its generation. */
  readonly #states = new Map<string, { state: JobState; generation: number }>()

  constructor(fleet: TestFleet) {
    this.#fleet = fleet
  }

  async run(events: readonly Event[]): Promise<void> {
    for (const id of ['w0', 'w1']) this.#workers.push(await this.#fleet.worker({ id, slots: 3, liveReserve: 1 }))
    for (const one of events) {
      await this.#act(one)
      await this.#check()
    }
    await this.#end()
  }

  async #act({ action, worker: at, pick }: Event): Promise<void> {
    const { store } = this.#fleet
    const worker = this.#workers[at]
    assert(worker)
    const held = [...worker.held.values()]
    const one = held[pick % Math.max(1, held.length)]
    const task = one && { id: one.taskId, fence: one.fence }
    switch (action) {
      case 'submit': {
        const queue = (['live', 'default', 'batch'] as const)[pick % 3] ?? 'default'
        await this.#fleet.submit({ queue, tenant: `t${pick % 2}`, ...(pick % 5 === 0 ? { deadlineMs: 40_000 } : {}) })
        return
      }
      case 'claim':
        await worker.claim((pick % 3) + 1)
        return
      case 'done':
        if (task) await this.#complete(worker, task)
        return
      case 'transient':
      case 'terminal':
      case 'released':
        if (task) await worker.fail(task, { kind: action })
        return
      case 'input':
        if (task) await worker.fail(task, { kind: 'input', badInputs: await this.#parentsOf(task.id) })
        return
      case 'beat':
        for (const [id, entry] of worker.held) worker.held.set(id, { ...entry, frames: entry.frames + (pick % 60) })
        await worker.beat()
        return
      case 'forget':
        if (task) worker.held.delete(task.id)
        return
      case 'register':
        await worker.register()
        return
      case 'cancel':
        await store.cancel(this.#jobId(pick))
        return
      case 'retry':
        await store.retry(this.#jobId(pick))
        return
      case 'sweep':
        await store.sweep()
        return
      case 'lapse':
        await this.#fleet.pass(leaseMs)
        return
      case 'wait':
        await this.#fleet.pass(15_000)
        return
      case 'age':
        await this.#fleet.pass(120_000)
        await store.age()
        return
      case 'drain':
        await store.setNodeState(worker.node.id, pick % 2 === 0 ? 'draining' : 'active')
        return
      case 'clean':
        await this.#fleet.pass(3_600_000)
        await store.findUncleaned(9)
        return
      case 'prune':
        for (const id of await store.prune({ finishedBeforeMs: await store.nowMs(), limit: 1 })) this.#states.delete(id)
        return
      default:
        return action satisfies never
    }
  }

  async #complete(worker: TestWorker, task: { id: number; fence: number }): Promise<void> {
    const row = await this.#fleet.database.db.selectFrom('tasks').select('kind').where('id', '=', task.id).executeTakeFirst()
    const isProbe = row?.kind === 'probe'
    await worker.done(task, isProbe ? { expansion: { plan: {}, tasks: chunksAndPackage(3) } } : {})
  }

  async #parentsOf(childId: number): Promise<number[]> {
    const rows = await this.#fleet.database.db
      .selectFrom('task_deps')
      .select('parent_id')
      .where('child_id', '=', childId)
      .execute()
    return rows.map((row) => row.parent_id)
  }

  #jobId(pick: number): string {
    const ids = [...this.#states.keys()]
    return ids[pick % Math.max(1, ids.length)] ?? 'none'
  }

  async #check(): Promise<void> {
    for (const worker of this.#workers)
      for (const { changes } of worker.effects.splice(0))
        for (const { from, to } of changes) assert(mayFollow(from, to), `${from} → ${to}`)
    for (const { id, state, generation } of await this.#fleet.store.listJobs({ limit: 1000 })) {
      const before = this.#states.get(id)
      if (before && before.generation === generation && before.state !== state) {
        assert(isReachable(before.state, state), `${id}: ${before.state} → ${state}`)
      }
      if (before && before.generation !== generation) assert(isTerminal(before.state), `${id} began anew from ${before.state}`)
      this.#states.set(id, { state, generation })
    }
    assert.deepEqual(await wrongRows(this.#fleet), [])
  }

  /** All is brought to an end; then nothing may be left. */
  async #end(): Promise<void> {
    const { store } = this.#fleet
    for (const worker of this.#workers) {
      await store.setNodeState(worker.node.id, 'active')
      await worker.register()
    }
    for (let round = 0; round < 400; round++) {
      await this.#fleet.pass(1000)
      if (round % 20 === 0) await this.#fleet.pass(60_000)
      await store.sweep()
      for (const worker of this.#workers) {
        await worker.register()
        for (const task of await worker.claim()) await this.#complete(worker, task)
      }
      const { jobs, leasedTasks } = await store.counts()
      if (jobs.queued + jobs.assigned + jobs.running + jobs.retrying + leasedTasks === 0) break
    }
    await this.#check()
    const jobs = await store.listJobs({ limit: 1000 })
    assert(
      jobs.every(({ state }) => isTerminal(state)),
      JSON.stringify(jobs.map(({ state }) => state)),
    )
    for (const { usedSlots, liveSlots } of await store.listNodes()) assert.deepEqual([usedSlots, liveSlots], [0, 0])
  }
}

function mayFollow(from: JobState, to: JobState): boolean {
  const following: readonly JobState[] = jobTransitions[from]
  return following.includes(to) || (isTerminal(from) && to === 'queued')
}

/** One event may change a job more than once: a sweep ends attempts, and then deadlines. */
function isReachable(from: JobState, to: JobState): boolean {
  return mayFollow(from, to) || jobTransitions[from].some((between) => mayFollow(between, to))
}

/** Everything that is counted, counted again. */
async function wrongRows({ database: { db } }: TestFleet): Promise<unknown[]> {
  const { rows } = await sql`
    select 'node' as what, nodes.id as id from nodes where used_slots <> (
      select coalesce(sum(held_slots), 0) from tasks where state = 'leased' and node_id = nodes.id and node_epoch = nodes.epoch
    ) or live_slots <> (
      select coalesce(sum(held_slots), 0) from tasks
      where state = 'leased' and node_id = nodes.id and node_epoch = nodes.epoch and base_rank < 3
    )
    union all
    select 'dependencies', cast(tasks.id as text) from tasks where deps_left <> (
      select count(*) from task_deps join tasks as parents on parents.id = task_deps.parent_id
      where child_id = tasks.id and parents.state <> 'done'
    )
    union all
    select 'counters', jobs.id from jobs
    where task_count <> (select count(*) from tasks where job_id = jobs.id)
      or done_count <> (select count(*) from tasks where job_id = jobs.id and state = 'done')
      or leased_count <> (select count(*) from tasks where job_id = jobs.id and state = 'leased')
      or frames <> (select coalesce(sum(case when total_frames > 0 or kind = 'live' then frames else 0 end), 0) from tasks where job_id = jobs.id)
      or total_frames <> (select coalesce(sum(total_frames), 0) from tasks where job_id = jobs.id)
    union all
    select 'waiting in a job that is over', cast(tasks.id as text) from tasks join jobs on jobs.id = tasks.job_id
    where jobs.finished_at_ms is not null and tasks.state in ('ready', 'blocked')
    union all
    select 'nothing to do in a job that is not over', jobs.id from jobs
    where jobs.finished_at_ms is null and not exists (select 1 from tasks where job_id = jobs.id and tasks.state in ('ready', 'leased'))
  `.execute(db)
  return rows
}
