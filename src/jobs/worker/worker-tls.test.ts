import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import { test } from 'node:test'
import { pino } from 'pino'
import { systemTimers } from '#lib/timers.ts'
import { TestAuthority } from '../../../test/support/certificates.ts'
import { RemoteFile } from './remote-file.ts'
import { uploadFiles } from './upload.ts'
import { WorkerClient } from './worker-client.ts'
import { WorkerTls } from './worker-tls.ts'

const deps = { timers: systemTimers, log: pino({ level: 'silent' }) }
const patience = { firstMs: 1, maxMs: 1, giveUpMs: 0 }

/** An HTTPS server that asks for certificates and keeps what was put to each path. */
async function startServer(authority: TestAuthority) {
  const { certificate: cert, key } = await authority.server()
  const options = { cert, key, ca: authority.certificate, requestCert: true, rejectUnauthorized: false }
  const files = new Map<string, Buffer>()
  const clients: (string | undefined)[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = '', socket } = request
    if (socket instanceof TLSSocket) clients.push(socket.getPeerX509Certificate()?.subject)
    const content = files.get(url) ?? Buffer.alloc(0)
    if (method === 'GET') {
      const headers = { 'content-range': `bytes 0-${content.length - 1}/${content.length}`, etag: '"1"' }
      response.writeHead(206, headers).end(content)
    } else {
      files.set(url, await buffer(request))
      response.writeHead(200, { etag: '"1"' }).end('null')
    }
  }
  const server = createServer(options, (request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  return {
    url: `https://127.0.0.1:${address.port}`,
    clients,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const worker = { nodeId: 'worker-1', epoch: 1 }
const lease = { taskId: 1, fence: 1 }

test('the API is shown the certificate; whoever has files is trusted by the authority and shown none', async () => {
  await using authority = await TestAuthority.make()
  await using server = await startServer(authority)
  const { certificateFile, keyFile } = await authority.client('worker-1')
  using tls = await WorkerTls.open({ authorityFile: authority.authorityFile, certificateFile, keyFile }, deps)
  const signal = AbortSignal.timeout(10_000)

  await new WorkerClient({ urls: [server.url], tls, log: deps.log }).release(worker, [lease], { signal })
  const path = join(authority.directory, 'chunk.mp4')
  await writeFile(path, 'a few bytes')
  const upload = { name: 'chunk.mp4', uploadId: 'u', partBytes: 100, partUrls: [`${server.url}/chunk.mp4`] }
  const files = [{ name: 'chunk.mp4', path, contentType: 'video/mp4' }]
  const [sent] = await uploadFiles({ files, announce: async () => [upload], tls, signal, patience })
  assert.deepEqual(sent?.etags, ['"1"'])
  const remote = { name: 'chunk', url: `${server.url}/chunk.mp4`, sizeBytes: 11, patience, idleMs: 1000 }
  const file = new RemoteFile({ ...remote, refresh: async () => remote.url, tls })
  assert.equal((await file.load(0, 11, signal)).toString(), 'a few bytes')
  assert.deepEqual(server.clients, ['CN=worker-1', undefined, undefined])
  await assert.rejects(new RemoteFile({ ...remote, refresh: async () => remote.url }).load(0, 11, signal), {
    code: 'SOURCE_UNREACHABLE',
  })
})

test('a server that is not trusted is told with what to do', async () => {
  await using authority = await TestAuthority.make()
  await using stranger = await TestAuthority.make()
  await using server = await startServer(stranger)
  const client = (tls?: WorkerTls) => new WorkerClient({ urls: [server.url], tls, log: deps.log })
  const untrusted = { code: 'API_UNREACHABLE', message: /is not trusted: .* set worker\.authority to the certificate of the one/ }
  await assert.rejects(client().release(worker, []), untrusted)
  using tls = await WorkerTls.open({ authorityFile: authority.authorityFile }, deps)
  await assert.rejects(client(tls).release(worker, []), untrusted)
  using trusting = await WorkerTls.open({ authorityFile: stranger.authorityFile }, deps)
  await client(trusting).release(worker, [])
})

test('files that cannot be used are refused', async () => {
  await using authority = await TestAuthority.make()
  const { certificateFile, keyFile } = await authority.client('worker-1')
  await rm(keyFile)
  await assert.rejects(WorkerTls.open({ certificateFile, keyFile }, deps), { code: 'CONFIG_INVALID', message: /worker\.key/ })
  await writeFile(keyFile, await readFile(certificateFile))
  await assert.rejects(WorkerTls.open({ certificateFile, keyFile }, deps), { code: 'CONFIG_INVALID' })
})
