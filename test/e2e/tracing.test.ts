import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startFileServer } from '../support/file-server.ts'
import { FleetApi, startControl, startWorker } from '../support/fleet.ts'
import type { SmallHttpServer } from '../support/http-server.ts'
import { makeMp4 } from '../support/job-files.ts'
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts'
import { type Millrace, showOutputOnFailure, startMillrace } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const scenario = {
  name: 'small',
  renditions: [{ name: '90p', height: 90, codec: 'h264', preset: 'ultrafast', rate: { mode: 'crf', crf: 28 } }],
  audio: { codec: 'aac', bitsPerSecond: 64_000, channels: 2, sampleRate: 48_000, normalize: false },
  chunkSeconds: 2,
  gopSeconds: 1,
  segmentSeconds: 2,
  pictures: false,
}
/** Span kinds and states of opentelemetry-proto. */
const server = 2
const failed = 2
const clientSpanId = '00f067aa0ba902b7'
const traceparentOf = (traceId: string): string => `00-${traceId}-${clientSpanId}-01`

suite('a job is one trace, from its submission to its end', () => {
  const stack = new AsyncDisposableStack()
  let receiver: OtlpReceiver
  let control: Millrace
  let worker: Millrace
  let api: FleetApi
  let files: SmallHttpServer

  before(async () => {
    const directory = stack.use(await temporaryDirectory())
    await makeMp4(directory.path, { name: 'film', width: 160, height: 90, seconds: 4 })
    files = stack.use(await startFileServer(directory.path))
    receiver = stack.use(await startOtlpReceiver())
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, MILLRACE_LOGGING_LEVEL: 'debug' }
    control = stack.use(await startControl({ role: 'api', env }))
    worker = stack.use(await startWorker([control.url], { env, config: 'id = "worker-1"\n' }))
    api = new FleetApi(control)
    await api.addScenario(scenario)
    await api.untilWorking()
  })
  after(() => stack.disposeAsync())

  const spansOf = (traceId: string): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId)

  /** All spans of the trace, when that of the job is there, and of so many attempts each with the request that told its outcome. */
  async function untilTold(traceId: string, attemptCount: number): Promise<ReceivedSpan[]> {
    const isWhole = (): boolean => {
      const spans = spansOf(traceId)
      const ids = new Set([clientSpanId, ...spans.map(({ spanId }) => spanId)])
      const isConnected = spans.every(({ parentSpanId = '' }) => ids.has(parentSpanId))
      const outcomes = spans.filter(({ name }) => /:task\/(complete|fail)$/.test(name))
      return isConnected && outcomes.length === attemptCount && spans.some(({ name }) => name === 'job')
    }
    await until(isWhole, { what: 'one connected trace', timeoutMs: 20_000 })
    return spansOf(traceId)
  }

  test('a job that is done', { timeout: 120_000 }, async (t) => {
    showOutputOnFailure(t, control)
    showOutputOnFailure(t, worker)
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const job = { scenario: 'small', source: { url: `${files.url}/film.mp4` }, label: 'traced' }
    const { id } = await api.submit(job, { traceparent: traceparentOf(traceId) })
    const { tasks } = await api.untilState(id, 'completed')
    const spans = await untilTold(traceId, tasks.length)
    const childrenOf = (span: ReceivedSpan) => spans.filter(({ parentSpanId }) => parentSpanId === span.spanId)
    const only = (name: string): ReceivedSpan => {
      const [found, ...more] = spans.filter((span) => span.name === name)
      assert.ok(found && more.length === 0, `one ${name} among ${spans.map((span) => span.name).join()}`)
      return found
    }

    const submit = only('POST /api/v1/jobs')
    assert.partialDeepStrictEqual(submit, {
      parentSpanId: clientSpanId,
      kind: server,
      attributes: { 'http.request.method': 'POST', 'http.route': '/api/v1/jobs', 'http.response.status_code': 201 },
      resource: { 'service.name': 'millrace', 'millrace.role': 'api' },
    })
    const whole = only('job')
    assert.equal(whole.parentSpanId, submit.spanId)
    assert.partialDeepStrictEqual(whole.attributes, { 'millrace.job.id': id, 'millrace.job.state': 'completed' })
    assert.ok(whole.durationMs > 100, `${whole.durationMs} ms`)

    const attempts = spans.filter(({ name }) => name.startsWith('task '))
    assert.equal(attempts.length, tasks.length)
    for (const attempt of attempts) {
      assert.equal(attempt.parentSpanId, submit.spanId)
      assert.partialDeepStrictEqual(attempt, {
        attributes: { 'millrace.job.id': id, 'millrace.task.attempt': 1, 'millrace.node.id': 'worker-1' },
        resource: { 'service.instance.id': 'worker-1', 'millrace.role': 'worker' },
      })
      const parts = childrenOf(attempt).map(({ name }) => name)
      for (const name of ['read inputs', 'codec', 'upload', 'POST /api/v1/worker/nodes/:id/tasks/:task/complete'])
        assert.ok(parts.includes(name), `${name} in ${attempt.name}: ${parts.join()}`)
    }
    const chunks = attempts.filter(({ name }) => name === 'task video').map(({ attributes }) => attributes)
    const chunkNames = chunks.map(
      (chunk) => `${String(chunk['millrace.task.rendition'])}/${String(chunk['millrace.task.chunk'])}`,
    )
    assert.deepEqual(chunkNames.toSorted(), ['90p/0', '90p/1'])
    for (const program of [control, worker]) assert.match(program.output(), new RegExp(`"traceId":"${traceId}"`))
  })

  test('a job that fails', { timeout: 60_000 }, async (t) => {
    showOutputOnFailure(t, worker)
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const job = { scenario: 'small', source: { url: `${files.url}/missing.mp4` } }
    const { id } = await api.submit(job, { traceparent: traceparentOf(traceId) })
    const { error } = await api.untilState(id, 'failed')
    const spans = await untilTold(traceId, 1)
    for (const name of ['job', 'task probe']) {
      const span = spans.find((one) => one.name === name) ?? assert.fail(name)
      assert.equal(span.status.code, failed)
      assert.equal(span.attributes['error.type'], error?.code)
    }
  })

  test('a request that is refused, and one that is not to be recorded', async () => {
    const traceId = 'a3ce929d0e0e47364bf92f3577b34da6'
    const hiddenId = 'b3ce929d0e0e47364bf92f3577b34da6'
    await fetch(`${control.url}/api/v1/jobs/none`, { headers: { traceparent: `00-${hiddenId}-${clientSpanId}-00` } })
    await fetch(`${control.url}/api/v1/jobs/none`, { headers: { traceparent: traceparentOf(traceId) } })
    const [span] = await until(() => (spansOf(traceId).length > 0 ? spansOf(traceId) : undefined))
    assert.partialDeepStrictEqual(span, {
      name: 'GET /api/v1/jobs/:id',
      attributes: { 'http.response.status_code': 404, 'error.type': 'JOB_NOT_FOUND' },
      status: { code: 0 },
    })
    assert.deepEqual(spansOf(hiddenId), [])
  })

  test('what is left is sent when a process stops', async () => {
    const traceId = 'c3ce929d0e0e47364bf92f3577b34da6'
    await using short = await startMillrace({ role: 'api', env: { MILLRACE_TRACING_ENDPOINT: receiver.url } })
    await fetch(`${short.url}/api/v1/status`, { headers: { traceparent: traceparentOf(traceId) } })
    await short.kill('SIGTERM')
    assert.equal(spansOf(traceId).length, 1)
  })
})

test('a collector that is away disturbs nobody, and is told of', { timeout: 60_000 }, async (t) => {
  const { url } = await startOtlpReceiver().then(async (receiver) => {
    await receiver[Symbol.asyncDispose]()
    return receiver
  })
  await using millrace = await startMillrace({ role: 'api', env: { MILLRACE_TRACING_ENDPOINT: url } })
  showOutputOnFailure(t, millrace)
  const ask = async (): Promise<number> => (await fetch(`${millrace.url}/api/v1/status`)).status
  assert.equal(await ask(), 200)
  const isTold = (): boolean => millrace.output().includes('spans of traces were lost')
  await until(isTold, { what: 'the loss to be told', timeoutMs: 30_000 })
  assert.equal(await ask(), 200)
  const startedAtMs = performance.now()
  await millrace.kill('SIGTERM')
  assert.ok(performance.now() - startedAtMs < 8000, 'the stop waits for it no longer than it may')
})

/** Tells of each module of OpenTelemetry that is loaded. */
const spy = `import { registerHooks } from 'node:module'
registerHooks({ resolve(name, context, next) {
  const found = next(name, context)
  const [, module] = /node_modules\\/(@opentelemetry\\/[^/]+)/.exec(found.url) ?? []
  if (module) process.stderr.write('loads ' + module + '\\n')
  return found
} })`
const spyOption = `--import=data:text/javascript,${encodeURIComponent(spy)}`

for (const isOn of [false, true]) {
  test(
    `OpenTelemetry is ${isOn ? '' : 'not '}loaded ${isOn ? 'with' : 'without'} an endpoint`,
    { timeout: 60_000 },
    async (t) => {
      const tracing = isOn ? { MILLRACE_TRACING_ENDPOINT: 'http://127.0.0.1:9' } : {}
      const env = { NODE_OPTIONS: spyOption, MILLRACE_WORKER_ENABLED: 'true', ...tracing }
      await using millrace = await startMillrace({ env })
      showOutputOnFailure(t, millrace)
      await new FleetApi(millrace).untilWorking()
      const loaded = new Set([...millrace.output().matchAll(/^loads (\S+)$/gm)].map(([, module]) => module))
      // The library for metrics has the interface, which does nothing by itself.
      assert.equal(loaded.delete('@opentelemetry/api'), true)
      assert.equal(loaded.size > 0, isOn, [...loaded].join())
    },
  )
}
