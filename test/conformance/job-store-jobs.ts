import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newTask, type TestFleet } from './job-store-fixture.ts'

/** Submitting and reading. */
export function jobTests(create: () => Promise<TestFleet>): void {
  test('a job comes back as it was submitted', async () => {
    await using fleet = await create()
    const text = 'é漢😀 "quoted" \\ \u2028'
    const { job, isNew, readyCount, changes } = await fleet.store.submit(
      fleet.newJob({
        label: text,
        input: { text, nested: [1, null] },
        deadlineMs: 60_000,
        firstTask: newTask({ kind: 'probe', needs: ['b', 'a'] }),
      }),
    )
    assert.deepEqual({ isNew, readyCount, changes }, { isNew: true, readyCount: 1, changes: [] })
    assert.deepEqual(await fleet.store.findJob(job.id), job)
    assert.equal(job.state, 'queued')
    assert.equal(job.label, text)
    assert.deepEqual(job.input, { text, nested: [1, null] })
    assert.equal(job.deadlineAtMs, job.createdAtMs + 60_000)
    assert.deepEqual([job.plan, job.result, job.startedAtMs, job.finishedAtMs], [undefined, undefined, undefined, undefined])
    const [task] = await fleet.store.listTasks(job.id)
    assert.deepEqual([task?.kind, task?.state, task?.rank, task?.needs], ['probe', 'ready', 4, ['a', 'b']])
  })

  test('the same id again gives back the job that is there', async () => {
    await using fleet = await create()
    const wanted = fleet.newJob()
    const first = await fleet.store.submit(wanted)
    const second = await fleet.store.submit(wanted)
    assert.deepEqual([second.isNew, second.readyCount, second.job], [false, 0, first.job])
    assert.equal((await fleet.store.listTasks(wanted.id)).length, 1)
  })

  test('an idempotency key names one job of its tenant', async () => {
    await using fleet = await create()
    const first = await fleet.store.submit(fleet.newJob({ idempotencyKey: 'k' }))
    const second = await fleet.store.submit(fleet.newJob({ idempotencyKey: 'k' }))
    const other = await fleet.store.submit(fleet.newJob({ idempotencyKey: 'k', tenant: 'b' }))
    assert.deepEqual([first.isNew, second.isNew, other.isNew], [true, false, true])
    assert.equal(second.job.id, first.job.id)
  })

  test('the trace of a submission is told with each claim and with the end', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const traced = await fleet.submit({ traceparent })
    const other = await fleet.submit()
    const { papers } = await fleet.store.claim({ ...worker.ref, max: 2 })
    assert.deepEqual([papers.get(traced.id)?.traceparent, papers.get(other.id)?.traceparent], [traceparent, undefined])
    const { changes } = await fleet.store.cancel(traced.id)
    assert.deepEqual(
      changes.map((change) => [change.to, change.traceparent]),
      [['canceled', traceparent]],
    )
  })

  test('lists are newest first, in pages, and filtered', async () => {
    await using fleet = await create()
    for (let n = 0; n < 5; n++) await fleet.submit({ label: `clip ${n}`, queue: n % 2 === 0 ? 'batch' : 'default' })
    await fleet.submit({ tenant: 'b', scenario: 'other', label: '100% of_it\\' })
    const ids = async (query: Partial<Parameters<typeof fleet.store.listJobs>[0]>) =>
      (await fleet.store.listJobs({ limit: 10, ...query })).map(({ id }) => Number(id.slice(-1)))
    assert.deepEqual(await ids({}), [6, 5, 4, 3, 2, 1])
    const page = await fleet.store.listJobs({ limit: 2 })
    assert.deepEqual(await ids({ limit: 2, before: page.at(-1)?.sequence ?? 0 }), [4, 3])
    assert.deepEqual(await ids({ queue: 'batch' }), [5, 3, 1])
    assert.deepEqual(await ids({ tenant: 'b' }), [6])
    assert.deepEqual(await ids({ scenario: 'other' }), [6])
    assert.deepEqual(await ids({ states: ['queued', 'failed'], search: 'CLIP 3' }), [4])
    assert.deepEqual(await ids({ states: ['failed'] }), [])
    assert.deepEqual(await ids({ states: [] }), [])
    assert.deepEqual(await ids({ search: '000002' }), [2])
    assert.deepEqual(await ids({ search: '%' }), [6])
    assert.deepEqual(await ids({ search: 'f_i' }), [6])
    assert.deepEqual(await ids({ search: '\\' }), [6])
    assert.deepEqual(await ids({ search: '\0' }), [])
  })

  test('what is not there is undefined, empty or false', async () => {
    await using fleet = await create()
    const { store } = fleet
    assert.equal(await store.findJob('none'), undefined)
    assert.deepEqual(await store.listTasks('none'), [])
    assert.deepEqual(await store.outputsOf('none'), [])
    assert.deepEqual(await store.cancel('none'), { job: undefined, changes: [], readyCount: 0 })
    assert.deepEqual(await store.retry('none'), { job: undefined, changes: [], readyCount: 0 })
    assert.equal(await store.setNodeState('none', 'draining'), undefined)
    assert.equal(await store.removeNode('none'), false)
    assert.deepEqual(await store.claim({ nodeId: 'none', epoch: 1, max: 1 }), {
      isKnown: false,
      tasks: [],
      papers: new Map(),
      changes: [],
      readyCount: 0,
    })
    assert.deepEqual((await store.complete([])).verdicts, [])
    assert.deepEqual((await store.complete([{ nodeId: 'none', epoch: 1, taskId: 9, fence: 1, output: 1 }])).verdicts, ['fenced'])
    const failure = { kind: 'terminal', code: 'INTERNAL', message: '' } as const
    assert.equal((await store.fail({ nodeId: 'none', epoch: 1, taskId: 9, fence: 1, ...failure })).isTaken, false)
  })

  test('jobs and tasks are counted by state and queue', async () => {
    await using fleet = await create()
    const worker = await fleet.worker({ slots: 1 })
    for (const queue of ['live', 'default', 'batch', 'batch'] as const) await fleet.submit({ queue })
    await worker.claim()
    await fleet.pass(7000)
    const counts = await fleet.store.counts()
    assert.deepEqual([counts.jobs.queued, counts.jobs.assigned, counts.jobs.failed], [3, 1, 0])
    assert.deepEqual(counts.readyTasks, { live: 0, default: 1, batch: 2 })
    assert.equal(counts.leasedTasks, 1)
    const none = { count: 0, slots: 0, usedSlots: 0 }
    assert.deepEqual(counts.nodes, { active: { count: 1, slots: 1, usedSlots: 1 }, draining: none, lost: none })
    assert((counts.oldestReadyMs ?? 0) >= 7000)
  })

  test('jobs of long ago are forgotten with all they had, the oldest first', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    for (let n = 0; n < 3; n++) {
      const job = await fleet.submit()
      const probe = await worker.claimOne()
      await worker.done(probe)
      await fleet.database.db
        .insertInto('job_log_lines')
        .values({ job_id: job.id, task_id: probe.id, at_ms: 1, level: 'info', text: 'x' })
        .execute()
      await fleet.pass(1000)
    }
    const running = await fleet.submit()
    const now = await fleet.store.nowMs()
    assert.deepEqual(await fleet.store.prune({ finishedBeforeMs: now - 1500, limit: 1 }), ['job-000001'])
    assert.deepEqual(await fleet.store.prune({ finishedBeforeMs: now - 1500, limit: 9 }), ['job-000002'])
    assert.deepEqual(await fleet.store.prune({ finishedBeforeMs: now - 1500, limit: 9 }), [])
    const left = (await fleet.store.listJobs({ limit: 9 })).map(({ id }) => id)
    assert.deepEqual(left, [running.id, 'job-000003'])
    for (const table of ['tasks', 'job_documents', 'job_log_lines'] as const) {
      const rows = await fleet.database.db.selectFrom(table).select('job_id').distinct().orderBy('job_id').execute()
      assert.deepEqual(
        rows.map((row) => row.job_id),
        table === 'job_log_lines' ? ['job-000003'] : ['job-000003', running.id],
      )
    }
  })

  test('a job that a worker still works for is not forgotten', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    await worker.claimOne()
    await fleet.store.cancel(job.id)
    await fleet.pass(1000)
    const request = { finishedBeforeMs: await fleet.store.nowMs(), limit: 9 }
    assert.deepEqual(await fleet.store.prune(request), [])
    assert.deepEqual(await fleet.store.findUncleaned(9), [])
    await worker.beat()
    assert.deepEqual(await fleet.store.findUncleaned(9), [{ id: job.id, state: 'canceled', result: undefined }])
    assert.deepEqual(await fleet.store.prune(request), [job.id])
  })

  test('jobs that are over are cleaned once, failed ones later', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const done = await fleet.submit()
    await worker.done(await worker.claimOne(), { result: { entry: 'x' } })
    const failed = await fleet.submit()
    await worker.fail(await worker.claimOne(), { kind: 'terminal' })
    await fleet.submit()
    assert.deepEqual(await fleet.store.findUncleaned(9), [{ id: done.id, state: 'completed', result: { entry: 'x' } }])
    assert.equal((await fleet.store.findUncleaned(9)).length, 1)
    await fleet.store.markCleaned([done.id, failed.id])
    assert.deepEqual(await fleet.store.findUncleaned(9), [])
    await fleet.pass(3_600_000)
    assert.deepEqual(await fleet.store.findUncleaned(9), [{ id: failed.id, state: 'failed', result: undefined }])
    await fleet.store.markCleaned([failed.id])
    assert.deepEqual(await fleet.store.findUncleaned(9), [])
  })
}
