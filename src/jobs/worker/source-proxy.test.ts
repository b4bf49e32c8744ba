import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { startHttpServer } from '../../../test/support/http-server.ts'
import { TcpProxy, type CutPlan } from '../../../test/support/tcp-proxy.ts'
import { until } from '../../../test/support/until.ts'
import { TestApi } from './api.fixture.ts'
import { SourceProxy, type SourceMount, type SourceProxyOptions } from './source-proxy.ts'

const patience = { firstMs: 5, maxMs: 20, giveUpMs: 2000 }
const noRefresh = (): Promise<string> => Promise.reject(new Error('no fresh URL is needed'))

function openProxy(options: SourceProxyOptions = {}): Promise<SourceProxy> {
  return SourceProxy.open({ patience, idleMs: 500, ...options })
}

function mountOne(
  proxy: SourceProxy,
  url: string,
  { taskId, refresh = noRefresh, sizeBytes, jobId = 'job' }: MountOne = {},
): SourceMount {
  const input = { name: 'source', url, ...(taskId !== undefined && { taskId }), ...(sizeBytes !== undefined && { sizeBytes }) }
  return proxy.mount({ jobId, inputs: [input], refresh })
}
type MountOne = {
  readonly taskId?: number
  readonly refresh?: () => Promise<string>
  readonly sizeBytes?: number
  readonly jobId?: string
}

async function read(mount: SourceMount, range?: string): Promise<{ status: number; bytes: Buffer; headers: Headers }> {
  const response = await fetch(mount.urlOf('source'), { headers: range === undefined ? {} : { range } })
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()), headers: response.headers }
}

test('a file is read whole and by ranges, as libav asks for them', async () => {
  await using api = await TestApi.start()
  const bytes = api.files.put('film', randomBytes(3_500_000))
  await using proxy = await openProxy()
  using mount = mountOne(proxy, api.url + api.files.urlOf('film'))
  const whole = await read(mount)
  assert.equal(whole.status, 200)
  assert.ok(whole.bytes.equals(bytes))
  const cases = [
    ['bytes=0-', 0, 3_499_999],
    ['bytes=3000000-', 3_000_000, 3_499_999],
    ['bytes=1048570-1048590', 1_048_570, 1_048_590],
    ['bytes=3499999-9999999', 3_499_999, 3_499_999],
  ] as const
  for (const [range, first, last] of cases) {
    const part = await read(mount, range)
    assert.equal(part.status, 206, range)
    assert.equal(part.headers.get('content-range'), `bytes ${first}-${last}/3500000`)
    assert.ok(part.bytes.equals(bytes.subarray(first, last + 1)), range)
  }
  assert.equal((await read(mount, 'bytes=3500000-')).status, 416)
})

test('an empty file is read as such', async () => {
  await using api = await TestApi.start()
  api.files.put('empty', Buffer.alloc(0))
  await using proxy = await openProxy()
  using mount = mountOne(proxy, api.url + api.files.urlOf('empty'))
  const { status, bytes } = await read(mount)
  assert.deepEqual([status, bytes.length], [200, 0])
})

test('a connection that is cut at each 100 kB gives every byte once', async () => {
  await using api = await TestApi.start()
  const bytes = api.files.put('film', randomBytes(2_500_000))
  const plan: CutPlan = () => ({ direction: 'down', afterBytes: 100_000 })
  await using way = await TcpProxy.open(plan)
  way.targetPort = api.port
  await using proxy = await openProxy()
  using mount = mountOne(proxy, `http://127.0.0.1:${way.port}${api.files.urlOf('film')}`)
  const { bytes: received } = await read(mount)
  assert.ok(received.equals(bytes))
  assert.ok(way.cuts >= 24, `${way.cuts} cuts`)
  // What arrived before a cut is not fetched again, but for what the cut itself took.
  assert.deepEqual(mount.failures, [])
})

test('a URL that has expired is replaced in the middle of a file', async () => {
  await using api = await TestApi.start()
  const bytes = api.files.put('film', randomBytes(12_000_000))
  await using proxy = await openProxy()
  let refreshes = 0
  const refresh = async (): Promise<string> => {
    refreshes += 1
    return api.url + api.files.urlOf('film')
  }
  using mount = mountOne(proxy, api.url + api.files.urlOf('film'), { refresh })
  await read(mount, 'bytes=0-100')
  api.files.expireUrls()
  const { bytes: received } = await read(mount)
  assert.ok(received.equals(bytes))
  assert.ok(refreshes >= 1)
})

test('a server that refuses also fresh URLs is an error after a few', async () => {
  await using api = await TestApi.start()
  await using proxy = await openProxy()
  using mount = mountOne(proxy, `${api.url}/objects/forged`, { refresh: async () => `${api.url}/objects/forged` })
  assert.equal((await read(mount)).status, 502)
  assert.equal(mount.failures[0]?.error.code, 'SOURCE_REFUSED')
})

test('answers that pass are waited out', async () => {
  await using api = await TestApi.start()
  const bytes = api.files.put('film')
  api.files.statuses.push(503, 500, 429, 503)
  await using proxy = await openProxy()
  using mount = mountOne(proxy, api.url + api.files.urlOf('film'), { refresh: async () => api.url + api.files.urlOf('film') })
  assert.ok((await read(mount)).bytes.equals(bytes))
})

test('a source that does not answer is given up when patience ends', async () => {
  await using proxy = await openProxy({ patience: { ...patience, giveUpMs: 50 } })
  using mount = mountOne(proxy, 'http://127.0.0.1:9/', { refresh: async () => 'http://127.0.0.1:9/' })
  assert.equal((await read(mount)).status, 502)
  assert.equal(mount.failures[0]?.error.code, 'SOURCE_UNREACHABLE')
})

test('a source that sends nothing is given up and not waited for', async () => {
  await using server = await startHttpServer(() => undefined)
  await using proxy = await openProxy({ patience: { ...patience, giveUpMs: 50 }, idleMs: 50 })
  using mount = mountOne(proxy, server.url)
  assert.equal((await read(mount)).status, 502)
  assert.match(mount.failures[0]?.error.message ?? '', /sends nothing/)
})

test('a file of another size, and one that is replaced while it is read, are damaged', async () => {
  await using api = await TestApi.start()
  api.files.put('film', randomBytes(3_000_000))
  await using proxy = await openProxy()
  using wrong = mountOne(proxy, api.url + api.files.urlOf('film'), { sizeBytes: 5, taskId: 1 })
  assert.equal((await read(wrong)).status, 404)
  assert.equal(wrong.failures[0]?.error.code, 'INPUT_DAMAGED')
  using replaced = mountOne(proxy, api.url + api.files.urlOf('film'), { taskId: 2 })
  await read(replaced, 'bytes=0-10')
  api.files.put('film', randomBytes(3_000_000))
  assert.equal((await read(replaced, 'bytes=2900000-')).status, 404)
  assert.match(replaced.failures[0]?.error.message ?? '', /was replaced while it was read/)
})

test('a server without ranges will do for a small file and not for a large one', async () => {
  let body = Buffer.alloc(1000, 'a')
  await using server = await startHttpServer((_request, response) => response.end(body))
  await using proxy = await openProxy()
  using small = mountOne(proxy, server.url, { taskId: 1 })
  assert.ok((await read(small)).bytes.equals(body))
  body = Buffer.alloc(3_000_000, 'b')
  using large = mountOne(proxy, server.url, { taskId: 2 })
  assert.equal((await read(large)).status, 502)
  assert.match(large.failures[0]?.error.message ?? '', /gives no byte ranges/)
})

test('credentials in an address are sent as such and told to nobody', async () => {
  await using server = await startHttpServer((_request, response) => response.writeHead(404).end())
  await using proxy = await openProxy()
  using mount = mountOne(proxy, server.url.replace('http://', 'http://user:secret@'))
  await read(mount)
  assert.equal(server.requests[0]?.headers.authorization, `Basic ${Buffer.from('user:secret').toString('base64')}`)
  assert.doesNotMatch(mount.failures[0]?.error.message ?? 'secret', /secret/)
})

test('tasks on one source fetch it once', async () => {
  await using api = await TestApi.start()
  const bytes = api.files.put('film', randomBytes(3_000_000))
  await using proxy = await openProxy()
  const mounts = Array.from({ length: 3 }, () => mountOne(proxy, api.url + api.files.urlOf('film')))
  const all = await Promise.all(mounts.map((mount) => read(mount)))
  assert.ok(all.every((one) => one.bytes.equals(bytes)))
  assert.equal(api.files.sentBytes, 3_000_000)
  for (const mount of mounts) mount[Symbol.dispose]()
  // All but the first block, which tells that it is the same file, is still there for the next.
  using later = mountOne(proxy, api.url + api.files.urlOf('film'))
  assert.ok((await read(later)).bytes.equals(bytes))
  assert.equal(api.files.sentBytes, 3_000_000 + (1 << 20))
})

test('what is read ahead of a server without ETags is not fetched twice', async () => {
  const bytes = randomBytes(5_000_000)
  let sentBytes = 0
  await using server = await startHttpServer((request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const body = bytes.subarray(Number(first), Number(last) + 1)
    sentBytes += body.length
    response.writeHead(206, { 'content-range': `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}` }).end(body)
  })
  await using proxy = await openProxy()
  using mount = mountOne(proxy, server.url)
  assert.ok((await read(mount)).bytes.equals(bytes))
  assert.equal(sentBytes, bytes.length)
})

test('a source of another job is another file', async () => {
  await using api = await TestApi.start()
  api.files.put('one', Buffer.alloc(10, '1'))
  api.files.put('two', Buffer.alloc(10, '2'))
  await using proxy = await openProxy()
  using one = mountOne(proxy, api.url + api.files.urlOf('one'), { jobId: 'one' })
  using two = mountOne(proxy, api.url + api.files.urlOf('two'), { jobId: 'two' })
  assert.equal((await read(one)).bytes.toString(), '1111111111')
  assert.equal((await read(two)).bytes.toString(), '2222222222')
})

test('a reader that leaves early does not make the rest be fetched', async () => {
  await using api = await TestApi.start()
  api.files.put('film', Buffer.alloc(60_000_000, 7))
  await using proxy = await openProxy()
  using mount = mountOne(proxy, api.url + api.files.urlOf('film'))
  const abort = new AbortController()
  const response = await fetch(mount.urlOf('source'), { signal: abort.signal })
  await response.body?.getReader().read()
  abort.abort()
  await until(() => mount.servedBytes > 0)
  mount[Symbol.dispose]()
  assert.ok(api.files.sentBytes < 40_000_000, `${api.files.sentBytes} bytes were fetched`)
})

test('what is taken away is not there any more, and strangers get nothing', async () => {
  await using api = await TestApi.start()
  api.files.put('film')
  await using proxy = await openProxy()
  using mount = mountOne(proxy, api.url + api.files.urlOf('film'))
  const url = mount.urlOf('source')
  assert.equal((await fetch(new URL('/guess/source', url))).status, 404)
  mount[Symbol.dispose]()
  assert.equal((await fetch(url)).status, 404)
  assert.throws(() => mount.urlOf('other'), { code: 'MALFORMED' })
})
