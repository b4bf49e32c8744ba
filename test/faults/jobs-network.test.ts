import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { showOutputOnFailure, type Millrace } from '../support/program.ts'
import { TcpProxy, type CutPlan } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'
import { JobFleet } from './jobs/job-fleet.ts'
import { startLosingProxy, type LosingProxyOptions } from './jobs/losing-proxy.ts'

/** Long enough that a short silence is over before. */
const leaseSeconds = 6

suite('networks that break', () => {
  const stack = new AsyncDisposableStack()
  let fleet: JobFleet
  let cable: TcpProxy
  let far: Millrace
  let undisturbed: Readonly<Record<string, string>>
  let plan: CutPlan = () => undefined
  let faults: LosingProxyOptions = {}

  /** What became of completions by `far`. */
  const verdicts: string[] = []

  beforeEach(() => {
    verdicts.length = 0
    plan = () => undefined
    faults = {}
  })

  /** The worker `far` speaks through a cable that can be cut, and behind it a proxy that loses what the test says. */
  before(async () => {
    fleet = stack.use(await JobFleet.open({ env: { MILLRACE_JOBS_LEASE_SECONDS: String(leaseSeconds) } }))
    const lossy = stack.use(
      await startLosingProxy(fleet.control.url, {
        isLost: (path, answer) => {
          const verdict = /"verdict":"(\w+)"/.exec(answer)?.[1]
          if (verdict !== undefined) verdicts.push(verdict)
          // Far away it does not see the server's directory, and moves all bytes over this way.
          if (path.endsWith('/transfer/place')) return true
          return faults.isLost?.(path, answer) ?? false
        },
        hold: (path) => faults.hold?.(path),
      }),
    )
    cable = stack.use(await TcpProxy.open(() => plan()))
    cable.targetPort = Number(new URL(lossy.url).port)
    far = await fleet.addWorker('far', { url: `http://${cable.brokers}` })
    const { id } = await fleet.submit()
    await fleet.completed(id)
    undisturbed = await fleet.digests(id)
  })
  after(() => stack[Symbol.asyncDispose]())

  /** Each task was done once, nothing was counted against it, and the files are those that they always are. */
  const checkUntouched = async (jobId: string): Promise<void> => {
    const tasks = await fleet.store.listTasks(jobId)
    const counts = tasks.map(({ attempt, lostCount }) => [attempt, lostCount])
    assert.deepEqual(
      counts,
      counts.map(() => [1, 0]),
    )
    const done = (await fleet.attempts(jobId)).filter(({ outcome }) => outcome === 'done')
    assert.equal(done.length, tasks.length)
    await checkSame(jobId)
  }
  const checkSame = async (jobId: string): Promise<void> => {
    assert.deepEqual(await fleet.digests(jobId), undisturbed)
    await fleet.checkAtRest()
  }

  test('connections are cut in the middle of requests and answers: the job comes out the same', async (t) => {
    showOutputOnFailure(t, fleet)
    let count = 0
    const before = cable.cuts
    plan = () => {
      count += 1
      const direction = count % 2 === 0 ? 'up' : 'down'
      return count % 3 === 0 ? undefined : { direction, afterBytes: 200 + ((count * 7919) % 30_000) }
    }
    cable.cutAll()
    const { id } = await fleet.submit()
    await fleet.completed(id)
    assert.ok(cable.cuts > before)
    await checkSame(id)
  })

  test('the answer to a claim is lost: the task goes back, nothing counts, and it is done', async (t) => {
    showOutputOnFailure(t, fleet)
    let lost = 0
    faults = { isLost: (path, answer) => path.endsWith('/claim') && answer.includes('"kind":"video"') && lost++ === 0 }
    const { id } = await fleet.submit()
    await fleet.completed(id)
    const released = (await fleet.attempts(id)).filter(({ outcome }) => outcome !== 'done')
    // Connections that were opened during the test before are cut by its plan: they may lose another answer.
    assert.ok(released.every(({ outcome, errorCode }) => outcome === 'released' && errorCode === 'TIMEOUT'))
    assert.ok(released.some(({ kind }) => kind === 'video'))
    await checkUntouched(id)
  })

  test('the answer to each completion is lost: it counts once', async (t) => {
    showOutputOnFailure(t, fleet)
    const lost = new Set<string>()
    const isFirst = (path: string): boolean => lost.size < lost.add(path).size
    faults = { isLost: (path) => path.endsWith('/complete') && isFirst(path) }
    const { id } = await fleet.submit()
    const { taskCount } = await fleet.completed(id)
    assert.equal(lost.size, taskCount)
    await until(() => verdicts.includes('repeated'), { what: 'a completion to be repeated' })
    await checkUntouched(id)
  })

  test('silence that is shorter than the lease costs nothing', async (t) => {
    showOutputOnFailure(t, fleet)
    const { id } = await fleet.submit()
    const { thaw } = await fleet.catchCodec(id, 'video')
    cable.silence()
    const { seenAtMs } = await fleet.node('far')
    await until(async () => (await fleet.store.nowMs()) - seenAtMs > 1500, { what: 'heartbeats to be missing' })
    cable.speak()
    thaw()
    await fleet.completed(id)
    await checkUntouched(id)
  })

  test('the API is killed while a worker encodes: nothing is lost', async (t) => {
    showOutputOnFailure(t, fleet)
    const first = await fleet.submit()
    const second = await fleet.submit()
    const { thaw } = await fleet.catchCodec(first.id, 'video')
    await fleet.control.kill('SIGKILL')
    thaw()
    await until(() => far.output().includes('API_UNREACHABLE'), { what: 'the worker to miss it' })
    await fleet.control.start()
    await fleet.completed(first.id)
    await fleet.completed(second.id)
    await checkUntouched(first.id)
    await checkUntouched(second.id)
  })

  test('a completion comes after the lease is over: it is refused, and the other one stays', async (t) => {
    showOutputOnFailure(t, fleet)
    await fleet.addWorker('near')
    await fleet.setState('near', 'draining')
    const { id } = await fleet.submit()
    const { task, thaw } = await fleet.catchCodec(id, 'audio')
    const completing = Promise.withResolvers<void>()
    const beating = Promise.withResolvers<void>()
    faults = {
      hold: (path) => {
        if (path.endsWith('/heartbeat')) return beating.promise
        return path.endsWith(`/tasks/${task.id}/complete`) ? completing.promise : undefined
      },
    }
    thaw()
    await fleet.setState('near', 'active')
    await fleet.completed(id)
    completing.resolve()
    await until(() => verdicts.at(-1) === 'fenced', { what: 'the completion to be refused', timeoutMs: 30_000 })
    beating.resolve()
    assert.deepEqual(await fleet.outcomes(id, 'audio'), ['0 lost', '0 done'])
    await checkSame(id)
  })

  test('silence that is longer than the lease: another worker goes on, and this one begins anew', async (t) => {
    showOutputOnFailure(t, fleet)
    await fleet.untilActive('far')
    const { epoch } = await fleet.node('far')
    await fleet.setState('near', 'draining')
    const { id } = await fleet.submit()
    const { task, thaw } = await fleet.catchCodec(id, 'video')
    cable.silence()
    thaw()
    await fleet.setState('near', 'active')
    await fleet.completed(id)
    cable.speak()
    await until(async () => (await fleet.node('far')).epoch > epoch, { what: 'the worker to register anew', timeoutMs: 30_000 })
    const { attempt, lostCount, nodeId } = await fleet.task(id, task)
    assert.deepEqual([attempt, lostCount, nodeId], [1, 1, 'near'])
    await checkSame(id)
  })
})
