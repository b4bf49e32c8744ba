import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { until } from '../../test/support/until.ts'
import { startApi } from './api.fixture.ts'
import { configSchema, errorBodySchema, healthSchema, statusSchema } from './contract.ts'
import type { Mount, MountTarget } from './mounts.ts'

test('status and configuration fit their schemas', async () => {
  await using api = await startApi()
  await api.record('lobby')
  const status = Value.Parse(statusSchema, (await api.call('GET', '/api/v1/status')).body)
  assert.deepEqual([status.version, status.streams.total, status.disk?.freeBytes], ['1.2.3', 2, 500])
  assert.ok((status.totals.recordedBytes ?? 0) > 1000)
  const config = Value.Parse(configSchema, (await api.call('GET', '/api/v1/config')).body)
  assert.deepEqual(config.items, [{ key: 'api.port', value: 3000, origin: 'default' }])
})

test('the status still tells what it can while the database is away', async () => {
  const away = () => Promise.reject(new AppError('DATABASE_UNAVAILABLE', 'away'))
  await using api = await startApi({ live: { storage: { usage: away, findDiskSpace: async () => undefined } } })
  const { totals, disk } = Value.Parse(statusSchema, (await api.call('GET', '/api/v1/status')).body)
  assert.deepEqual([totals.recordedBytes, disk], [undefined, undefined])
})

test('live, ready and health tell the process from its parts', async () => {
  const node = { version: '1', startedAtMs: 0, roles: [] }
  let database: { isReady: boolean; detail?: string } = { isReady: true }
  await using api = await startApi({ node: { ...node, parts: async () => [{ name: 'database', ...database }] } })
  assert.deepEqual([(await api.call('GET', '/live')).status, (await api.call('GET', '/ready')).status], [200, 200])
  database = { isReady: false, detail: 'no answer' }
  const ready = await api.call('GET', '/ready')
  assert.deepEqual([ready.status, ready.body], [503, { status: 'unready', unready: ['database'] }])
  const health = await api.call('GET', '/health')
  assert.equal(health.status, 503)
  assert.deepEqual(Value.Parse(healthSchema, health.body).parts, [{ name: 'database', ...database }])
  assert.equal((await api.call('GET', '/live')).status, 200)
})

test('parts that cannot be asked are not ready', async () => {
  const parts = () => Promise.reject(new Error('check broke'))
  await using api = await startApi({ node: { version: '1', startedAtMs: 0, roles: [], parts } })
  const health = await api.call('GET', '/health')
  assert.deepEqual(Value.Parse(healthSchema, health.body).parts, [{ name: 'check', isReady: false, detail: 'check broke' }])
})

test('answers have security headers that let the page play HLS', async () => {
  await using api = await startApi()
  const { headers } = await api.call('GET', '/live')
  const policy = headers.get('content-security-policy') ?? ''
  for (const part of ["default-src 'self'", "media-src 'self' blob:", "worker-src 'self' blob:"])
    assert.ok(policy.includes(part), part)
  assert.ok(!policy.includes('upgrade-insecure-requests') && !headers.has('strict-transport-security'))
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
})

test('pages of other origins may neither read nor change, unless they are listed', async () => {
  const origin = 'https://wall.example'
  const stop = { method: 'POST', headers: { origin } }
  await using closed = await startApi()
  const refused = await closed.fetch('/api/v1/streams/lobby/stop', stop)
  assert.deepEqual([refused.status, Value.Parse(errorBodySchema, await refused.json()).code], [403, 'FORBIDDEN'])
  assert.equal((await closed.fetch('/api/v1/status', { headers: { origin } })).headers.get('access-control-allow-origin'), null)
  const same = { method: 'POST', headers: { origin: closed.server.url } }
  assert.equal((await closed.fetch('/api/v1/streams/lobby/stop', same)).status, 200)

  await using listed = await startApi({ allowedOrigins: [origin] })
  assert.equal((await listed.fetch('/api/v1/streams/lobby/stop', stop)).status, 200)
  const preflight = await listed.fetch('/api/v1/streams/lobby', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'content-type' },
  })
  assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, origin])
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /PATCH/)
})

test('who may do what is decided outside, and asked for everything but health', async () => {
  const access = {
    check: ({ authorization, path }: { authorization?: string; path: string }) => {
      if (authorization !== 'Basic good') throw new AppError('UNAUTHORIZED', `${path} needs a user and a password`)
      return undefined
    },
  }
  await using api = await startApi({ access })
  const refused = await api.fetch('/api/v1/streams?search=x')
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')?.split(' ')[0]], [401, 'Basic'])
  assert.match(Value.Parse(errorBodySchema, await refused.json()).message, /^\/api\/v1\/streams needs/)
  assert.equal((await api.fetch('/', {})).status, 401)
  assert.equal((await api.fetch('/live')).status, 200)
  assert.equal((await api.fetch('/api/v1/streams', { headers: { authorization: 'Basic good' } })).status, 200)
})

test('a mount answers below its prefix with stream, file and query', async () => {
  const targets: MountTarget[] = []
  const mount = {
    prefix: '/hls/',
    handle: (_: unknown, response: { writeHead(status: number): void; end(body: string): void }, target: MountTarget) => {
      targets.push(target)
      if (target.file === 'refused.m3u8') throw new AppError('STREAM_OFFLINE', 'no picture now')
      response.writeHead(200)
      response.end('#EXTM3U')
    },
  }
  await using api = await startApi({ mounts: [mount] })
  const played = await api.fetch('/hls/site/gate/index.m3u8?_HLS_msn=3&a=b')
  assert.deepEqual([played.status, await played.text()], [200, '#EXTM3U'])
  assert.equal(played.headers.get('cross-origin-resource-policy'), 'cross-origin')
  await api.fetch('/hls/site%2Fgate/part.mp4')
  assert.deepEqual(
    targets.map(({ stream, file, query }) => [stream, file, query.get('_HLS_msn')]),
    [
      ['site/gate', 'index.m3u8', '3'],
      ['site/gate', 'part.mp4', null],
    ],
  )
  const refused = await api.fetch('/hls/lobby/refused.m3u8')
  assert.deepEqual([refused.status, Value.Parse(errorBodySchema, await refused.json()).code], [404, 'STREAM_OFFLINE'])
  assert.equal((await api.fetch('/hls/lobby')).status, 404)
})

test('without a built web application the first page says how to build it', async () => {
  await using api = await startApi()
  const response = await api.fetch('/')
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
  assert.match(await response.text(), /npm run build:web/)
})

test('the built web application is served, with its pages and caching', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(join(directory.path, 'assets'))
  await writeFile(join(directory.path, 'index.html'), '<p>application</p>')
  await writeFile(join(directory.path, 'assets', 'index-abc.js'), 'run()')
  await using api = await startApi({ webDirectory: directory.path })
  const page = { headers: { accept: 'text/html,*/*' } }
  for (const [path, init, status, body, caching] of [
    ['/', {}, 200, /application/, 'no-cache'],
    ['/streams/lobby', page, 200, /application/, 'no-cache'],
    ['/assets/index-abc.js', {}, 200, /run/, 'public, max-age=31536000, immutable'],
    ['/assets/index-old.js', page, 404, /ROUTE_NOT_FOUND/, null],
    ['/streams/lobby', {}, 404, /ROUTE_NOT_FOUND/, null],
    ['/api/v1/nope', page, 404, /ROUTE_NOT_FOUND/, null],
    ['/..%2f..%2fetc/passwd', {}, 404, /ROUTE_NOT_FOUND|FORBIDDEN/, null],
  ] as const) {
    const response = await api.fetch(path, init)
    assert.deepEqual([path, response.status, response.headers.get('cache-control')], [path, status, caching])
    assert.match(await response.text(), body)
  }
})

test('the browse page and its files are served', async () => {
  await using api = await startApi()
  for (const [path, type] of [
    ['/api', 'text/html'],
    ['/api/browse.js', 'text/javascript'],
    ['/api/browse.css', 'text/css'],
  ] as const) {
    const response = await api.fetch(path)
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, `${type}; charset=utf-8`])
    await response.text()
  }
})

test('requests are counted by route and logged without their query', async () => {
  const observed: { route: string; status: number; seconds?: number }[] = []
  const observer = { observe: (request: (typeof observed)[number]) => void observed.push(request), countLimited: () => {} }
  await using api = await startApi({ observer })
  await api.call('GET', '/api/v1/streams/lobby')
  await api.call('GET', '/nope?token=secret')
  await api.fetch('/api/v1/recordings/x/media.mp4')
  await until(() => observed.length === 3)
  assert.deepEqual(
    observed.map(({ route, status, seconds }) => [route, status, seconds !== undefined]),
    [
      ['/api/v1/streams/:name', 200, true],
      ['none', 404, true],
      ['/api/v1/recordings/:id/media.mp4', 404, false],
    ],
  )
  assert.ok(!JSON.stringify(api.logged).includes('secret'))
  assert.ok(api.logged.some(({ msg, path, level }) => msg === 'request' && path === '/nope' && level === 20))
})

test('a port that is taken is refused by name', async () => {
  await using api = await startApi()
  await assert.rejects(
    startApi({ port: api.server.address.port }),
    (error) =>
      error instanceof AppError && error.code === 'LISTEN_FAILED' && error.message.includes(String(api.server.address.port)),
  )
})

test('stopping does not wait for connections without a request, half a request, or a follower that does not answer', async () => {
  const api = await startApi({ closeTimeoutMs: 60_000 })
  const upgrade = 'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  const sent = ['', 'GET /live HTTP/1.1\r\n', `GET /api/v1/events HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n${upgrade}\r\n`]
  const sockets = await Promise.all(
    sent.map(async (text) => {
      const socket = connect(api.server.address.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(text)
      return socket
    }),
  )
  const [, , follower] = sockets
  assert.ok(follower)
  await once(follower, 'readable')
  await api[Symbol.asyncDispose]()
  for (const socket of sockets) socket.destroy()
})

test('stopping answers requests that wait, and ends their connections', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const mount: Mount = {
    prefix: '/hls/',
    handle: async (_, response, { closing }) => {
      begin()
      await once(closing, 'abort')
      response.writeHead(503).end('later')
    },
  }
  const api = await startApi({ mounts: [mount], closeTimeoutMs: 60_000 })
  const waiting = api.fetch('/hls/lobby/live.m3u8?_HLS_msn=9')
  await begun
  await api[Symbol.asyncDispose]()
  const response = await waiting
  assert.deepEqual([response.status, await response.text()], [503, 'later'])
})

test('stopping ends kept connections, answers what comes late with 503, and cuts what does not end', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const { promise: never } = Promise.withResolvers<void>()
  const mount = {
    prefix: '/hls/',
    handle: () => {
      begin()
      return never
    },
  }
  const api = await startApi({ mounts: [mount], closeTimeoutMs: 50 })
  await (await api.fetch('/live')).text()
  const hanging = api.fetch('/hls/lobby/index.m3u8')
  hanging.catch(() => undefined)
  await begun
  await api[Symbol.asyncDispose]()
  await assert.rejects(hanging)
  await assert.rejects(api.fetch('/live'))
  await api[Symbol.asyncDispose]()
})
