import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import Fastify from 'fastify'
import type { App } from './app.ts'
import { registerBodyTimeout } from './body-timeout.ts'

test('a body that does not come in time is refused, but not where the client sets the pace', async () => {
  const app: App = Fastify()
  registerBodyTimeout(app, { timeoutMs: 100 })
  app.post('/plain', async () => 'done')
  const arrived = Promise.withResolvers<void>()
  app.addContentTypeParser('text/slow', (_request, payload, done) => done(null, payload))
  app.post('/paced', { config: { isStreaming: true } }, async ({ raw }) => {
    arrived.resolve()
    return await text(raw)
  })
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  try {
    const head = (path: string, type: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: 6\r\n\r\n`
    const paced = connect(Number(port), '127.0.0.1')
    paced.write(`${head('/paced', 'text/slow')}abc`)
    await arrived.promise
    const plain = connect(Number(port), '127.0.0.1')
    plain.write(`${head('/plain', 'application/json')}{"a`)
    const refusal = await text(plain)
    assert.match(refusal, /^HTTP\/1\.1 504 .*"code":"TIMEOUT"/s)
    paced.write('def')
    assert.match(await text(paced), /^HTTP\/1\.1 200 .*abcdef$/s)
  } finally {
    await app.close()
  }
})
