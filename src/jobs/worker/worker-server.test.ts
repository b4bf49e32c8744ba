import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { TestApi } from './api.fixture.ts'
import { WorkerMetrics } from './worker-metrics.ts'
import { WorkerServer } from './worker-server.ts'
import { chunkSpec, silentLog, startWorker } from './worker.fixture.ts'

test('a worker tells of itself from its start to its end', async () => {
  await using api = await TestApi.start()
  api.isAway = true
  const metrics = new WorkerMetrics()
  await using running = await startWorker({ urls: [api.url], slots: 3, observer: metrics })
  const { worker } = running
  metrics.watch(() => ({
    status: worker.status,
    load: worker.load,
    running: worker.runningKinds,
    apiFailures: 5,
    gpus: [{ gpu: '0', utilizationPercent: 65, memoryUsedBytes: 2 ** 30 }],
  }))
  await using server = await WorkerServer.start({
    host: '127.0.0.1',
    port: 0,
    metrics,
    status: () => worker.status,
    log: silentLog,
  })
  const ask = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${server.address.port}${path}`)
    return { status: response.status, text: await response.text() }
  }

  assert.equal((await ask('/health')).status, 200)
  const early = await ask('/ready')
  assert.deepEqual([early.status, /not registered/.test(early.text)], [503, true])

  api.isAway = false
  await until(async () => (await ask('/ready')).status === 200)
  api.files.put('film')
  const task = api.addTask(chunkSpec(), { inputs: [{ name: 'source', key: 'film' }] })
  await until(() => task.state === 'done' && worker.status.usedSlots === 0, { timeoutMs: 60_000 })
  const { text } = await ask('/metrics')
  for (const line of [
    'millrace_worker_slots 3',
    'millrace_worker_used_slots 0',
    'millrace_worker_registered 1',
    'millrace_worker_tasks_total{kind="video",outcome="done"} 1',
    'millrace_worker_frames_total{kind="video"} 100',
    'millrace_worker_source_bytes_total 1000',
    'millrace_worker_running_tasks{kind="video"} 0',
    'millrace_worker_api_failures_total 5',
    'millrace_worker_gpu_utilization_percent{gpu="0"} 65',
    'millrace_worker_gpu_memory_used_bytes{gpu="0"} 1073741824',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`)
  }
  assert.equal((await ask('/other')).status, 404)

  await worker.drain(0)
  assert.equal((await ask('/ready')).status, 503)
  assert.equal((await ask('/health')).status, 503)
})

test('a port that is taken is told', async () => {
  const metrics = new WorkerMetrics()
  const status = (): never => {
    throw new Error('nobody asks')
  }
  await using first = await WorkerServer.start({ host: '127.0.0.1', port: 0, metrics, status, log: silentLog })
  const { port } = first.address
  await assert.rejects(WorkerServer.start({ host: '127.0.0.1', port, metrics, status, log: silentLog }), {
    code: 'LISTEN_FAILED',
  })
})
