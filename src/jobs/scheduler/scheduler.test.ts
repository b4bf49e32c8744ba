import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import { openFleet, testPolicy, type TestFleet } from './scheduler.fixture.ts'
import { findResult } from './stored-values.ts'

async function submit(fleet: TestFleet, changes: Record<string, unknown> = {}) {
  const { job } = await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } }, ...changes })
  return job
}

const refusedWith = (code: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === code

test('a job goes from submit to its result, each step told as an event', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  assert.equal(job.state, 'queued')
  const worker = await fleet.addWorker('one')
  const kinds = await worker.work()
  assert.deepEqual(kinds.toSorted(), ['audio', 'package', 'pictures', 'probe', 'video', 'video'])
  assert.equal(kinds.at(0), 'probe')
  assert.equal(kinds.at(-1), 'package')
  const done = await fleet.scheduler.requireJob(job.id)
  assert.equal(done.state, 'completed')
  assert.equal(done.frames, done.totalFrames)
  const result = findResult(done.result)
  assert.equal(result?.entry, 'master.m3u8')
  assert.ok(await fleet.objects.head(`${result.prefix}master.m3u8`))
  const subject = `job/${job.id}`
  const types = fleet.events.filter((event) => event.subject === subject).map(({ type }) => type)
  assert.equal(types[0], 'job.queued')
  assert.equal(types.at(-1), 'job.completed')
  assert.deepEqual(fleet.events.filter(({ type }) => type === 'node.registered').length, 1)
})

test('an order says what to read and where each part of the timeline lies', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  const probe = await worker.take()
  assert.deepEqual(probe.spec, { kind: 'probe', source: 'source' })
  assert.deepEqual(probe.inputs, [{ name: 'source', url: `get:${fleet.source}`, sizeBytes: 5 }])
  await worker.finish(probe)
  const parts = await worker.claim()
  const ranges = parts.flatMap(({ spec }) => (spec.kind === 'video' ? [spec.range] : []))
  assert.deepEqual(
    ranges.toSorted((one, other) => one.startFrame - other.startFrame),
    [
      { startFrame: 0, endFrame: 125 },
      { startFrame: 125, endFrame: 250 },
    ],
  )
  for (const part of parts) await worker.finish(part)
  const last = await worker.take()
  assert.equal(last.spec.kind, 'package')
  const [video, audio] = last.spec.tracks
  assert.deepEqual(
    video?.inputs.map(({ sha256, frameCount }) => [sha256, frameCount]),
    [
      ['frames 0', 125],
      ['frames 125', 125],
    ],
  )
  assert.deepEqual(
    audio?.inputs.map(({ sha256 }) => sha256),
    ['sound'],
  )
  assert.deepEqual(last.spec.pictures, ['poster.jpg'])
  const named = [...video.inputs, ...audio.inputs].map(({ name }) => name)
  assert.deepEqual(last.inputs.map(({ name }) => name).toSorted(), [...named, 'poster.jpg'].toSorted())
  for (const { name, url, taskId } of last.inputs) {
    assert.ok(url.startsWith(`get:jobs/${job.id}/work/${taskId}.`), `${name} is at ${url}`)
  }
})

test('a worker that waits gets a job the moment it is submitted', async () => {
  await using fleet = await openFleet()
  const worker = await fleet.addWorker('one')
  const waiting = worker.claim({ waitMs: 30_000 })
  await until(() => fleet.scheduler.fleet.waitingWorkers === 1)
  await submit(fleet)
  const [task] = await waiting
  assert.equal(task?.spec.kind, 'probe')
})

test('what was claimed for somebody who has gone is given back', async () => {
  await using fleet = await openFleet()
  const worker = await fleet.addWorker('one')
  const gone = new AbortController()
  const waiting = worker.claim({ waitMs: 30_000, signal: gone.signal })
  await until(() => fleet.scheduler.fleet.waitingWorkers === 1)
  gone.abort()
  assert.deepEqual(await waiting, [])
  await submit(fleet)
  assert.equal((await worker.take()).attempt, 1)
})

test('a source that the scenario cannot be made from rejects the job, with the reason', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  const probe = await worker.take()
  const noPicture = { format: 'wav', durationMs: 1000, audio: [] }
  assert.equal(await worker.complete(probe, { output: { kind: 'probe', probe: noPicture }, uploads: [] }), 'done')
  const { state, errorCode, errorMessage } = await fleet.scheduler.requireJob(job.id)
  assert.deepEqual([state, errorCode], ['rejected', 'UNSUPPORTED'])
  assert.match(errorMessage ?? '', /tiny/)
})

test('a completion that is repeated counts once', async () => {
  await using fleet = await openFleet()
  await submit(fleet)
  const worker = await fleet.addWorker('one')
  const probe = await worker.take()
  assert.equal(await worker.finish(probe), 'done')
  assert.equal(await worker.complete(probe, { output: { kind: 'pictures' }, uploads: [] }), 'repeated')
})

test('a failure that may pass is tried again, one that will not ends the job', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  assert.equal(await worker.fail(await worker.take(), { code: 'SOURCE_UNREACHABLE' }), true)
  assert.equal((await fleet.scheduler.requireJob(job.id)).state, 'retrying')
  const [again] = await worker.claimSoon()
  assert.equal(again?.attempt, 2)
  await worker.fail(again, { code: 'MALFORMED', message: 'no film at all' })
  const { state, errorMessage } = await fleet.scheduler.requireJob(job.id)
  assert.deepEqual([state, errorMessage], ['failed', 'no film at all'])
  const attempts = await fleet.store.listAttempts(job.id)
  assert.deepEqual(
    attempts.map(({ outcome }) => outcome),
    ['transient', 'terminal'],
  )
})

test('a damaged chunk is made again, and what reads it after that', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  await worker.finish(await worker.take())
  for (const part of await worker.claim()) await worker.finish(part)
  const last = await worker.take()
  const [bad] = last.inputs
  assert.ok(bad?.taskId)
  await worker.fail(last, { code: 'INPUT_DAMAGED', badInputs: [bad.taskId, 999_999] })
  const made = await worker.claimSoon()
  assert.deepEqual(
    made.map(({ taskId }) => taskId),
    [bad.taskId],
  )
  for (const part of made) await worker.finish(part)
  assert.deepEqual(await worker.work(), ['package'])
  assert.equal((await fleet.scheduler.requireJob(job.id)).state, 'completed')
})

test('files that did not arrive whole do not count', async () => {
  await using fleet = await openFleet()
  await submit(fleet)
  const worker = await fleet.addWorker('one')
  await worker.finish(await worker.take())
  const part = (await worker.claim()).find(({ spec }) => spec.kind === 'audio')
  assert.ok(part)
  const uploads = await worker.put(part, ['audio.mp4'])
  const torn = uploads.map((upload) => ({ ...upload, etags: ['"another"'] }))
  const output = { kind: 'audio', facts: { durationMs: 1, sizeBytes: 1, sha256: 'x' } } as const
  assert.equal(await worker.complete(part, { output, uploads: torn }), 'fenced')
  const [again] = await worker.claimSoon()
  assert.deepEqual([again?.taskId, again?.attempt], [part.taskId, 2])
})

test('a package that leaves out a file it names is not published', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  await worker.finish(await worker.take())
  for (const part of await worker.claim()) await worker.finish(part)
  const last = await worker.take()
  const uploads = await worker.put(last, ['master.m3u8'])
  const files = ['master.m3u8', 'lost.mp4'].map((name) => ({ name, sizeBytes: name.length, contentType: 'video/mp4' }))
  const facts = { entry: 'master.m3u8', durationMs: 10_000, tracks: [], files }
  await worker.complete(last, { output: { kind: 'package', facts }, uploads })
  const { state, errorCode, result } = await fleet.scheduler.requireJob(job.id)
  assert.deepEqual([state, errorCode, result], ['failed', 'ENCODE_DAMAGED', undefined])
})

test('a canceled job is stopped at the next heartbeat, and can be tried again', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet)
  const worker = await fleet.addWorker('one')
  const probe = await worker.take()
  await fleet.scheduler.cancel(job.id)
  const { stop } = await worker.heartbeat([probe])
  assert.deepEqual(stop, [{ taskId: probe.taskId, fence: probe.fence }])
  assert.equal(await worker.finish(probe).catch((error: AppError) => error.code), 'TASK_FENCED')
  assert.equal((await fleet.scheduler.requireJob(job.id)).state, 'canceled')
  await assert.rejects(fleet.scheduler.retry('nobody'), refusedWith('JOB_NOT_FOUND'))
  const again = await fleet.scheduler.retry(job.id)
  assert.deepEqual([again.state, again.generation], ['queued', 2])
  await assert.rejects(fleet.scheduler.retry(job.id), refusedWith('JOB_STATE_INVALID'))
})

test('a live job is one task that names both streams', async () => {
  await using fleet = await openFleet()
  const job = await submit(fleet, { scenario: 'tiny-live', input: { source: { stream: 'cam' }, target: { stream: 'cam-360p' } } })
  assert.equal(job.queue, 'live')
  const worker = await fleet.addWorker('one')
  const { spec } = await worker.take()
  assert.equal(spec.kind, 'live')
  assert.deepEqual([spec.sourceUrl, spec.targetUrl], ['rtsp://millrace.test/cam', 'rtsp://millrace.test/cam-360p'])
  assert.deepEqual([spec.picture.width, spec.picture.height], [640, 360])
})

test('an order that cannot be given is a failure of its task', async () => {
  await using fleet = await openFleet()
  const input = { source: { stream: 'nobody' }, target: { stream: 'cam-360p' } }
  const job = await submit(fleet, { scenario: 'tiny-live', input })
  const worker = await fleet.addWorker('one')
  assert.deepEqual(await worker.claim(), [])
  const { state, errorCode } = await fleet.scheduler.requireJob(job.id)
  assert.deepEqual([state, errorCode], ['failed', 'STREAM_NOT_FOUND'])
})

test('a worker that goes away is told of as lost, and its task goes to another', async () => {
  const settings = { leaseMs: 300, heartbeatMs: 100, retentionMs: 1e9, maxWaitingJobs: 10 }
  await using fleet = await openFleet({ deps: { settings }, policy: { ...testPolicy, retryFirstMs: 1 } })
  await submit(fleet)
  const first = await fleet.addWorker('first')
  const probe = await first.take()
  fleet.scheduler.start()
  await until(() => fleet.events.some(({ type, subject }) => type === 'node.lost' && subject === 'node/first'))
  const second = await fleet.addWorker('second')
  const [again] = await second.claimSoon()
  assert.deepEqual([again?.taskId, again?.attempt], [probe.taskId, 1])
  assert.equal((await first.heartbeat([probe])).isKnown, false)
})

const wrongRequests: readonly [string, Record<string, unknown>, ErrorCode, RegExp][] = [
  ['names no scenario', { scenario: 'huge' }, 'SCENARIO_NOT_FOUND', /huge/],
  ['has no source', { input: {} }, 'REQUEST_INVALID', /source/],
  ['reads a stream without a live scenario', { input: { source: { stream: 'cam' } } }, 'REQUEST_INVALID', /live/],
  [
    'has a live scenario without a target',
    { scenario: 'tiny-live', input: { source: { stream: 'cam' } } },
    'REQUEST_INVALID',
    /target/,
  ],
  ['names an object that is not there', { input: { source: { object: 'nothing' } } }, 'OBJECT_NOT_FOUND', /nothing/],
  [
    'has a clip that ends before it begins',
    { input: { source: { url: 'http://a/b' }, clip: { fromSeconds: 5, toSeconds: 4 } } },
    'REQUEST_INVALID',
    /clip/,
  ],
]
for (const [what, changes, code, words] of wrongRequests) {
  test(`a job that ${what} is refused`, async () => {
    await using fleet = await openFleet()
    await assert.rejects(submit(fleet, changes), (error) => refusedWith(code)(error) && words.test(String(error)))
  })
}
