import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { startHttpServer } from '../support/http-server.ts'
import { showOutputOnFailure } from '../support/program.ts'
import { until } from '../support/until.ts'
import { signalGroup, untilGone } from './jobs/codec-processes.ts'
import { JobFleet } from './jobs/job-fleet.ts'

/** Tasks in which a worker is killed: one of each kind that a job has. */
const kinds = ['probe', 'video', 'audio', 'package'] as const
/** As the setting `jobs.maxLost` is by default. */
const maxLost = 3

suite('workers that break', () => {
  let fleet: JobFleet
  let undisturbed: Readonly<Record<string, string>>

  before(async () => {
    fleet = await JobFleet.open({ env: { MILLRACE_JOBS_STALE_LIVE_SECONDS: '4' } })
    await Promise.all([fleet.addWorker('a'), fleet.addWorker('b')])
    const { id } = await fleet.submit()
    await fleet.completed(id)
    undisturbed = await fleet.digests(id)
  })
  // One that was killed comes back meanwhile.
  beforeEach(() => fleet.untilAllActive())
  after(() => fleet[Symbol.asyncDispose]())

  for (const kind of kinds) {
    test(`a worker is killed in ${kind}: another one does it, nothing counts as a try, and the files are the same`, async (t) => {
      showOutputOnFailure(t, fleet)
      const { id } = await fleet.submit()
      const { workerId, task, pid, thaw } = await fleet.catchCodec(id, kind)
      await fleet.kill(workerId)
      thaw()
      await untilGone([pid])
      await until(async () => (await fleet.outcomes(id, kind)).includes(`${task.chunk} lost`), { what: 'the loss to be seen' })
      await fleet.restart(workerId)
      await fleet.completed(id)
      const after = await fleet.task(id, task)
      assert.deepEqual([after.attempt, after.lostCount, after.fence], [1, 1, 2])
      assert.notEqual(after.nodeId, workerId)
      assert.deepEqual(await fleet.digests(id), undisturbed)
      await fleet.checkAtRest()
    })
  }

  test('a worker stands still until its lease is over: another one does it, and what the first one made is refused', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { worker, workerId, task, thaw } = await fleet.catchCodec(id, 'video')
    const { epoch } = await fleet.node(workerId)
    worker.process.kill('SIGSTOP')
    // Its FFmpeg goes on and has the chunk ready when the worker wakes up.
    thaw()
    await fleet.completed(id)
    worker.process.kill('SIGCONT')
    await until(async () => (await fleet.node(workerId)).epoch > epoch, {
      what: 'the worker to register anew',
      timeoutMs: 30_000,
    })
    const ofTask = (await fleet.attempts(id)).filter(({ taskId }) => taskId === task.id)
    assert.deepEqual(
      ofTask.map(({ outcome, nodeId }) => [outcome, nodeId === workerId]),
      [
        ['lost', true],
        ['done', false],
      ],
    )
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
    await fleet.clean()
    const kept = await fleet.objectsOf(id)
    assert.equal(new Set(kept.map((key) => key.split('/').slice(0, 4).join('/'))).size, 1, 'one publication is left')
  })

  test('only the codec process is killed: the task is tried again, and the worker goes on', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id, workerId, task, epoch, attempts } = await killCodecAtWork(fleet)
    const [first, second] = attempts
    assert.deepEqual([first?.outcome, first?.errorCode, second?.outcome], ['transient', 'CODEC_FAILED', 'done'])
    const after = await fleet.task(id, task)
    assert.deepEqual([after.attempt, after.lostCount], [2, 0])
    const node = await fleet.node(workerId)
    assert.deepEqual([node.state, node.epoch], ['active', epoch])
    assert.deepEqual(await fleet.digests(id), undisturbed)
    await fleet.checkAtRest()
  })

  test('a source stands still: the attempt is given up, and the next one is done when the source is back', async (t) => {
    showOutputOnFailure(t, fleet)
    let isStalled = true
    await using source = await startHttpServer((request, response) => {
      if (!isStalled) return void response.writeHead(307, { location: fleet.sourceUrl }).end()
      response.writeHead(206, { 'content-range': 'bytes 0-999999/1000000', 'content-length': '1000000' })
      response.write(Buffer.alloc(1000))
      request.resume()
    })
    const { id } = await fleet.submit({ queue: 'live', source: { url: `${source.url}/film.mp4` } })
    await until(async () => (await fleet.outcomes(id, 'probe')).length > 0, {
      what: 'the first attempt to end',
      timeoutMs: 30_000,
    })
    isStalled = false
    await fleet.completed(id)
    const [first] = await fleet.attempts(id)
    assert.deepEqual([first?.kind, first?.outcome], ['probe', 'stale'])
    await fleet.checkAtRest()
  })

  test('a task kills each worker that takes it: it is given up with its job, and the fleet works on', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    let killed: string | undefined
    for (let losses = 1; losses <= maxLost; losses++) {
      // It goes to the one that is left before the other is back.
      const { workerId, pid } = await fleet.catchCodec(id, 'audio')
      if (killed !== undefined) await fleet.restart(killed)
      await fleet.kill(workerId)
      signalGroup(pid, 'SIGKILL')
      killed = workerId
      const isLost = async () => (await fleet.outcomes(id, 'audio')).length === losses
      await until(isLost, { what: `loss ${losses}`, timeoutMs: 30_000 })
    }
    if (killed !== undefined) await fleet.restart(killed)
    const job = await fleet.api.untilState(id, 'failed')
    assert.match(job.error?.message ?? '', /sound audio-0 was given up after 0 attempts and 3 lost workers/)
    assert.deepEqual(await fleet.outcomes(id, 'audio'), ['0 lost', '0 lost', '0 lost'])
    const next = await fleet.submit()
    await fleet.completed(next.id)
    await fleet.checkAtRest()
  })
})

/** Kills the codec process of a picture's chunk. One that had said its result just before is killed in vain: then it is that of another job. */
async function killCodecAtWork(fleet: JobFleet) {
  for (let jobs = 0; jobs < 5; jobs++) {
    const { id } = await fleet.submit()
    const { workerId, task, pid } = await fleet.catchCodec(id, 'video')
    const { epoch } = await fleet.node(workerId)
    signalGroup(pid, 'SIGKILL')
    await fleet.completed(id)
    const attempts = (await fleet.attempts(id)).filter(({ taskId }) => taskId === task.id)
    if (attempts[0]?.outcome !== 'done') return { id, workerId, task, epoch, attempts }
  }
  throw new Error('five codec processes were killed, and their tasks were done')
}
