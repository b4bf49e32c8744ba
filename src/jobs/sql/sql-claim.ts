import { sql } from 'kysely'
import { rowSet } from '#store/sql/row-set.ts'
import { chooseTasks, costLimits, slotsFor, type Candidate } from '../claim-choice.ts'
import type { ClaimedTask, Effects, WorkerRef } from '../job-store.ts'
import { firstWaitingRank, priorities, queues, type Queue } from '../model.ts'
import { findClaimable, makeDue } from './sql-claimable.ts'
import { noEffects, type Fleet } from './sql-fleet.ts'
import { JobLedger } from './sql-job-ledger.ts'
import { lockNodes, type NodeLock } from './sql-locks.ts'
import { parseTaskKind } from './sql-rows.ts'
import { inTransaction, type Session } from './sql-session.ts'

type ClaimAnswer = { readonly isKnown: boolean; readonly tasks: readonly ClaimedTask[] } & Effects

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
  if (!isKnown) return { isKnown: false, tasks: [], mayBeMore: false, ...noEffects }
  const free = node.slots - node.used_slots
  if (node.state !== 'active' || free <= 0) return { isKnown, tasks: [], mayBeMore: false, ...noEffects }
  await makeDue(session, node.now)
  const limit = Math.min(max, free)
  const { candidates, mayBeMore } = await findClaimable(session, { nodeId, limit, ...costLimits(slotsOf(node)) })
  const chosen = chooseTasks(candidates, { ...slotsOf(node), max: limit })
  if (chosen.length === 0) return { isKnown, tasks: [], mayBeMore, ...noEffects }
  const tasks = await lease(session, node, chosen)
  const jobs = await JobLedger.lock(
    session,
    tasks.map(({ jobId }) => jobId),
    node.now,
  )
  for (const { jobId } of tasks) jobs.add(jobId, { leased: 1, isClaimed: true })
  return { isKnown, tasks, mayBeMore: false, changes: await jobs.save(), readyCount: 0 }
}

function slotsOf({ slots, used_slots, live_slots, live_reserve }: NodeLock) {
  return { slots, usedSlots: used_slots, liveSlots: live_slots, liveReserve: live_reserve }
}

type LeasedRow = {
  id: number
  job_id: string
  kind: string
  rendition: string
  chunk: number
  fence: number
  attempt: number
  held_slots: number
  total_frames: number
  base_rank: number
}

async function lease({ db, dialect }: Session, node: NodeLock, chosen: readonly Candidate[]): Promise<ClaimedTask[]> {
  const held = chosen.map((task) => ({ ...task, slots: slotsFor(task, slotsOf(node)) }))
  const wanted = rowSet(dialect, held, { task_id: ['bigint', ({ id }) => id], slots: ['bigint', ({ slots }) => slots] })
  const now = sql`cast(${node.now} as bigint)`
  const { rows } = await sql<LeasedRow>`
    update tasks set state = 'leased', node_id = ${node.id}, node_epoch = cast(${node.epoch} as bigint), fence = fence + 1,
      attempt = attempt + 1, held_slots = slots, frames = 0, speed = 0, leased_at_ms = ${now}, held_at_ms = ${now}, progress_at_ms = ${now}
    from ${wanted} as wanted where tasks.id = wanted.task_id
    returning id, job_id, kind, rendition, chunk, fence, attempt, held_slots, total_frames, base_rank
  `.execute(db)
  const used = held.reduce((sum, { slots }) => sum + slots, 0)
  const live = held.reduce((sum, { rank, slots }) => sum + (rank < firstWaitingRank ? slots : 0), 0)
  await sql`
    update nodes set used_slots = used_slots + cast(${used} as integer), live_slots = live_slots + cast(${live} as integer)
    where id = ${node.id}
  `.execute(db)
  const order = new Map(chosen.map(({ id }, at) => [id, at]))
  return rows.toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0)).map(toClaimed)
}

function toClaimed(row: LeasedRow): ClaimedTask {
  return {
    id: row.id,
    jobId: row.job_id,
    kind: parseTaskKind(row.kind),
    rendition: row.rendition,
    chunk: row.chunk,
    fence: row.fence,
    attempt: row.attempt,
    cost: row.held_slots,
    totalFrames: row.total_frames,
    queue: queueOfRank(row.base_rank),
  }
}

function queueOfRank(rank: number): Queue {
  return queues[Math.floor(rank / priorities.length)] ?? 'batch'
}
