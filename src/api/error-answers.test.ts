import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { silentTracer } from '#lib/tracing.ts'
import { startApi } from './api.fixture.ts'
import { errorBodySchema } from './contract.ts'

const json = { 'content-type': 'application/json' }
const post = (body: string, headers: Record<string, string> = json): RequestInit => ({ method: 'POST', body, headers })
const create = '/api/v1/streams'

const cases: [name: string, path: string, init: RequestInit, status: number, code: string, message: RegExp][] = [
  ['an unknown path', '/api/v1/nope', {}, 404, 'ROUTE_NOT_FOUND', /GET \/api\/v1\/nope/],
  ['an unknown method', '/api/v1/status', { method: 'DELETE' }, 404, 'ROUTE_NOT_FOUND', /DELETE/],
  ['an unknown stream', '/api/v1/streams/nope', {}, 404, 'STREAM_NOT_FOUND', /"nope"/],
  ['an action on an unknown stream', '/api/v1/streams/nope/stop', { method: 'POST' }, 404, 'STREAM_NOT_FOUND', /"nope"/],
  ['readers of an unknown stream', '/api/v1/streams/nope/readers', {}, 404, 'STREAM_NOT_FOUND', /"nope"/],
  ['an unknown recording', '/api/v1/recordings/nope', {}, 404, 'RECORDING_NOT_FOUND', /"nope"/],
  ['media of an unknown recording', '/api/v1/recordings/nope/media.mp4', {}, 404, 'RECORDING_NOT_FOUND', /"nope"/],
  ['deleting an unknown recording', '/api/v1/recordings/nope', { method: 'DELETE' }, 404, 'RECORDING_NOT_FOUND', /"nope"/],
  ['playback of nothing', '/api/v1/streams/lobby/playback.m3u8', {}, 404, 'RECORDING_NOT_FOUND', /lobby/],
  ['export of nothing', '/api/v1/streams/lobby/export.mp4', {}, 404, 'RECORDING_NOT_FOUND', /lobby/],
  ['removing what the file declares', '/api/v1/streams/lobby', { method: 'DELETE' }, 409, 'STREAM_IN_FILE', /configuration file/],
  ['creating what exists', create, post('{"name":"lobby"}'), 409, 'STREAM_EXISTS', /lobby/],
  ['malformed JSON', create, post('{"name":'), 400, 'REQUEST_INVALID', /JSON: .*end of JSON/],
  [
    'a prototype in JSON',
    create,
    post('{"__proto__":{"x":1},"name":"a"}'),
    400,
    'REQUEST_INVALID',
    /__proto__ is not a known field/,
  ],
  ['an absent body', create, { method: 'POST' }, 400, 'REQUEST_INVALID', /body must be an object/],
  ['a body of another type', create, post('name=a', { 'content-type': 'text/csv' }), 415, 'UNSUPPORTED', /JSON/],
  ['a large body', create, post(`{"name":"${'a'.repeat(2 ** 20)}"}`), 413, 'LIMIT_EXCEEDED', /1 MiB/],
  ['a long path', `/api/v1/streams/${'a'.repeat(600)}`, {}, 413, 'LIMIT_EXCEEDED', /512/],
  ['a broken escape', '/api/v1/streams/%zz', {}, 400, 'REQUEST_INVALID', /%zz/],
  ['a cursor of somebody else', '/api/v1/streams?cursor=%21', {}, 400, 'REQUEST_INVALID', /query.cursor/],
  [
    'an empty time range',
    '/api/v1/recordings?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
    {},
    400,
    'REQUEST_INVALID',
    /query\.to/,
  ],
]

test('every refusal has the one shape, its status and its code', async (t) => {
  await using api = await startApi()
  for (const [name, path, init, status, code, message] of cases) {
    await t.test(name, async () => {
      const response = await api.fetch(path, init)
      const body = Value.Parse(errorBodySchema, await response.json())
      assert.deepEqual([response.status, body.code], [status, code])
      assert.match(body.message, message)
      assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
    })
  }
})

test('a request that does not fit its schema is told every place, in words', async (t) => {
  await using api = await startApi()
  const issuesOf = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = Value.Parse(errorBodySchema, (await api.call(method, path, body)).body)
    assert.equal(answer.code, 'REQUEST_INVALID')
    return answer.details?.['issues']
  }
  for (const [name, method, path, body, issues] of [
    ['a missing field', 'POST', create, {}, [['body.name', 'is required']]],
    ['a bad name', 'POST', create, { name: '../x' }, [['body.name', /^is not allowed: Letters/]]],
    ['a wrong choice', 'POST', create, { name: 'a', hls: 'yes' }, [['body.hls', 'must be one of always, on-demand, off']]],
    ['a wrong type', 'POST', create, { name: 'a', onDemand: 'yes' }, [['body.onDemand', 'must be a boolean']]],
    ['a nested bound', 'POST', create, { name: 'a', recording: { segmentSeconds: 1 } }, [['body.recording.segmentSeconds', /2/]]],
    ['an unknown field', 'PATCH', '/api/v1/streams/lobby', { colour: 1 }, [['body.colour', 'is not a known field']]],
    ['nothing to change', 'PATCH', '/api/v1/streams/lobby', {}, [['body', /fewer than 1/]]],
    ['a query that is no number', 'GET', '/api/v1/streams?limit=1.5', undefined, [['query.limit', 'must be an integer']]],
    ['a query above its bound', 'GET', '/api/v1/streams?limit=5000', undefined, [['query.limit', /1000/]]],
    ['a query twice', 'GET', '/api/v1/streams?limit=1&limit=2', undefined, [['query.limit', 'must be an integer']]],
    ['a wrong time', 'GET', '/api/v1/recordings?from=today', undefined, [['query.from', /^must be a time such as/]]],
    [
      'two things',
      'POST',
      create,
      { name: 'a', x: 1, sources: [''] },
      [
        ['body.x', /known/],
        ['body.sources.0', /1 char/],
      ],
    ],
  ] as const) {
    await t.test(name, async () => {
      const found = await issuesOf(method, path, body)
      assert.ok(Array.isArray(found) && found.length === issues.length, JSON.stringify(found))
      for (const [index, [where, message]] of issues.entries()) {
        assert.equal(found[index].path, where)
        assert.match(found[index].message, typeof message === 'string' ? new RegExp(`^${message}$`) : message)
      }
    })
  }
})

test('a fault of our own is answered without its cause, and logged with it', async () => {
  const broken = () => {
    throw new Error('the secret cause')
  }
  await using api = await startApi({ config: { list: broken } })
  const { status, body } = await api.call('GET', '/api/v1/config')
  assert.equal(status, 500)
  const { code, message, details } = Value.Parse(errorBodySchema, body)
  assert.equal(code, 'INTERNAL')
  assert.ok(!message.includes('secret cause'))
  const line = api.logged.find(({ msg }) => msg === 'request failed')
  assert.partialDeepStrictEqual(line, { code: 'INTERNAL', url: '/api/v1/config', err: { message: 'the secret cause' } })
  assert.equal(line?.['requestId'], details?.['requestId'])
  assert.ok(api.logged.some(({ msg, status: logged }) => msg === 'request answered with a fault' && logged === 500))
})

test('coded errors of what is behind keep their status, and are failures of their spans', async () => {
  const away = () => Promise.reject(new AppError('DATABASE_UNAVAILABLE', 'the database does not answer'))
  const failed: string[] = []
  const span = { ...silentTracer.start('request'), traceId: 'of-the-request', fail: (code: string) => void failed.push(code) }
  await using api = await startApi({
    tracer: { start: () => span },
    live: { recordings: { find: away, list: away, remove: away } },
  })
  const { status, body } = await api.call('GET', '/api/v1/recordings')
  assert.deepEqual([status, body], [503, { code: 'DATABASE_UNAVAILABLE', message: 'the database does not answer' }])
  assert.deepEqual(failed, ['DATABASE_UNAVAILABLE'])
  const line = api.logged.find(({ msg }) => msg === 'request answered with a fault')
  assert.equal(line?.['traceId'], 'of-the-request')
})

for (const [name, sent, status, code] of [
  ['bytes that are no HTTP', 'hello\r\n\r\n', 400, 'MALFORMED'],
  ['headers without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 413, 'LIMIT_EXCEEDED'],
] as const) {
  test(`${name} are refused in the one shape, too`, async () => {
    await using api = await startApi()
    const socket = connect(api.server.address)
    socket.end(sent)
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `))
    assert.equal(Value.Parse(errorBodySchema, JSON.parse(body)).code, code)
  })
}
