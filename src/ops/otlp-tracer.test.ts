import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { createLog } from '#lib/log.ts'
import { systemClock } from '#lib/clock.ts'
import { inSpan } from '#lib/tracing.ts'
import { AppError } from '#lib/errors.ts'
import { startOtlpReceiver } from '../../test/support/otlp-receiver.ts'
import { OtlpTracer } from './otlp-tracer.ts'

const log = createLog({ level: 'silent', pretty: false })
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

function tracerTo(endpoint: string, sampleRatio = 1): OtlpTracer {
  return new OtlpTracer({ endpoint, sampleRatio, resource: { 'service.name': 'test' }, version: '1', clock: systemClock, log })
}

test('spans are sent when the tracer ends, with their parents, attributes, times and failures', async () => {
  await using receiver = await startOtlpReceiver()
  const tracer = tracerTo(`${receiver.url}/`)
  const parent = tracer.start('parent', { kind: 'server', parent: `00-${traceId}-00f067aa0ba902b7-01` })
  assert.match(parent.traceparent ?? '', new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  assert.equal(parent.traceId, traceId)
  const child = tracer.start('child', {
    parent: parent.traceparent,
    startedAtMs: Date.now() - 5000,
    attributes: { count: 3, nothing: undefined },
  })
  const refuse = () => Promise.reject(new AppError('TIMEOUT', 'too late'))
  await assert.rejects(inSpan(child, refuse), { code: 'TIMEOUT' })
  parent.end()
  await tracer[Symbol.asyncDispose]()

  const [first, second] = receiver.spans
  assert.partialDeepStrictEqual(second, { name: 'parent', kind: 2, parentSpanId: '00f067aa0ba902b7', status: { code: 0 } })
  assert.partialDeepStrictEqual(first, {
    traceId,
    name: 'child',
    kind: 1,
    parentSpanId: second?.spanId,
    status: { code: 2, message: 'TIMEOUT: too late' },
    resource: { 'service.name': 'test' },
  })
  assert.deepEqual(first?.attributes, { count: 3, 'error.type': 'TIMEOUT' })
  assert.ok(first.durationMs >= 5000)
})

test('of traces that begin here a part is recorded, of others those that their beginners want', async () => {
  await using receiver = await startOtlpReceiver()
  const tracer = tracerTo(receiver.url, 0)
  const own = tracer.start('own')
  assert.equal(own.traceId, undefined)
  assert.match(own.traceparent ?? '', /-00$/, 'whoever goes on with it does not record it either')
  const wanted = tracer.start('wanted', { parent: `00-${traceId}-00f067aa0ba902b7-01` })
  const notUnderstood = tracer.start('odd', { parent: 'ff-1-2-3' })
  for (const span of [own, wanted, notUnderstood]) span.end()
  await tracer[Symbol.asyncDispose]()
  assert.deepEqual(
    receiver.spans.map(({ name }) => name),
    ['wanted'],
  )
})

test('what a collector that is away cannot take is bounded, and the end does not wait for it', async () => {
  const lines: string[] = []
  const kept = pino({ base: null, timestamp: false }, { write: (line) => lines.push(line) })
  const receiver = await startOtlpReceiver()
  await receiver[Symbol.asyncDispose]()
  const tracer = new OtlpTracer({
    endpoint: receiver.url,
    sampleRatio: 1,
    resource: {},
    version: '1',
    clock: systemClock,
    log: kept,
  })
  for (let index = 0; index < 5000; index++) tracer.start('span').end()
  const said = lines.map((line): unknown => JSON.parse(line))
  const reason = '4096 wait to be sent'
  assert.partialDeepStrictEqual(said, [{ spans: 1, reason }], 'once a minute')
  const startedAtMs = performance.now()
  await tracer[Symbol.asyncDispose]()
  assert.ok(performance.now() - startedAtMs < 6000)
  assert.partialDeepStrictEqual(JSON.parse(lines[1] ?? ''), { spans: 903, reason })
})
