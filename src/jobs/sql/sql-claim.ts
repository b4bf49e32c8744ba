import { sql, type RawBuilder } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import type { Dialect } from '#store/sql/schema.ts'
import { chooseTasks, costLimits, slotsFor } from '../claim-choice.ts'
import type { ClaimedPapers, ClaimedTask, Effects, WorkerRef } from '../job-store.ts'
import { firstWaitingRank, priorities, queues, type JobId, type Queue } from '../model.ts'
import { findClaimable, makeDue, type ClaimableTask } from './sql-claimable.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { lockNodes, type NodeLock } from './sql-locks.ts'
import { parseJson, parseTaskKind } from './sql-rows.ts'
import { inTransaction, runTogether, type Session } from './sql-session.ts'

type Claimed = { readonly tasks: readonly ClaimedTask[]; readonly papers: ReadonlyMap<JobId, ClaimedPapers> }
type ClaimAnswer = { readonly isKnown: boolean } & Claimed & Effects
/** A task and the slots that it takes of the node. */
type Held = ClaimableTask & { readonly slots: number }

const nothing: Claimed & Effects = { tasks: [], papers: new Map(), ...noEffects }

/** Rows that other claims hold for the moment are skipped; when this leaves nothing, the claim looks again so often. */
const maxLooks = 3

export async function claimTasks(fleet: Fleet, request: WorkerRef & { readonly max: number }): Promise<ClaimAnswer> {
  for (let look = 1; ; look++) {
    const { mayBeMore, ...answer } = await inTransaction(fleet.database, (session) => claimOnce(session, request))
    if (answer.tasks.length > 0 || !mayBeMore || look === maxLooks) return answer
  }
}

async function claimOnce(
  session: Session,
  { nodeId, epoch, max }: WorkerRef & { readonly max: number },
): Promise<ClaimAnswer & { mayBeMore: boolean }> {
  const node = (await lockNodes(session, [nodeId])).get(nodeId)
  const isKnown = node !== undefined && node.epoch === epoch && node.state !== 'lost' && node.lease_until_ms > node.now
  if (!isKnown) return { isKnown: false, mayBeMore: false, ...nothing }
  const free = node.slots - node.used_slots
  if (node.state !== 'active' || free <= 0) return { isKnown, mayBeMore: false, ...nothing }
  if (node.has_due === 1) await makeDue(session, node.now)
  const limit = Math.min(max, free)
  const { candidates, mayBeMore } = await findClaimable(session, { nodeId, limit, ...costLimits(slotsOf(node)) })
  const chosen = chooseTasks(candidates, { ...slotsOf(node), max: limit })
  if (chosen.length === 0) return { isKnown, mayBeMore, ...nothing }
  return { isKnown, mayBeMore: false, readyCount: 0, ...(await lease(session, node, chosen)) }
}

function slotsOf({ slots, used_slots, live_slots, live_reserve }: NodeLock) {
  return { slots, usedSlots: used_slots, liveSlots: live_slots, liveReserve: live_reserve }
}

/** Writes tasks, node and jobs, and reads what is to be known of the jobs: the end of the transaction. */
async function lease(
  session: Session,
  node: NodeLock,
  chosen: readonly ClaimableTask[],
): Promise<Claimed & Pick<Effects, 'changes'>> {
  const { dialect } = session
  const held = chosen.map((task) => ({ ...task, slots: slotsFor(task, slotsOf(node)) }))
  const jobIds = [...new Set(chosen.map(({ job_id }) => job_id))]
  const jobs = await JobLedger.lock(session, jobIds, node.now)
  for (const { job_id } of chosen) jobs.add(job_id, { leased: 1, isClaimed: true })
  const { writes, changes } = jobs.settle()
  const ids = rowSet(dialect, jobIds, { id: ['text', (id) => id] })
  const rows = await runTogether(session, {
    writes: [leaseTasks(dialect, node, held), takeSlots(node, held), ...writes],
    query: sql<{ job_id: string; input: string; plan: string | null }>`
      select job_id, input, plan from job_documents where job_id in (select id from ${ids} as ids)
    `,
    isLast: true,
  })
  const papers = new Map(
    rows.map(({ job_id: id, input, plan }) => {
      const { scenario = '', traceparent } = jobs.find(id) ?? {}
      return [id, { id, scenario, input: parseJson(input), plan: parseJson(plan), traceparent: traceparent ?? undefined }]
    }),
  )
  return { tasks: held.map(toClaimed), papers, changes }
}

function leaseTasks(dialect: Dialect, node: NodeLock, held: readonly Held[]): RawBuilder<unknown> {
  const wanted = rowSet(dialect, held, { task_id: ['bigint', ({ id }) => id], slots: ['bigint', ({ slots }) => slots] })
  const now = sql`cast(${node.now} as bigint)`
  return sql`
    update tasks set state = 'leased', node_id = ${node.id}, node_epoch = cast(${node.epoch} as bigint), fence = fence + 1,
      attempt = attempt + 1, held_slots = slots, frames = 0, speed = 0, leased_at_ms = ${now}, held_at_ms = ${now}, progress_at_ms = ${now}
    from ${wanted} as wanted where tasks.id = wanted.task_id
  `
}

function takeSlots(node: NodeLock, held: readonly Held[]): RawBuilder<unknown> {
  const used = held.reduce((sum, { slots }) => sum + slots, 0)
  const live = held.reduce((sum, { rank, slots }) => sum + (rank < firstWaitingRank ? slots : 0), 0)
  return sql`
    update nodes set used_slots = used_slots + cast(${used} as integer), live_slots = live_slots + cast(${live} as integer)
    where id = ${node.id}
  `
}

/** As it is now. */
function toClaimed(task: Held): ClaimedTask {
  return {
    id: task.id,
    jobId: task.job_id,
    kind: parseTaskKind(task.kind),
    rendition: task.rendition,
    chunk: task.chunk,
    fence: task.fence + 1,
    attempt: task.attempt + 1,
    cost: task.slots,
    totalFrames: task.total_frames,
    queue: queueOfRank(task.base_rank),
  }
}

function queueOfRank(rank: number): Queue {
  return queues[Math.floor(rank / priorities.length)] ?? 'batch'
}
