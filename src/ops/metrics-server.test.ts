import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { Metrics } from './metrics.ts'
import { MetricsServer, type MetricsServerDeps } from './metrics-server.ts'

function start(changes: Partial<MetricsServerDeps> = {}): Promise<MetricsServer> {
  return MetricsServer.start({
    host: '127.0.0.1',
    port: 0,
    metrics: new Metrics({ version: '1' }),
    health: async () => ({ isOk: true, body: { status: 'ok' } }),
    log: createLog({ level: 'silent', pretty: false }),
    ...changes,
  })
}

const urlOf = ({ address }: MetricsServer): string => `http://${address.host}:${address.port}`

test('metrics come as Prometheus text', async () => {
  await using server = await start()
  const response = await fetch(`${urlOf(server)}/metrics`)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.match(await response.text(), /^# HELP millrace_info /m)
})

test('health is 200 or 503', async () => {
  let isOk = true
  await using server = await start({ health: async () => ({ isOk, body: { status: isOk ? 'ok' : 'unready' } }) })
  assert.equal((await fetch(`${urlOf(server)}/health`)).status, 200)
  isOk = false
  const response = await fetch(`${urlOf(server)}/health`)
  assert.deepEqual([response.status, await response.json()], [503, { status: 'unready' }])
})

test('anything else, and a scrape that fails, is a coded error', async () => {
  const metrics = { contentType: 'text/plain', text: () => Promise.reject(new Error('boom')) }
  await using server = await start({ metrics })
  for (const [path, status, code] of [
    ['/', 404, 'ROUTE_NOT_FOUND'],
    ['/metrics', 500, 'INTERNAL'],
  ] as const) {
    const response = await fetch(urlOf(server) + path)
    assert.equal(response.status, status)
    assert.partialDeepStrictEqual(await response.json(), { code })
  }
})

test('a port that is taken is refused by name', async () => {
  await using server = await start()
  await assert.rejects(
    start({ port: server.address.port }),
    (error) => error instanceof AppError && error.code === 'LISTEN_FAILED',
  )
})

test('closing twice is fine and ends kept connections', async () => {
  const server = await start()
  await (await fetch(`${urlOf(server)}/health`)).text()
  await server[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await assert.rejects(fetch(`${urlOf(server)}/health`))
})
