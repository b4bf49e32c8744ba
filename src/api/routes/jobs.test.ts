import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TSchema, Static } from 'typebox'
import { Value } from 'typebox/value'
import { errorBodySchema } from '../contract.ts'
import {
  attemptListSchema,
  jobCountsSchema,
  jobListSchema,
  jobViewSchema,
  logLineListSchema,
  nodeListSchema,
  nodeViewSchema,
  scenarioListSchema,
  scenarioViewSchema,
  sourceObjectSchema,
  sourceUploadSchema,
  taskListSchema,
} from '../job-contract.ts'
import { startJobsApi, type TestJobsApi } from '../jobs.fixture.ts'

/** The body of an answer, which must be what its schema says. */
function parse<Schema extends TSchema>(schema: Schema, { body }: { readonly body: unknown }): Static<Schema> {
  const [first] = Value.Errors(schema, body)
  assert.equal(first, undefined, `${first?.instancePath} ${first?.message} in ${JSON.stringify(body)}`)
  return Value.Parse(schema, body)
}

async function submit(api: TestJobsApi, changes: Record<string, unknown> = {}) {
  const body = { scenario: 'tiny', source: { object: api.fleet.source }, ...changes }
  return parse(jobViewSchema, await api.call('POST', '/jobs', { body }))
}

test('a job is submitted, found, and its result is read in ranges', async () => {
  await using api = await startJobsApi()
  const created = await api.call('POST', '/jobs', {
    body: { scenario: 'tiny', label: 'a film', tenant: 'team-1', priority: 'high', source: { object: api.fleet.source } },
  })
  assert.equal(created.status, 201)
  const job = parse(jobViewSchema, created)
  assert.equal(created.headers.get('location'), `/api/v1/jobs/${job.id}`)
  assert.deepEqual([job.state, job.queue, job.priority, job.tenant, job.label], ['queued', 'default', 'high', 'team-1', 'a film'])
  assert.equal(job.progress, 0)
  const worker = await api.fleet.addWorker('one')
  await worker.work()
  const done = parse(jobViewSchema, await api.call('GET', `/jobs/${job.id}`))
  assert.deepEqual([done.state, done.isOver, done.progress, done.doneCount], ['completed', true, 1, done.taskCount])
  assert.equal(done.plan?.renditions[0]?.chunkCount, 2)
  assert.equal(done.result?.entryUrl, `/api/v1/jobs/${job.id}/files/master.m3u8`)
  const playlist = await fetch(api.url + done.result.entryUrl, { headers: { range: 'bytes=0-5' } })
  assert.deepEqual([playlist.status, await playlist.text()], [206, 'master'])
  const missing = await api.call('GET', `/jobs/${job.id}/files/secret.mp4`)
  assert.equal(parse(errorBodySchema, missing).code, 'OBJECT_NOT_FOUND')
})

test('the same idempotency key is the same job', async () => {
  await using api = await startJobsApi()
  const body = { scenario: 'tiny', source: { object: api.fleet.source } }
  const headers = { 'idempotency-key': 'once' }
  const first = await api.call('POST', '/jobs', { body, headers })
  const second = await api.call('POST', '/jobs', { body, headers })
  assert.deepEqual([first.status, second.status], [201, 200])
  assert.equal(parse(jobViewSchema, second).id, parse(jobViewSchema, first).id)
})

test('jobs are listed newest first, page by page, and filtered', async () => {
  await using api = await startJobsApi()
  const ids: string[] = []
  for (const label of ['a', 'b', 'c']) ids.unshift((await submit(api, { label })).id)
  await api.call('POST', `/jobs/${ids[1]}/cancel`)
  const first = parse(jobListSchema, await api.call('GET', '/jobs?limit=2'))
  const second = parse(jobListSchema, await api.call('GET', `/jobs?limit=2&cursor=${first.nextCursor}`))
  assert.deepEqual(
    [...first.items, ...second.items].map(({ id }) => id),
    ids,
  )
  assert.equal(second.nextCursor, undefined)
  const canceled = parse(jobListSchema, await api.call('GET', '/jobs?state=canceled,failed'))
  assert.deepEqual(
    canceled.items.map(({ id }) => id),
    [ids[1]],
  )
  const found = parse(jobListSchema, await api.call('GET', '/jobs?search=c&queue=default'))
  assert.ok(found.items.some(({ id }) => id === ids[0]))
  const counts = parse(jobCountsSchema, await api.call('GET', '/jobs/counts'))
  assert.deepEqual([counts.jobs.queued, counts.jobs.canceled, counts.readyTasks.default], [2, 1, 2])
  assert.equal((await api.call('GET', '/jobs?cursor=nonsense')).status, 400)
})

test('a job that failed is tried again, and its tries and tasks are told', async () => {
  await using api = await startJobsApi()
  const { id } = await submit(api)
  const worker = await api.fleet.addWorker('one')
  await worker.fail(await worker.take(), { code: 'MALFORMED', message: 'no film' })
  const failed = parse(jobViewSchema, await api.call('GET', `/jobs/${id}`))
  assert.deepEqual([failed.state, failed.error], ['failed', { code: 'MALFORMED', message: 'no film' }])
  const again = parse(jobViewSchema, await api.call('POST', `/jobs/${id}/retry`))
  assert.deepEqual([again.state, again.generation], ['queued', 2])
  assert.equal(parse(errorBodySchema, await api.call('POST', `/jobs/${id}/retry`)).code, 'JOB_STATE_INVALID')
  await worker.work()
  const tasks = parse(taskListSchema, await api.call('GET', `/jobs/${id}/tasks?limit=4`))
  assert.equal(tasks.items.length, 4)
  const rest = parse(taskListSchema, await api.call('GET', `/jobs/${id}/tasks?limit=4&cursor=${tasks.nextCursor}`))
  assert.deepEqual([rest.items.length, rest.nextCursor], [2, undefined])
  const attempts = parse(attemptListSchema, await api.call('GET', `/jobs/${id}/attempts`))
  assert.deepEqual([attempts.items[0]?.outcome, attempts.items.length], ['terminal', 7])
})

test('what workers say of a job is kept and read from where one was', async () => {
  await using api = await startJobsApi()
  const { id } = await submit(api)
  const worker = await api.fleet.addWorker('one')
  const { taskId } = await worker.take()
  const { nodeId, epoch } = worker.ref
  const line = (text: string, level: string) => ({ taskId, atMs: 1000, level, text })
  const lines = [line('a', 'info'), line('b', 'warn'), line('c', 'debug')]
  const sent = await api.call('POST', `/worker/nodes/${nodeId}/logs`, { body: { epoch, lines } })
  assert.equal(sent.status, 204)
  const first = parse(logLineListSchema, await api.call('GET', `/jobs/${id}/logs?limit=2`))
  const second = parse(logLineListSchema, await api.call('GET', `/jobs/${id}/logs?cursor=${first.nextCursor}`))
  const texts = [first, second].map(({ items }) => items.map(({ text }) => text))
  assert.deepEqual(texts, [['a', 'b'], ['c']])
  assert.equal(parse(logLineListSchema, await api.call('GET', `/jobs/${id}/logs?cursor=${second.nextCursor}`)).items.length, 0)
  const loud = parse(logLineListSchema, await api.call('GET', `/jobs/${id}/logs?level=warn&tail=5`))
  assert.deepEqual(
    loud.items.map(({ text }) => text),
    ['b'],
  )
  assert.equal((await api.call('GET', `/jobs/${id}/logs?tail=1&cursor=${first.nextCursor}`)).status, 400)
})

test('a file is uploaded in parts, also after a break, and a job is made from it', async () => {
  await using api = await startJobsApi()
  const bytes = Buffer.alloc(8 * 2 ** 20 + 3, 7)
  const begun = parse(
    sourceUploadSchema,
    await api.call('POST', '/jobs/sources', { body: { name: 'my film.mp4', sizeBytes: bytes.length } }),
  )
  assert.match(begun.object, /^sources\/[0-9a-z]+\/my_film\.mp4$/)
  const { uploadId, partBytes } = begun.upload
  const put = async (url: string, part: number): Promise<string> => {
    const response = await fetch(url, { method: 'PUT', body: bytes.subarray(part * partBytes, (part + 1) * partBytes) })
    assert.equal(response.status, 200)
    return response.headers.get('etag') ?? ''
  }
  const etags = [await put(begun.upload.partUrls[0] ?? '', 0)]
  const resume = { object: begun.object, uploadId, partBytes }
  const resumed = parse(
    sourceUploadSchema,
    await api.call('POST', '/jobs/sources', { body: { name: 'my film.mp4', sizeBytes: bytes.length, resume } }),
  )
  assert.equal(resumed.upload.uploadId, uploadId)
  etags.push(await put(resumed.upload.partUrls[1] ?? '', 1))
  const body = { ...resume, sizeBytes: bytes.length, etags }
  for (let time = 0; time < 2; time++) {
    const whole = parse(sourceObjectSchema, await api.call('POST', '/jobs/sources/complete', { body }))
    assert.deepEqual(whole, { object: begun.object, sizeBytes: bytes.length })
  }
  assert.equal((await submit(api, { source: { object: begun.object } })).state, 'queued')
  const stranger = await api.call('POST', '/jobs/sources/complete', { body: { ...body, object: 'jobs/x/out/1/master.m3u8' } })
  assert.equal(parse(errorBodySchema, stranger).code, 'REQUEST_INVALID')
})

test('scenarios are added, changed and removed; presets stay as they are', async () => {
  await using api = await startJobsApi()
  const renditions = [{ name: '240p', height: 240, codec: 'h264', rate: { mode: 'crf', crf: 30 } }]
  const added = await api.call('POST', '/scenarios', { body: { name: 'mine', renditions } })
  assert.equal(added.status, 201)
  assert.deepEqual([parse(scenarioViewSchema, added).origin, parse(scenarioViewSchema, added).format], ['api', 'cmaf'])
  assert.equal(
    parse(errorBodySchema, await api.call('POST', '/scenarios', { body: { name: 'mine', renditions } })).code,
    'SCENARIO_EXISTS',
  )
  const changed = await api.call('PUT', '/scenarios/mine', { body: { renditions, format: 'mp4' } })
  assert.equal(parse(scenarioViewSchema, changed).format, 'mp4')
  const list = parse(scenarioListSchema, await api.call('GET', '/scenarios?limit=1000'))
  assert.ok(list.items.some(({ name, origin }) => name === 'mine' && origin === 'api'))
  const preset = list.items.find(({ origin }) => origin === 'preset')
  assert.ok(preset)
  assert.equal(parse(errorBodySchema, await api.call('DELETE', `/scenarios/${preset.name}`)).code, 'SCENARIO_EXISTS')
  assert.equal((await api.call('DELETE', '/scenarios/mine')).status, 204)
  assert.equal(parse(errorBodySchema, await api.call('GET', '/scenarios/mine')).code, 'SCENARIO_NOT_FOUND')
})

test('a worker is drained, given work again, and forgotten when it has none', async () => {
  await using api = await startJobsApi()
  const worker = await api.fleet.addWorker('one')
  await submit(api)
  const drained = parse(nodeViewSchema, await api.call('POST', '/nodes/one/drain'))
  assert.equal(drained.state, 'draining')
  assert.deepEqual(await worker.claim(), [])
  await api.call('POST', '/nodes/one/activate')
  const task = await worker.take()
  const [node] = parse(nodeListSchema, await api.call('GET', '/nodes')).items
  assert.deepEqual([node?.state, node?.usedSlots], ['active', 1])
  assert.equal(parse(errorBodySchema, await api.call('DELETE', '/nodes/one')).code, 'NODE_BUSY')
  await worker.fail(task, { code: 'SHUTTING_DOWN' })
  assert.equal((await api.call('DELETE', '/nodes/one')).status, 204)
  assert.equal(parse(errorBodySchema, await api.call('GET', '/nodes/one')).code, 'NODE_NOT_FOUND')
})
