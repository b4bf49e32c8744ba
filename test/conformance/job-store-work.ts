import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksAndPackage, newTask, type TestFleet } from './job-store-fixture.ts'

/** From claim to completion. */
export function workTests(create: () => Promise<TestFleet>): void {
  test('the completion of the probe brings the other tasks with it', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    const probe = await worker.claimOne()
    const answer = await fleet.store.complete([
      {
        ...worker.ref,
        taskId: probe.id,
        fence: probe.fence,
        output: { seen: true },
        expansion: { plan: { chunks: 3 }, tasks: chunksAndPackage(3, { after: ['probe//0'], needs: ['cpu'] }) },
      },
    ])
    assert.deepEqual([answer.verdicts, answer.readyCount], [['done'], 3])
    assert.deepEqual(
      answer.changes.map(({ from, to }) => `${from} → ${to}`),
      ['assigned → running'],
    )
    const { plan, taskCount, doneCount, totalFrames, state } = await fleet.job(job.id)
    assert.deepEqual(
      { plan, taskCount, doneCount, totalFrames, state },
      { plan: { chunks: 3 }, taskCount: 5, doneCount: 1, totalFrames: 300, state: 'running' },
    )
    assert.deepEqual(await fleet.states(job.id), {
      probe: 'done',
      'video/720p/0': 'ready',
      'video/720p/1': 'ready',
      'video/720p/2': 'ready',
      package: 'blocked',
    })
  })

  test('a plan whose tasks wait for what is not there changes nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.submit()
    const probe = await worker.claimOne()
    const tasks = [newTask({ kind: 'package', after: ['video/none/0'] })]
    await assert.rejects(worker.done(probe, { expansion: { plan: {}, tasks } }), { code: 'INTERNAL', message: /video\/none\/0/ })
    assert.deepEqual(await fleet.states(job.id), { probe: 'leased' })
    assert.equal(await worker.done(probe), 'done')
  })

  test('a task is released by the last of those it waits for, and the last one of all completes the job', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(3))
    const chunks = await worker.claim()
    assert.deepEqual(
      chunks.map(({ chunk }) => chunk),
      [0, 1, 2],
    )
    for (const chunk of chunks) {
      assert.deepEqual(await worker.claim(), [])
      assert.equal(await worker.done(chunk, { output: { chunk: chunk.chunk } }), 'done')
    }
    const last = await worker.claimOne()
    assert.equal(last.kind, 'package')
    const outputs = await fleet.store.outputsOf(job.id)
    assert.deepEqual(
      outputs.map(({ kind, chunk, output }) => [kind, chunk, output]),
      [
        ['probe', 0, { by: 'w1' }],
        ['video', 0, { chunk: 0 }],
        ['video', 1, { chunk: 1 }],
        ['video', 2, { chunk: 2 }],
      ],
    )
    assert.equal(await worker.done(last, { result: { entry: 'master.m3u8' } }), 'done')
    const over = await fleet.job(job.id)
    assert.deepEqual([over.state, over.doneCount, over.taskCount, over.frames], ['completed', 5, 5, 300])
    assert.deepEqual(over.result, { entry: 'master.m3u8' })
    assert(over.finishedAtMs !== undefined)
    assert.deepEqual(worker.changes, ['queued → assigned', 'assigned → running', 'running → completed'])
    assert.equal((await fleet.node('w1')).usedSlots, 0)
    assert.deepEqual(new Set((await fleet.store.listAttempts(job.id)).map(({ outcome }) => outcome)), new Set(['done']))
  })

  test('completions of many workers and jobs go in one transaction', async () => {
    await using fleet = await create()
    const workers = [await fleet.worker({ id: 'w1', slots: 50 }), await fleet.worker({ id: 'w2', slots: 50 })]
    const requests = []
    for (let n = 0; n < 100; n++) await fleet.submit({ tenant: `t${n % 7}` })
    for (const worker of workers) {
      for (const { id, fence, jobId } of await worker.claim()) {
        const expansion = { plan: {}, tasks: chunksAndPackage(2) }
        requests.push({ ...worker.ref, taskId: id, fence, output: { jobId }, expansion })
      }
    }
    const [first] = requests
    assert(first)
    const stale = { ...first, fence: 9 }
    const answer = await fleet.store.complete([...requests, first, stale])
    assert.deepEqual(answer.verdicts, [...requests.map(() => 'done'), 'repeated', 'fenced'])
    assert.equal(answer.readyCount, 200)
    assert.equal(answer.changes.length, 100)
    for (const { id } of workers.map(({ node }) => node)) assert.equal((await fleet.node(id)).usedSlots, 0)
  })

  test('a completion counts once, and says so when it is repeated', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const chunk = await worker.claimOne()
    assert.equal(await worker.done(chunk), 'done')
    assert.equal(await worker.done(chunk, { output: 'other' }), 'repeated')
    assert.equal((await fleet.job(job.id)).doneCount, 2)
    assert.deepEqual((await fleet.task(job.id, 'video/720p/0')).output, { by: 'w1' })
    assert.equal((await fleet.task(job.id, 'package')).state, 'blocked')
  })

  test('another worker, epoch or fence completes and fails nothing', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const other = await fleet.worker({ id: 'w2' })
    const job = await fleet.submit()
    const task = await worker.claimOne()
    assert.equal(await other.done(task), 'fenced')
    assert.equal(await worker.done({ ...task, fence: task.fence + 1 }), 'fenced')
    assert.equal(await worker.done({ ...task, fence: task.fence - 1 }), 'fenced')
    assert.equal(await other.fail(task), false)
    worker.epoch += 1
    assert.equal(await worker.done(task), 'fenced')
    assert.equal(await worker.fail(task), false)
    assert.deepEqual(await fleet.states(job.id), { probe: 'leased' })
  })

  test('a job runs when its worker says that it has the task, and its frames are those of its tasks', async () => {
    await using fleet = await create()
    const worker = await fleet.worker()
    const job = await fleet.planned(worker, chunksAndPackage(2))
    const [one, two] = await worker.claim()
    assert(one && two)
    await worker.progress(one, 40)
    await worker.progress(two, 10)
    assert.equal((await fleet.job(job.id)).frames, 50)
    await worker.progress(one, 30)
    assert.equal((await fleet.job(job.id)).frames, 50, 'frames never go back')
    await worker.progress(one, 170)
    assert.equal((await fleet.job(job.id)).frames, 110, 'there are no more than planned')
    const task = await fleet.task(job.id, 'video/720p/1')
    assert.deepEqual([task.frames, task.speed], [10, 2])
    await worker.done(one)
    await worker.fail(two)
    assert.equal((await fleet.job(job.id)).frames, 100)
  })
}
