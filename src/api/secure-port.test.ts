import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect, TLSSocket } from 'node:tls'
import { suite, test } from 'node:test'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { AccessList } from '#auth/access.ts'
import { HttpAccess } from '#auth/http-access.ts'
import { UrlSigner } from '#auth/url-signer.ts'
import { ManualClock } from '#lib/clock.ts'
import { TestAuthority } from '../../test/support/certificates.ts'
import { until } from '../../test/support/until.ts'
import { startApi } from './api.fixture.ts'
import { SecurePort } from './secure-port.ts'

const users = [
  { name: 'root', password: 'secret', publish: [], read: ['*'], admin: true },
  { name: 'worker-1', publish: [], read: ['*'], admin: true },
  { name: 'guest', publish: [], read: ['lobby'], admin: false },
]

const noKeys = { check: () => Promise.reject(new Error('no request brings a key')) }

type Shown = { readonly certificate: string; readonly key: string }
type Ask = { readonly path?: string; readonly method?: string; readonly headers?: Record<string, string>; readonly agent?: Agent }

/** An API with users over HTTPS, and a way to ask it. `clock` is that of the check of certificates. */
async function startSecureApi({ asksForCertificates = true } = {}) {
  await using stack = new AsyncDisposableStack()
  const authority = stack.use(await TestAuthority.make())
  const { certificateFile, keyFile } = await authority.server()
  const clock = new ManualClock(Date.now())
  const signer = new UrlSigner({ secret: Buffer.alloc(32, 1), clock })
  const files = { certificateFile, keyFile, ...(asksForCertificates && { authorityFile: authority.authorityFile }) }
  const api = stack.use(
    await startApi({
      tls: { port: 0, files },
      access: new HttpAccess({ users: new AccessList(users), keys: noKeys, signer, clock }),
      closeTimeoutMs: 300,
    }),
  )
  const port = Number(new URL(api.server.tlsUrl ?? '').port)
  const trust = { ca: authority.certificate, host: '127.0.0.1', port }
  const owned = stack.move()
  const ask = async (shown?: Shown, { path = '/api/v1/status', ...options }: Ask = {}) => {
    const outgoing = request({
      ...trust,
      path,
      agent: false,
      ...(shown && { cert: shown.certificate, key: shown.key }),
      ...options,
    })
    outgoing.end()
    const [response]: IncomingMessage[] = await once(outgoing, 'response')
    assert.ok(response)
    return { status: response.statusCode, body: await text(response) }
  }
  return { api, authority, clock, port, trust, ask, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

suite('HTTPS', () => {
  test('the same routes, to whoever has a password; the plain port goes on', async () => {
    await using secure = await startSecureApi()
    const authorization = `Basic ${Buffer.from('root:secret').toString('base64')}`
    assert.equal((await secure.ask(undefined, { headers: { authorization } })).status, 200)
    assert.equal((await secure.api.fetch('/api/v1/status', { headers: { authorization } })).status, 200)
    const { status, body } = await secure.ask()
    assert.equal(status, 401)
    assert.match(body, /user and password are missing/)
    const stream = JSON.parse((await secure.ask(undefined, { path: '/api/v1/streams/lobby', headers: { authorization } })).body)
    assert.equal(stream.urls.hls, `https://127.0.0.1:${secure.port}/hls/lobby/index.m3u8`)
  })

  test('a client certificate is the user of its name, with the rights of that user', async () => {
    await using secure = await startSecureApi()
    const worker = await secure.authority.client('worker-1')
    const start = { path: '/api/v1/streams/lobby/stop', method: 'POST' }
    assert.equal((await secure.ask(worker)).status, 200)
    assert.equal((await secure.ask(worker, start)).status, 200)
    const guest = await secure.authority.client('guest')
    assert.equal((await secure.ask(guest, { path: '/api/v1/streams/lobby' })).status, 200)
    assert.equal((await secure.ask(guest, { path: '/api/v1/streams/site%2Fgate' })).status, 403)
    assert.equal((await secure.ask(guest, start)).status, 403)
  })

  test('a user without a password gets in by no password', async () => {
    await using secure = await startSecureApi()
    for (const login of ['worker-1:', 'worker-1:undefined']) {
      const headers = { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      assert.equal((await secure.ask(undefined, { headers })).status, 401)
      assert.equal(
        (await secure.ask(await secure.authority.client('root'), { headers })).status,
        401,
        'what is said counts first',
      )
    }
  })

  test('other certificates are refused with the reason', async () => {
    await using secure = await startSecureApi()
    await using stranger = await TestAuthority.make()
    const refused: [Shown, RegExp][] = [
      [await stranger.client('root'), /UNAUTHORIZED.*not taken \(\w+\); present one/],
      [await secure.authority.client('nobody'), /UNAUTHORIZED.*of \\"nobody\\", who is no user/],
      [await secure.authority.client('millrace internal'), /UNAUTHORIZED.*who is no user/],
      [await secure.authority.client('root', { nowMs: Date.now() - 3 * 86_400_000 }), /UNAUTHORIZED.*CERT_HAS_EXPIRED/],
      [await secure.authority.server('root'), /UNAUTHORIZED.*INVALID_PURPOSE/],
    ]
    for (const [shown, message] of refused) {
      const { status, body } = await secure.ask(shown)
      assert.equal(status, 401)
      assert.match(body, message)
    }
  })

  test('a certificate that runs out ends its rights on connections that are open', async () => {
    await using secure = await startSecureApi()
    const worker = await secure.authority.client('worker-1')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    assert.equal((await secure.ask(worker, { agent })).status, 200)
    secure.clock.advance(2 * 86_400_000)
    const { status, body } = await secure.ask(worker, { agent })
    assert.equal(status, 401)
    assert.match(body, /its time is over/)
    agent.destroy()
  })

  test('without tls.clientAuthority nobody is asked for a certificate', async () => {
    await using secure = await startSecureApi({ asksForCertificates: false })
    const { status, body } = await secure.ask(await secure.authority.client('root'))
    assert.equal(status, 401)
    assert.match(body, /user and password are missing/)
  })

  test('events come over wss', async () => {
    await using secure = await startSecureApi()
    const { certificate: cert, key } = await secure.authority.client('root')
    const socket = new WebSocket(`wss://127.0.0.1:${secure.port}/api/v1/events`, { ca: secure.authority.certificate, cert, key })
    const messages: string[] = []
    socket.on('message', (data: Buffer) => messages.push(data.toString()))
    await once(socket, 'open')
    await secure.api.history.append({ type: 'stream.online', subject: 'lobby', data: {} })
    await until(() => messages.some((message) => message.includes('stream.online')), { what: 'an event' })
    const closed = once(socket, 'close')
    await secure.api[Symbol.asyncDispose]()
    assert.equal((await closed)[0], 1001, 'an orderly stop says goodbye')
  })

  test('a stop does not wait for connections that ask nothing, or never shook hands', async () => {
    await using secure = await startSecureApi()
    const idle = connect(secure.trust)
    await once(idle, 'secureConnect')
    const silent = connectPlain(secure.port, '127.0.0.1')
    await once(silent, 'connect')
    const closed = Promise.all([idle, silent].map((socket) => once(socket.on('error', () => {}).resume(), 'close')))
    await secure.api[Symbol.asyncDispose]()
    await closed
  })

  test('a renewed certificate is taken on, and connections that are open stay', async () => {
    await using authority = await TestAuthority.make()
    const { certificateFile, keyFile } = await authority.server()
    const http = createServer((_, response) => response.end('well'))
    const log = pino({ level: 'silent' })
    const files = { certificateFile, keyFile }
    await using secure = await SecurePort.listen({ http, host: '127.0.0.1', port: 0, files, onCertificate: () => {}, log })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async (): Promise<{ serial: string; isReused: boolean }> => {
      const outgoing = request({ host: '127.0.0.1', port: secure.port, ca: authority.certificate, agent }).end()
      const [response]: IncomingMessage[] = await once(outgoing, 'response')
      assert.ok(response?.socket instanceof TLSSocket)
      const { serialNumber: serial } = response.socket.getPeerCertificate()
      assert.equal(await text(response), 'well')
      return { serial, isReused: outgoing.reusedSocket }
    }
    const first = await ask()
    await authority.server()
    await secure.renew()
    const kept = await ask()
    assert.deepEqual([kept.serial, kept.isReused], [first.serial, true])
    agent.destroy()
    assert.notEqual((await ask()).serial, first.serial)
    await writeFile(certificateFile, 'nonsense')
    await secure.renew()
    agent.destroy()
    assert.equal((await ask()).isReused, false)
    agent.destroy()
  })

  test('files that cannot be used are refused by name', async () => {
    await using authority = await TestAuthority.make()
    const { certificateFile } = await authority.server()
    const files = { certificateFile, keyFile: authority.authorityFile }
    await assert.rejects(startApi({ tls: { port: 0, files } }), { code: 'CONFIG_INVALID', message: /authority.pem/ })
  })
})
