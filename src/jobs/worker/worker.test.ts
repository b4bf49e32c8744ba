import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TcpProxy } from '../../../test/support/tcp-proxy.ts'
import { until as untilSoon } from '../../../test/support/until.ts'
import { TestApi, type ApiTask } from './api.fixture.ts'
import { chunkSpec, startWorker, type Behaviour, type TestWorker } from './worker.fixture.ts'

/** Processes begin slowly on a machine that has much to do. */
function until<T>(condition: () => T | Promise<T>, { what = 'condition' } = {}): Promise<NonNullable<T>> {
  return untilSoon(condition, { what, timeoutMs: 60_000 })
}

function addChunk(api: TestApi, behaviour: Behaviour = 'copy', bytes = 250_000): ApiTask {
  const key = `source-${behaviour}-${bytes}`
  api.files.put(key, Buffer.alloc(bytes, 'frame '))
  return api.addTask(chunkSpec(behaviour), { inputs: [{ name: 'source', key }] })
}

async function untilState(task: ApiTask, state: ApiTask['state']): Promise<void> {
  await until(() => task.state === state, { what: `task ${task.id} is ${state}` })
}

/** Waits until its process has begun. */
async function untilRunning({ pids, worker }: TestWorker, count = 1): Promise<void> {
  await until(() => pids.length >= count && worker.status.taskCount > 0, { what: 'the process runs' })
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a worker registers with what it can do, does a task and leaves nothing behind', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  await using running = await startWorker({ urls: [api.url], slots: 3 })
  await untilState(task, 'done')
  assert.deepEqual(api.registrations[0]?.capabilities, ['encoder:aac', 'encoder:libx264'])
  assert.equal(api.registrations[0].slots, 3)
  assert.deepEqual(
    task.outcome?.uploads.map(({ name, sizeBytes }) => [name, sizeBytes]),
    [['chunk.mp4', 250_000]],
  )
  assert.deepEqual(api.files.objects.get(`${task.id}/chunk.mp4`), api.files.objects.get('source-copy-250000'))
  await until(() => running.worker.status.usedSlots === 0)
  assert.deepEqual(await readdir(join(running.scratchDirectory, 'worker-worker-1')), [])
  assert.ok(!isAlive(running.pids[0]))
})

test('heartbeats carry the load and the frames of what is held', async () => {
  await using api = await TestApi.start()
  addChunk(api, 'stall')
  await using _running = await startWorker({ urls: [api.url] })
  const beat = await until(() => api.heartbeats.find(({ held }) => held.length > 0))
  assert.deepEqual(beat.held[0], { taskId: 1, fence: 1, frames: 0, speed: 0 })
  assert.ok(beat.load.freeDiskBytes > 0 && beat.load.memoryBytes > 0)
})

test('lines of a task reach the API', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  await using _running = await startWorker({ urls: [api.url] })
  await until(() => api.lines.some(({ text, taskId }) => taskId === task.id && /is done after /.test(text)))
})

test('a worker takes no more than its slots and goes on when one is free', async () => {
  await using api = await TestApi.start()
  const tasks = Array.from({ length: 5 }, () => addChunk(api))
  await using running = await startWorker({ urls: [api.url], slots: 2 })
  let most = 0
  await until(() => {
    most = Math.max(most, running.worker.status.usedSlots)
    return tasks.every(({ state }) => state === 'done')
  })
  assert.ok(most <= 2, `it took ${most}`)
})

test('a task goes on while the API is away and is completed when it is back', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  await using running = await startWorker({ urls: [api.url] })
  await until(() => task.state === 'leased')
  api.isAway = true
  const asked = api.paths.length
  await until(() => api.paths.slice(asked).filter((path) => /heartbeat|files|complete/.test(path)).length >= 4)
  api.isAway = false
  await untilState(task, 'done')
  assert.equal(task.fence, 1)
  assert.equal(running.worker.status.state, 'working')
})

test('a completion whose answer was lost is repeated and counts once', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  api.lostAnswers.push('complete', 'files', 'heartbeat')
  await using running = await startWorker({ urls: [api.url] })
  await until(() => task.completions === 2)
  await until(() => running.worker.status.usedSlots === 0)
  assert.equal(task.state, 'done')
})

test('a claim whose answer was lost is not among what the worker holds', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  api.lostAnswers.push('claim')
  await using _running = await startWorker({ urls: [api.url] })
  await untilState(task, 'leased')
  const beats = api.heartbeats.length
  await until(() => api.heartbeats.length > beats + 2)
  assert.deepEqual(
    api.heartbeats.flatMap(({ held }) => held),
    [],
  )
  // What the scheduler does when that has lasted for a while.
  task.state = 'ready'
  await untilState(task, 'done')
  assert.equal(task.fence, 2)
})

test('a task that somebody else has by now is dropped and the worker goes on', async () => {
  await using api = await TestApi.start()
  const fenced = addChunk(api)
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  fenced.fence += 1
  await until(() => running.worker.status.usedSlots === 0)
  assert.equal(fenced.failure, undefined)
  assert.equal(fenced.outcome, undefined)
  const next = addChunk(api)
  await untilState(next, 'done')
})

test('a worker that the API has forgotten drops what it has and registers anew', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  const [pid] = running.pids
  api.isForgetful = true
  await until(() => api.registrations.length === 2)
  await until(() => !isAlive(pid), { what: 'the process is gone' })
  await until(() => task.fence === 2, { what: 'it is given out again' })
  assert.equal(task.failure, undefined)
})

test('a task that is to be stopped ends and is given back', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  api.stop(task)
  await untilState(task, 'failed')
  assert.equal(task.failure?.code, 'TASK_FENCED')
  assert.ok(!isAlive(running.pids[0]))
})

test('a codec process that is killed fails its task and not the worker', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  process.kill(running.pids[0] ?? 0, 'SIGKILL')
  await untilState(task, 'failed')
  assert.equal(task.failure?.code, 'CODEC_FAILED')
  const next = addChunk(api)
  await untilState(next, 'done')
})

test('an attempt in which nothing moves is given up', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url], times: { stallMs: 200 } })
  await untilState(task, 'failed')
  assert.equal(task.failure?.code, 'TIMEOUT')
  await until(() => !isAlive(running.pids[0]))
})

test('a process that takes too much memory is ended', { skip: process.platform !== 'linux' }, async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'grow')
  await using _running = await startWorker({ urls: [api.url], limits: { niceness: 0, maxMemoryBytes: 300 << 20 } })
  await untilState(task, 'failed')
  assert.equal(task.failure?.code, 'WORKER_OVERLOADED')
})

test('with a disk below its floor no work is taken, and the worker says why', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api)
  await using running = await startWorker({ urls: [api.url], minFreeBytes: Number.MAX_SAFE_INTEGER })
  const obstacle = await until(() => running.worker.status.obstacle)
  assert.match(obstacle, /bytes free/)
  assert.equal(task.state, 'ready')
})

test('a source that is gone fails the task for good, a chunk that is gone names its task', async () => {
  await using api = await TestApi.start()
  const gone = api.addTask(chunkSpec(), { inputs: [{ name: 'source', key: 'nothing' }] })
  const missing = api.addTask(chunkSpec(), { inputs: [{ name: 'source', key: 'nothing', taskId: 77 }] })
  await using _running = await startWorker({ urls: [api.url] })
  await untilState(gone, 'failed')
  assert.equal(gone.failure?.code, 'SOURCE_REFUSED')
  assert.match(gone.failure.message, /input "source".*not there/)
  await untilState(missing, 'failed')
  assert.equal(missing.failure?.code, 'INPUT_DAMAGED')
  assert.deepEqual(missing.failure.badInputs, [77])
})

test('a task of which an input is missing in the order fails for good', async () => {
  await using api = await TestApi.start()
  const task = api.addTask(chunkSpec())
  await using _running = await startWorker({ urls: [api.url] })
  await untilState(task, 'failed')
  assert.equal(task.failure?.code, 'MALFORMED')
})

test('a node that is drained by the API takes nothing until it is active again', async () => {
  await using api = await TestApi.start()
  api.nodeState = 'draining'
  await using running = await startWorker({ urls: [api.url] })
  await until(() => running.worker.status.obstacle === 'the API drains this node')
  const task = addChunk(api)
  api.nodeState = 'active'
  await untilState(task, 'done')
})

test('a drain finishes what runs', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'copy', 5_000_000)
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  const waiting = addChunk(api)
  // It is asked for only once the first has taken its place.
  waiting.state = 'failed'
  await running.worker.drain(60_000)
  assert.equal(task.state, 'done')
  assert.equal(running.worker.status.state, 'ended')
})

test('a drain gives back what does not end in time', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  await running.worker.drain(0)
  assert.deepEqual(api.released, [task.id])
  assert.equal(task.failure, undefined)
  assert.ok(!isAlive(running.pids[0]))
})

test('a second drain hurries the first', async () => {
  await using api = await TestApi.start()
  const task = addChunk(api, 'stall')
  await using running = await startWorker({ urls: [api.url] })
  await untilRunning(running)
  const patient = running.worker.drain(600_000)
  await running.worker.drain(0)
  await patient
  assert.deepEqual(api.released, [task.id])
})

test('a worker whose API was never there can be ended', async () => {
  await using running = await startWorker({ urls: ['http://127.0.0.1:9'] })
  assert.equal(running.worker.status.state, 'starting')
  await running.worker.drain(0)
  assert.equal(running.worker.status.state, 'ended')
})

test('a worker goes to another node of the API when one is away', async () => {
  await using api = await TestApi.start()
  await using way = await TcpProxy.open()
  way.targetPort = api.port
  const task = addChunk(api)
  await using running = await startWorker({ urls: ['http://127.0.0.1:9', `http://127.0.0.1:${way.port}`] })
  await untilState(task, 'done')
  assert.equal(running.worker.status.state, 'working')
})

test('a machine on which task after task fails rests', async () => {
  await using api = await TestApi.start()
  await using running = await startWorker({
    urls: [api.url],
    times: { coolDownFirstMs: 60_000, coolDownMaxMs: 60_000 },
    slots: 1,
  })
  for (let round = 1; round <= 3; round++) {
    const task = addChunk(api, 'stall')
    await untilRunning(running, round)
    process.kill(running.pids[round - 1] ?? 0, 'SIGKILL')
    await untilState(task, 'failed')
  }
  const reason = await until(() => running.worker.status.obstacle)
  assert.match(reason, /tasks failed here/)
})
