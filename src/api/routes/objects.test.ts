import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { request as sendRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { ObjectPlaces } from '#jobs/worker/object-places.ts'
import { ManualClock } from '#lib/clock.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { partUpload } from '#store/objects/part-upload.ts'
import { ObjectTransfers, type TransferUrls } from '#store/objects/transfers.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { App } from '../app.ts'
import { errorHandler } from '../error-answers.ts'
import { validatorCompiler } from '../validation.ts'
import { objectRoutes } from './objects.ts'

type Server = {
  readonly directory: string
  readonly store: DirectoryStore
  readonly urls: TransferUrls
  readonly clock: ManualClock
}

async function startServer(stack: AsyncDisposableStack): Promise<Server> {
  const directory = stack.use(await temporaryDirectory())
  const clock = new ManualClock(Date.now())
  const store = stack.use(await DirectoryStore.open({ directory: directory.path, clock }))
  const transfers = new ObjectTransfers({ objects: store, secret: randomBytes(32), clock, ttlSeconds: 60 })
  const app: App = Fastify({ forceCloseConnections: true, bodyLimit: 1000 })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(errorHandler(pino({ level: 'silent' })))
  void app.register(async (v1: App) => objectRoutes(v1, { objects: store, transfers }), { prefix: '/api/v1' })
  stack.defer(() => app.close())
  return { directory: directory.path, store, clock, urls: transfers.urls(await app.listen({ host: '127.0.0.1', port: 0 })) }
}

async function codeOf(response: Response): Promise<string> {
  const { code }: { code?: unknown } = JSON.parse(await response.text())
  return String(code)
}

test('an object comes whole, in ranges, resumed, and not at all when it is known', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  const bytes = randomBytes(300_000)
  await store.put('a/b', bytes)
  const url = await urls.get('a/b')
  const whole = await fetch(url)
  const etag = whole.headers.get('etag') ?? ''
  assert.equal(whole.status, 200)
  assert.equal(whole.headers.get('accept-ranges'), 'bytes')
  assert(bytes.equals(await whole.bytes()))
  const head = await fetch(url, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), '300000')
  const resumed = await fetch(url, { headers: { range: 'bytes=200000-', 'if-range': etag } })
  assert.equal(resumed.status, 206)
  assert.equal(resumed.headers.get('content-range'), 'bytes 200000-299999/300000')
  assert(bytes.subarray(200_000).equals(await resumed.bytes()))
  const last = await fetch(url, { headers: { range: 'bytes=-7' } })
  assert(bytes.subarray(-7).equals(await last.bytes()))
  const changed = await fetch(url, { headers: { range: 'bytes=200000-', 'if-range': '"other"' } })
  assert.equal(changed.status, 200)
  await changed.bytes()
  assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304)
  const behind = await fetch(url, { headers: { range: 'bytes=300000-' } })
  assert.equal(behind.status, 416)
  assert.equal(behind.headers.get('content-range'), 'bytes */300000')
  await behind.body?.cancel()
})

test('an empty object has no bytes, and one that is gone is not found', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  await store.put('empty', Buffer.alloc(0))
  const empty = await fetch(await urls.get('empty'))
  assert.equal(empty.status, 200)
  assert.equal((await empty.bytes()).length, 0)
  assert.equal(await codeOf(await fetch(await urls.get('gone'))), 'OBJECT_NOT_FOUND')
})

test('parts that are put become an object; one put twice is answered alike', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  const bytes = randomBytes(8 * 2 ** 20 + 5)
  const upload = await store.beginParts('a', { sizeBytes: bytes.length })
  const etags: string[] = []
  for (const part of [1, 0, 0]) {
    const body = Buffer.from(bytes.subarray(part * upload.partBytes, (part + 1) * upload.partBytes))
    const response = await fetch(await urls.put(upload, part), { method: 'PUT', body })
    assert.equal(response.status, 200)
    const etag = response.headers.get('etag') ?? ''
    assert.equal(etags[part] ?? etag, etag)
    etags[part] = etag
  }
  await store.completeParts(upload, etags)
  assert(bytes.equals(await (await fetch(await urls.get('a'))).bytes()))
})

test('an empty file has an empty part', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  const upload = await store.beginParts('a', { sizeBytes: 0 })
  const response = await fetch(await urls.put(upload, 0), { method: 'PUT' })
  await store.completeParts(upload, [response.headers.get('etag') ?? ''])
  assert.equal((await store.head('a')).sizeBytes, 0)
})

test('a body of another length is refused, and the refusal arrives', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  const upload = await store.beginParts('a', { sizeBytes: 100_000 })
  const url = await urls.put(upload, 0)
  const put = (body: Buffer<ArrayBuffer>) => fetch(url, { method: 'PUT', body })
  assert.equal(await codeOf(await put(Buffer.alloc(99_999))), 'TRUNCATED')
  assert.equal(await codeOf(await put(Buffer.alloc(100_001))), 'LIMIT_EXCEEDED')
  for (const [sizeBytes, code] of [
    [99_999, 'TRUNCATED'],
    [150_000, 'LIMIT_EXCEEDED'],
  ] as const) {
    const body = new Blob([Buffer.alloc(sizeBytes)]).stream()
    assert.equal(await codeOf(await fetch(url, { method: 'PUT', body, duplex: 'half' })), code)
  }
  assert.equal((await put(Buffer.alloc(100_000))).status, 200)
})

test('a part whose connection breaks does not count, and can be put again', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls, directory } = await startServer(stack)
  const upload = await store.beginParts('a', { sizeBytes: 100_000 })
  const url = await urls.put(upload, 0)
  const first = await fetch(url, { method: 'PUT', body: Buffer.alloc(100_000, 1) })
  const etag = first.headers.get('etag') ?? ''
  const broken = sendRequest(url, { method: 'PUT', headers: { 'content-length': 100_000 } })
  broken.on('error', () => undefined)
  broken.write(Buffer.alloc(50_000, 2))
  await until(async () => !(await readdir(join(directory, '.unfinished', upload.uploadId))).includes('0'))
  await assert.rejects(store.completeParts(upload, [etag]), { code: 'TRUNCATED' })
  broken.destroy()
  const again = await fetch(url, { method: 'PUT', body: Buffer.alloc(100_000, 1) })
  assert.equal(again.headers.get('etag'), etag)
  await store.completeParts(upload, [etag])
})

test('tokens hold for their method and time, and forged ones for nothing', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls, clock } = await startServer(stack)
  await store.put('a', Buffer.from('hello'))
  const upload = await store.beginParts('b', { sizeBytes: 5 })
  const [get, put] = [await urls.get('a'), await urls.put(upload, 0)]
  const body = 'hello'
  assert.equal(await codeOf(await fetch(put)), 'FORBIDDEN')
  assert.equal(await codeOf(await fetch(get, { method: 'PUT', body })), 'FORBIDDEN')
  assert.equal(await codeOf(await fetch(get.replace('token=', 'token=x'))), 'FORBIDDEN')
  assert.equal(await codeOf(await fetch(put.slice(0, -3), { method: 'PUT', body })), 'FORBIDDEN')
  assert.equal(await codeOf(await fetch(get.split('?')[0] ?? '')), 'REQUEST_INVALID')
  clock.advance(61_000)
  assert.equal(await codeOf(await fetch(get)), 'FORBIDDEN')
  assert.equal(await codeOf(await fetch(put, { method: 'PUT', body })), 'FORBIDDEN')
})

test('parts of an upload that is over, or was begun with another size, are refused', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  const upload = await store.beginParts('a', { sizeBytes: 5 })
  await store.abortParts(upload)
  assert.equal(await codeOf(await fetch(await urls.put(upload, 0), { method: 'PUT', body: 'hello' })), 'OBJECT_NOT_FOUND')
  const other = partUpload({ ...(await store.beginParts('a', { sizeBytes: 5 })), sizeBytes: 6 })
  assert.equal(await codeOf(await fetch(await urls.put(other, 0), { method: 'PUT', body: 'hello!' })), 'REQUEST_INVALID')
  await assert.rejects(store.completeParts(other, ['"x"']), { code: 'REQUEST_INVALID' })
})

test('a reader that goes away ends the reading', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, urls } = await startServer(stack)
  await store.put('a', Buffer.alloc(20_000_000))
  const { hostname, port, pathname, search } = new URL(await urls.get('a'))
  const socket = connect(Number(port), hostname)
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await once(socket, 'data')
  socket.destroy()
  await once(socket, 'close')
})

test('who sees the directory of the server reads objects where they lie and moves files in', async () => {
  await using stack = new AsyncDisposableStack()
  const { directory, store, urls, clock } = await startServer(stack)
  const places = new ObjectPlaces({ log: pino({ level: 'silent' }) })
  const { signal } = new AbortController()
  const bytes = randomBytes(300_000)
  await store.put('a/b', bytes)
  const url = await urls.get('a/b')
  const elsewhere = { name: 'elsewhere', url: 'http://127.0.0.1:9/film.mp4' }
  const paths = await places.findInputs([{ name: 'film', url, sizeBytes: bytes.length }, elsewhere], signal)
  assert.deepEqual([...paths], [['film', join(directory, 'a/b')]])

  await using made = await temporaryDirectory()
  const path = join(made.path, 'made.mp4')
  await writeFile(path, bytes)
  const upload = await store.beginParts('c/d', { sizeBytes: bytes.length })
  const etags = await places.adopt(await urls.put(upload, 0), path, signal)
  assert(etags)
  await store.completeParts(upload, etags)
  assert(bytes.equals(await readFile(join(directory, 'c/d'))))

  // The URL is what permits it.
  assert.equal(await places.adopt(url, path, signal), undefined)
  clock.advance(61_000)
  assert.equal((await places.findInputs([{ name: 'film', url }], signal)).size, 0)
})

test('a worker that sees another directory of that name, or none, moves bytes over URLs', async () => {
  await using stack = new AsyncDisposableStack()
  const { directory, store, urls } = await startServer(stack)
  const { signal } = new AbortController()
  await store.put('a/b', randomBytes(10))
  const inputs = [{ name: 'film', url: await urls.get('a/b') }]
  const find = async (): Promise<number> =>
    (await new ObjectPlaces({ log: pino({ level: 'silent' }) }).findInputs(inputs, signal)).size
  assert.equal(await find(), 1)
  const { proof } = await store.place()
  Object.assign(store, { place: async () => ({ directory, proof: proof.split('').toReversed().join('') }) })
  assert.equal(await find(), 0)
  Object.assign(store, { place: undefined })
  assert.equal(await find(), 0)
})
