import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TSchema, Static } from 'typebox'
import { Value } from 'typebox/value'
import {
  claimAnswerSchema,
  completeAnswerSchema,
  heartbeatAnswerSchema,
  inputFileSchema,
  registeredSchema,
  uploadAnswerSchema,
} from '#jobs/worker-protocol.ts'
import { silentLog, testProbe } from '#jobs/scheduler/scheduler.fixture.ts'
import { WorkerClient } from '#jobs/worker/worker-client.ts'
import { until } from '../../../test/support/until.ts'
import { errorBodySchema } from '../contract.ts'
import { startJobsApi, type TestJobsApi } from '../jobs.fixture.ts'

const capabilities = ['encoder:libx264', 'encoder:aac']

/** A worker that has nothing but the address of the API. */
class WireWorker {
  readonly #api: TestJobsApi
  #epoch = 0

  constructor(api: TestJobsApi) {
    this.#api = api
  }

  async register(): Promise<void> {
    const body = { id: 'w1', name: 'one', version: '1', slots: 4, liveReserve: 0, capabilities }
    const { epoch, leaseMs, heartbeatMs } = await this.ask(registeredSchema, 'nodes', body)
    assert.deepEqual([leaseMs, heartbeatMs], [30_000, 5_000])
    this.#epoch = epoch
  }

  async claim(waitMs = 0) {
    const body = { epoch: this.#epoch, max: 4, waitMs }
    return await this.ask(claimAnswerSchema, 'nodes/w1/claim', body)
  }

  async send(path: string, body: Record<string, unknown>) {
    return await this.#api.call('POST', `/worker/${path}`, { body: { epoch: this.#epoch, ...body } })
  }

  async ask<Schema extends TSchema>(schema: Schema, path: string, body: object): Promise<Static<Schema>> {
    const answer = await this.#api.call('POST', `/worker/${path}`, { body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return Value.Parse(schema, answer.body)
  }

  async ofTask<Schema extends TSchema>(
    schema: Schema,
    { taskId, fence }: { taskId: number; fence: number },
    what: string,
    body: object,
  ) {
    return await this.ask(schema, `nodes/w1/tasks/${taskId}/${what}`, { epoch: this.#epoch, fence, ...body })
  }
}

async function start() {
  const api = await startJobsApi()
  const worker = new WireWorker(api)
  await worker.register()
  return { api, worker, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

async function submit(api: TestJobsApi): Promise<void> {
  const answer = await api.call('POST', '/jobs', { body: { scenario: 'tiny', source: { object: api.fleet.source } } })
  assert.equal(answer.status, 201)
}

test('a worker that waits over HTTP gets a task, reads its source, and puts what it made', async () => {
  await using started = await start()
  const { api, worker } = started
  const waiting = worker.claim(30_000)
  await until(() => api.fleet.scheduler.fleet.waitingWorkers === 1)
  await submit(api)
  const [probe] = (await waiting).tasks
  assert.ok(probe)
  const source = await fetch(probe.inputs[0]?.url ?? '')
  assert.equal(await source.text(), 'movie')
  const fresh = await worker.ofTask(inputFileSchema, probe, 'source', { name: 'source' })
  assert.equal(await (await fetch(fresh.url)).text(), 'movie')
  const done = { output: { kind: 'probe', probe: testProbe }, uploads: [] }
  assert.equal((await worker.ofTask(completeAnswerSchema, probe, 'complete', done)).verdict, 'done')
  assert.equal((await worker.ofTask(completeAnswerSchema, probe, 'complete', done)).verdict, 'repeated')

  const sound = (await worker.claim()).tasks.find(({ spec }) => spec.kind === 'audio')
  assert.ok(sound)
  const files = [{ name: 'audio.mp4', sizeBytes: 5, contentType: 'audio/mp4' }]
  const { uploads } = await worker.ofTask(uploadAnswerSchema, sound, 'files', { files })
  const put = await fetch(uploads[0]?.partUrls[0] ?? '', { method: 'PUT', body: 'sound' })
  assert.equal(put.status, 200)
  const finished = {
    name: 'audio.mp4',
    uploadId: uploads[0]?.uploadId,
    etags: [put.headers.get('etag')],
    sizeBytes: 5,
  }
  const output = { kind: 'audio', facts: { durationMs: 10_000, sizeBytes: 5, sha256: 'y' } }
  assert.equal((await worker.ofTask(completeAnswerSchema, sound, 'complete', { output, uploads: [finished] })).verdict, 'done')
  const made = await api.fleet.objects.head(`jobs/${sound.jobId}/work/${sound.taskId}.${sound.fence}/audio.mp4`)
  assert.equal(made.sizeBytes, 5)
})

test('the client of workers and these routes understand each other', async () => {
  await using api = await startJobsApi()
  const client = new WorkerClient({ urls: [api.url], log: silentLog })
  const facts = { id: 'w2', name: 'two', version: '1', slots: 4, liveReserve: 0, capabilities }
  const worker = { nodeId: 'w2', epoch: (await client.register(facts)).epoch }
  const load = { cpuPercent: 1, memoryBytes: 1, freeDiskBytes: 1 }
  await submit(api)
  const [probe] = (await client.claim(worker, { max: 1, waitMs: 1000 })).tasks
  assert.ok(probe)
  const held = [{ taskId: probe.taskId, fence: probe.fence, frames: 0, speed: 0 }]
  const reply = await client.heartbeat('w2', { epoch: worker.epoch, load, held })
  assert.deepEqual(reply, { isKnown: true, state: 'active', stop: [] })
  assert.equal(await (await fetch(await client.findSource(worker, probe, { name: 'source' }))).text(), 'movie')
  await client.sendLogs(worker, [{ taskId: probe.taskId, atMs: 1, level: 'info', text: 'begun' }])
  assert.equal(await client.complete(worker, probe, { output: { kind: 'probe', probe: testProbe }, uploads: [] }), 'done')
  const [part, ...others] = (await client.claim(worker, { max: 4, waitMs: 0 })).tasks
  assert.ok(part)
  const files = [{ name: 'chunk.mp4', sizeBytes: 3, contentType: 'video/mp4' }]
  assert.equal((await client.announceFiles(worker, part, { files }))[0]?.partUrls.length, 1)
  assert.equal(await client.fail(worker, part, { code: 'CODEC_FAILED', message: 'crashed' }), true)
  assert.equal(await client.fail(worker, part, { code: 'CODEC_FAILED', message: 'crashed' }), false)
  await client.release(
    worker,
    others.map(({ taskId, fence }) => ({ taskId, fence })),
  )
  assert.equal((await api.fleet.store.listNodes())[0]?.usedSlots, 0)
})

test('a worker whose connection breaks while it waits gets no task', async () => {
  await using started = await start()
  const { api, worker } = started
  const gone = new AbortController()
  const body = JSON.stringify({ epoch: 1, max: 4, waitMs: 30_000 })
  const headers = { 'content-type': 'application/json' }
  const waiting = fetch(`${api.url}/api/v1/worker/nodes/w1/claim`, { method: 'POST', body, headers, signal: gone.signal })
  await until(() => api.fleet.scheduler.fleet.waitingWorkers === 1)
  gone.abort()
  await assert.rejects(waiting)
  await until(() => api.fleet.scheduler.fleet.waitingWorkers === 0)
  await submit(api)
  assert.equal((await worker.claim()).tasks[0]?.attempt, 1)
})

test('a worker gives back what it has, and another epoch of it has no say', async () => {
  await using started = await start()
  const { api, worker } = started
  await submit(api)
  const [task] = (await worker.claim()).tasks
  assert.ok(task)
  const { taskId, fence } = task
  assert.equal((await worker.send('nodes/w1/release', { held: [{ taskId, fence }] })).status, 204)
  const [again] = (await worker.claim()).tasks
  assert.deepEqual([again?.taskId, again?.attempt], [taskId, 1])
  const load = { cpuPercent: 1, memoryBytes: 1, freeDiskBytes: 1 }
  const old = Value.Parse(heartbeatAnswerSchema, (await worker.send('nodes/w1/heartbeat', { epoch: 99, load, held: [] })).body)
  assert.equal(old.isKnown, false)
  const fenced = await worker.send(`nodes/w1/tasks/${taskId}/files`, {
    fence,
    files: [{ name: 'a', sizeBytes: 1, contentType: 'x' }],
  })
  assert.deepEqual([fenced.status, Value.Parse(errorBodySchema, fenced.body).code], [409, 'TASK_FENCED'])
})

test('what a worker must not send is refused', async () => {
  await using started = await start()
  const { worker } = started
  const files = [{ name: '../secret', sizeBytes: 1, contentType: 'x' }]
  const escaped = await worker.send('nodes/w1/tasks/1/files', { fence: 1, files })
  assert.deepEqual([escaped.status, Value.Parse(errorBodySchema, escaped.body).code], [400, 'REQUEST_INVALID'])
  const endless = await worker.send('nodes/w1/claim', { max: 1, waitMs: 999_999 })
  assert.equal(endless.status, 400)
})
