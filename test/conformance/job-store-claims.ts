import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { priorities, queues } from '#jobs/model.ts'
import { claimableInPostgres, claimableInSqlite } from '#jobs/sql/sql-claimable.ts'
import { newTask, type TestFleet } from './job-store-fixture.ts'

/** Who gets what, and when. */
export function claimTests(create: () => Promise<TestFleet>): void {
  test('a claimed task says what it is, and its job is assigned', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit({ queue: 'batch', firstTask: newTask({ kind: 'probe', cost: 2, totalFrames: 7 }) })
    const task = await worker.claimOne()
    const { id, ...rest } = task
    assert.deepEqual(rest, {
      jobId: job.id,
      kind: 'probe',
      rendition: '',
      chunk: 0,
      fence: 1,
      attempt: 1,
      cost: 2,
      totalFrames: 7,
      queue: 'batch',
    })
    const row = await fleet.task(job.id, 'probe')
    assert.deepEqual([row.id, row.state, row.nodeId], [id, 'leased', 'w1'])
    assert.deepEqual(worker.changes, ['queued → assigned'])
    const { usedSlots, liveSlots } = await fleet.node('w1')
    assert.deepEqual([usedSlots, liveSlots], [2, 0])
    assert.equal((await fleet.job(job.id)).startedAtMs, row.leasedAtMs)
  })

  test('ranks are claimed in order, and within one the first comes first', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 64 })
    const wanted = []
    for (const queue of queues) for (const priority of priorities) wanted.push(`${queue} ${priority}`)
    for (const queue of queues.toReversed()) {
      for (const priority of priorities.toReversed()) {
        await fleet.submit({ queue, priority, label: `${queue} ${priority}` })
        await fleet.submit({ queue, priority, label: `${queue} ${priority}` })
      }
    }
    const labels = []
    const ids = []
    for (const { jobId } of await worker.claim()) {
      labels.push((await fleet.job(jobId)).label)
      ids.push(jobId)
    }
    assert.deepEqual(
      labels,
      wanted.flatMap((label) => [label, label]),
    )
    for (let at = 0; at < ids.length; at += 2) assert((ids[at] ?? '') < (ids[at + 1] ?? ''))
  })

  test('no more is claimed than is asked for, and than fits into the slots', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 4 })
    for (let n = 0; n < 9; n++) await fleet.submit({ firstTask: newTask({ kind: 'probe', cost: 2 }) })
    assert.equal((await worker.claim(1)).length, 1)
    assert.equal((await worker.claim(9)).length, 1)
    assert.equal((await worker.claim(9)).length, 0)
    assert.equal((await fleet.node('w1')).usedSlots, 4)
  })

  test('a task that needs all slots holds up the small ones behind it until it fits', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 4 })
    const first = await fleet.submit()
    const small = await worker.claimOne()
    assert.equal(small.jobId, first.id)
    const big = await fleet.submit({ firstTask: newTask({ kind: 'probe', cost: 4 }) })
    await fleet.submit()
    assert.deepEqual(await worker.claim(), [])
    await worker.done(small)
    assert.deepEqual(
      (await worker.claim()).map(({ jobId }) => jobId),
      [big.id],
    )
  })

  test('a task that costs more than the worker has takes all of it', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 2 })
    await fleet.submit({ firstTask: newTask({ kind: 'probe', cost: 8 }) })
    const task = await worker.claimOne()
    assert.equal(task.cost, 2)
    assert.equal((await fleet.node('w1')).usedSlots, 2)
    await worker.done(task)
    assert.equal((await fleet.node('w1')).usedSlots, 0)
  })

  test('a big task that live jobs leave no room for is passed over', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 4 })
    await fleet.submit({ queue: 'live' })
    await worker.claimOne()
    await fleet.submit({ firstTask: newTask({ kind: 'probe', cost: 4 }) })
    const small = await fleet.submit()
    assert.deepEqual(
      (await worker.claim(1)).map(({ jobId }) => jobId),
      [small.id],
    )
  })

  test('slots of the live reserve are for live jobs only', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 4, liveReserve: 2 })
    for (let n = 0; n < 6; n++) await fleet.submit()
    assert.equal((await worker.claim()).length, 2)
    for (let n = 0; n < 6; n++) await fleet.submit({ queue: 'live' })
    const live = await worker.claim()
    assert.deepEqual(
      live.map(({ queue }) => queue),
      ['live', 'live'],
    )
    const node = await fleet.node('w1')
    assert.deepEqual([node.usedSlots, node.liveSlots], [4, 2])
    for (const task of live) await worker.done(task)
    assert.equal(
      (await worker.claim()).every(({ queue }) => queue === 'live'),
      true,
    )
  })

  test('a worker gets what it can do', async () => {
    await using fleet = await create()
    const cpu = await fleet.worker({ id: 'cpu', capabilities: ['encoder:libx264', 'encoder:aac'] })
    const gpu = await fleet.worker({ id: 'gpu', capabilities: ['encoder:h264_nvenc'] })
    const both = await fleet.submit({ firstTask: newTask({ kind: 'probe', needs: ['encoder:aac', 'encoder:libx264'] }) })
    const hardware = await fleet.submit({ firstTask: newTask({ kind: 'probe', needs: ['encoder:h264_nvenc'] }) })
    await fleet.submit({ firstTask: newTask({ kind: 'probe', needs: ['encoder:h264_nvenc', 'encoder:aac'] }) })
    assert.deepEqual(
      (await gpu.claim()).map(({ jobId }) => jobId),
      [hardware.id],
    )
    assert.deepEqual(
      (await cpu.claim()).map(({ jobId }) => jobId),
      [both.id],
    )
  })

  test('tasks that a worker cannot do are not even looked at, however many', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const { db, dialect } = fleet.database
    await fleet.submit({ queue: 'live', firstTask: newTask({ kind: 'probe', needs: ['gpu'] }) })
    const possible = await fleet.submit({ queue: 'batch' })
    await copyTasks(fleet, 40_000)
    const wanted = { nodeId: 'w1', limit: 4, liveCost: Infinity, otherCost: Infinity }
    if (dialect === 'postgres') {
      await sql`analyze tasks`.execute(db)
      const { rows } = await sql<{
        'QUERY PLAN': unknown
      }>`explain (analyze, format json) ${claimableInPostgres(wanted)}`.execute(db)
      const scans = scansOf(rows[0]?.['QUERY PLAN'])
      assert(scans.length > 0)
      for (const scan of scans) {
        assert.match(scan.kind, /^Index/)
        assert(scan.rowCount <= 50, `${scan.kind} reads ${scan.rowCount} rows`)
      }
    } else {
      const { rows } = await sql<{ detail: string }>`explain query plan ${claimableInSqlite(1, wanted)}`.execute(db)
      assert.deepEqual(
        rows.map(({ detail }) => detail),
        ['SEARCH tasks USING INDEX tasks_ready (class_id=?)'],
      )
    }
    assert.deepEqual(
      (await worker.claim(1)).map(({ jobId }) => jobId),
      [possible.id],
    )
  })

  test('a node that drains gets nothing new', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.submit()
    assert.equal((await fleet.store.setNodeState('w1', 'draining'))?.state, 'draining')
    assert.deepEqual(await worker.claim(), [])
    assert.deepEqual((await worker.beat()).state, 'draining')
    await fleet.store.setNodeState('w1', 'active')
    assert.equal((await worker.claim()).length, 1)
  })

  test('a node whose lease has run out gets nothing, and is told', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    await fleet.submit()
    await fleet.pass(30_000)
    assert.equal((await fleet.store.claim({ ...worker.ref, max: 1 })).isKnown, false)
    assert.deepEqual(await worker.beat([{ taskId: 1, fence: 1, frames: 0, speed: 0 }]), {
      isKnown: false,
      state: 'lost',
      stop: [{ taskId: 1, fence: 1 }],
      changes: [],
      readyCount: 0,
    })
  })
}

/** More of the first task, without jobs of their own. */
async function copyTasks({ database: { db, dialect } }: TestFleet, count: number): Promise<void> {
  const numbers =
    dialect === 'postgres'
      ? sql`generate_series(1, ${sql.lit(count)}) as numbers(n)`
      : sql`(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${sql.lit(count)}) select n from numbers) as numbers`
  await sql`
    insert into tasks (job_id, kind, rendition, chunk, class_id, base_rank, rank, fair_key, cost, state, is_due, deps_left, attempt, lost_count,
      fence, held_slots, frames, total_frames, speed, run_after_ms, aged_at_ms)
    select job_id, kind, 'copy', n, class_id, base_rank, rank, fair_key + n, cost, state, is_due, 0, 0, 0, 0, 0, 0, 0, 0, run_after_ms, aged_at_ms
    from tasks, ${numbers} where id = (select min(id) from tasks)
  `.execute(db)
}

type Scan = { readonly kind: string; readonly rowCount: number }

const scanSchema = Type.Object({
  'Node Type': Type.String(),
  'Relation Name': Type.Literal('tasks'),
  'Actual Rows': Type.Number(),
  'Actual Loops': Type.Number(),
  'Rows Removed by Filter': Type.Optional(Type.Number()),
})

/** Where a plan of PostgreSQL reads tasks. */
function scansOf(plan: unknown): Scan[] {
  if (typeof plan !== 'object' || plan === null) return []
  const below = Object.values(plan).flatMap(scansOf)
  if (!Value.Check(scanSchema, plan)) return below
  const { 'Node Type': kind, 'Actual Rows': found, 'Actual Loops': loops, 'Rows Removed by Filter': removed = 0 } = plan
  return [{ kind, rowCount: (found + removed) * loops }, ...below]
}
