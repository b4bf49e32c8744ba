import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerJson, startHttpServer } from '../../../test/support/http-server.ts'
import { silentLog } from './worker.fixture.ts'
import { WorkerClient } from './worker-client.ts'

const register = { id: 'a', name: 'A', version: '0', slots: 1, liveReserve: 0, capabilities: [] }
const registered = { epoch: 3, leaseMs: 1000, heartbeatMs: 100 }
const worker = { nodeId: 'a', epoch: 3 }
const lease = { taskId: 7, fence: 1 }
const away = 'http://127.0.0.1:9'

function clientOf(urls: readonly string[], credential?: string): WorkerClient {
  return new WorkerClient({ urls, credential, log: silentLog, retryMaxMs: 20 })
}

test('user and password come from the address, or else from the credential', async () => {
  await using server = await startHttpServer((_request, response) => answerJson(response, 200, registered))
  await clientOf([server.url.replace('//', '//me:p%40ss@')], 'other:one').register(register)
  await clientOf([server.url], 'other:one').register(register)
  await clientOf([server.url]).register(register)
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.authorization),
    [`Basic ${btoa('me:p@ss')}`, `Basic ${btoa('other:one')}`, undefined],
  )
})

test('what is no address, and none at all, is refused', () => {
  for (const urls of [[], ['store'], ['rtsp://host/']]) assert.throws(() => clientOf(urls), { code: 'USAGE' })
})

test('a request is repeated until somebody answers', async () => {
  let left = 4
  await using server = await startHttpServer((request, response) => {
    left -= 1
    if (left === 3) request.socket.destroy()
    else if (left === 2) response.writeHead(502).end('<html>Bad gateway</html>')
    else if (left === 1) answerJson(response, 503, { code: 'DATABASE_UNAVAILABLE', message: 'it is away' })
    else answerJson(response, 200, registered)
  })
  assert.deepEqual(await clientOf([server.url]).register(register), registered)
  assert.equal(server.requests.length, 4)
})

test('a refusal is the error of the server and is not repeated', async () => {
  await using server = await startHttpServer((_request, response) =>
    answerJson(response, 409, { code: 'TASK_FENCED', message: 'somebody else has it' }),
  )
  const { signal } = new AbortController()
  await assert.rejects(clientOf([server.url]).findSource(worker, lease, { name: 'source', signal }), {
    code: 'TASK_FENCED',
    message: 'somebody else has it',
  })
  assert.equal(server.requests.length, 1)
})

test('of several nodes, the one that answered is asked again first', async () => {
  await using server = await startHttpServer((_request, response) => answerJson(response, 200, registered))
  const client = clientOf([away, server.url])
  await client.register(register)
  await client.register(register)
  assert.equal(client.failureCount, 1)
})

test('a heartbeat and a claim are not repeated: their loops do that', async () => {
  const client = clientOf([away])
  const load = { cpuPercent: 0, memoryBytes: 0, freeDiskBytes: 0 }
  await assert.rejects(client.heartbeat('a', { epoch: 3, load, held: [] }), { code: 'API_UNREACHABLE' })
  await assert.rejects(client.claim(worker, { max: 1, waitMs: 0 }), { code: 'API_UNREACHABLE' })
  assert.equal(client.failureCount, 2)
})

test('URLs that leave out the server are of the one that gave them', async () => {
  const uploads = [{ name: 'a', uploadId: '1', partBytes: 10, partUrls: ['/put/1', 'https://bucket.example/put'] }]
  await using server = await startHttpServer((request, response) =>
    answerJson(response, 200, request.url?.endsWith('/source') ? { url: '/get/1' } : { uploads }),
  )
  const client = clientOf([away, server.url])
  const [upload] = await client.announceFiles(worker, lease, { files: [] })
  assert.deepEqual(upload?.partUrls, [`${server.url}/put/1`, 'https://bucket.example/put'])
  assert.equal(await client.findSource(worker, lease, { name: 'source' }), `${server.url}/get/1`)
})

test('a fired signal ends the repeating with its reason', async () => {
  const abort = new AbortController()
  const asking = clientOf([away]).complete(worker, lease, { output: { kind: 'live' }, uploads: [], signal: abort.signal })
  const reason = new Error('stopped')
  abort.abort(reason)
  await assert.rejects(asking, reason)
})

test('an answer that this version does not know is told as such', async () => {
  await using server = await startHttpServer((_request, response) => answerJson(response, 200, { epoch: 'three' }))
  await assert.rejects(clientOf([server.url]).register(register), { code: 'UNSUPPORTED' })
})
