import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import type { ByteRange, ObjectStore } from '#store/objects/object-store.ts'
import { partRange, partUpload, type PartUpload } from '#store/objects/part-upload.ts'

/** What the suite needs of an implementation. */
export interface ObjectServer extends AsyncDisposable {
  /** An empty store. */
  createStore(): Promise<ObjectStore>
  /** Makes the store fail until the result is disposed of. */
  takeAway(): Promise<AsyncDisposable>
  /** Absent where two conditional puts at once may both succeed. */
  readonly hasConditionalPuts: boolean
}

/** What holds for every object store under Millrace. */
export function objectsSuite(name: string, start: () => Promise<ObjectServer>): void {
  describe(name, () => {
    let server: ObjectServer
    before(async () => {
      server = await start()
    })
    after(() => server[Symbol.asyncDispose]())

    test('what was put comes back, from bytes, from a stream and from chunks', async () => {
      await using store = await server.createStore()
      await store.put('a/bytes', Buffer.from('hello'), { contentType: 'text/plain' })
      await store.put('a/stream', { stream: Readable.from([Buffer.from('hel'), Buffer.from('lo')]), sizeBytes: 5 })
      await store.put('a/chunks', { chunks: [Buffer.from('hel'), Buffer.alloc(0), Buffer.from('lo')], sizeBytes: 5 })
      await store.put('a/empty', Buffer.alloc(0))
      await store.put('a/empty-stream', { stream: Readable.from([]), sizeBytes: 0 })
      assert.equal(await text(store, 'a/bytes'), 'hello')
      assert.equal(await text(store, 'a/stream'), 'hello')
      assert.equal(await text(store, 'a/chunks'), 'hello')
      assert.equal(await text(store, 'a/empty'), '')
      assert.equal(await text(store, 'a/empty-stream'), '')
    })

    test('head and get tell size, etag and time', async () => {
      await using store = await server.createStore()
      await store.put('a', Buffer.from('hello'))
      const head = await store.head('a')
      const { stream, ...info } = await store.get('a', { range: { offsetBytes: 1, lengthBytes: 2 } })
      stream.destroy()
      assert.deepEqual(info, head)
      assert.equal(head.key, 'a')
      assert.equal(head.sizeBytes, 5)
      assert.match(head.etag, /^".+"$/)
      assert(Math.abs(head.modifiedAt.getTime() - Date.now()) < 60_000)
    })

    test('a second put replaces the first, and the etag with it', async () => {
      await using store = await server.createStore()
      await store.put('a', Buffer.from('first'))
      const { etag } = await store.head('a')
      await store.put('a', Buffer.from('second, longer'))
      assert.equal(await text(store, 'a'), 'second, longer')
      assert.notEqual((await store.head('a')).etag, etag)
    })

    test('a reader keeps the object that it opened while that is replaced', async () => {
      await using store = await server.createStore()
      const [first, second] = [randomBytes(300_000), randomBytes(300_000)]
      await store.put('a', first)
      const { stream } = await store.get('a')
      await store.put('a', second)
      assert((await buffer(stream)).equals(first))
    })

    const ranges: [ByteRange, string][] = [
      [{ offsetBytes: 0 }, '0123456789'],
      [{ offsetBytes: 0, lengthBytes: 1 }, '0'],
      [{ offsetBytes: 3, lengthBytes: 4 }, '3456'],
      [{ offsetBytes: 9 }, '9'],
      [{ offsetBytes: 8, lengthBytes: 100 }, '89'],
    ]
    test('ranges give their bytes only', async () => {
      await using store = await server.createStore()
      await store.put('digits', Buffer.from('0123456789'))
      for (const [range, expected] of ranges) assert.equal(await text(store, 'digits', range), expected)
    })

    test('a range behind the end, in an empty object, or of nothing is refused', async () => {
      await using store = await server.createStore()
      await store.put('digits', Buffer.from('0123456789'))
      await store.put('empty', Buffer.alloc(0))
      const refused = hasCode('RANGE_NOT_SATISFIABLE')
      await assert.rejects(text(store, 'digits', { offsetBytes: 10 }), refused)
      await assert.rejects(text(store, 'empty', { offsetBytes: 0 }), refused)
      await assert.rejects(text(store, 'digits', { offsetBytes: 1, lengthBytes: 0 }), refused)
      await assert.rejects(text(store, 'digits', { offsetBytes: -1 }), refused)
    })

    test('what is missing is a coded error, and deleting it is none', async () => {
      await using store = await server.createStore()
      await store.put('folder/object', Buffer.from('x'))
      for (const key of ['nothing', 'folder', 'folder/object/below', 'no/folder/either']) {
        await assert.rejects(store.get(key), hasCode('OBJECT_NOT_FOUND'))
        await assert.rejects(store.head(key), hasCode('OBJECT_NOT_FOUND'))
        await store.delete(key)
      }
      assert.deepEqual(await keys(store), ['folder/object'])
    })

    test('deleted objects are gone, one by one and many at once', async () => {
      await using store = await server.createStore()
      const all = Array.from({ length: 12 }, (_, i) => `a/b${i % 3}/c${i}`).toSorted()
      await putAll(store, all)
      await store.delete('a/b0/c0')
      await store.delete('a/b0/c0')
      assert.deepEqual(await keys(store), all.slice(1))
      await store.deleteMany([...all.slice(0, 8), 'never/there'])
      assert.deepEqual(await keys(store), all.slice(8))
      await store.deleteMany(all)
      assert.deepEqual(await keys(store), [])
    })

    test('a conditional put does not overwrite', async () => {
      await using store = await server.createStore()
      await store.put('a/b', Buffer.from('first'), { ifNoneMatch: '*' })
      await assert.rejects(store.put('a/b', Buffer.from('second'), { ifNoneMatch: '*' }), hasCode('OBJECT_EXISTS'))
      assert.equal(await text(store, 'a/b'), 'first')
      const large = Buffer.alloc(9 * 2 ** 20)
      await assert.rejects(store.put('a/b', large, { ifNoneMatch: '*' }), hasCode('OBJECT_EXISTS'))
      await store.delete('a/b')
      await store.put('a/b', Buffer.from('third'), { ifNoneMatch: '*' })
      assert.equal(await text(store, 'a/b'), 'third')
    })

    test('of conditional puts at once one succeeds', async (t) => {
      await using store = await server.createStore()
      if (!server.hasConditionalPuts) return t.skip('the service has no conditional puts')
      const bodies = Array.from({ length: 8 }, (_, i) => `body ${i}`)
      const puts = await Promise.allSettled(bodies.map((body) => store.put('a', Buffer.from(body), { ifNoneMatch: '*' })))
      const winners = bodies.filter((_, i) => puts[i]?.status === 'fulfilled')
      assert.deepEqual(winners, [await text(store, 'a')])
      for (const put of puts) if (put.status === 'rejected') assert(hasCode('OBJECT_EXISTS')(put.reason))
    })

    test('a list is in order of the bytes of keys, and pages join without gap or repeat', async () => {
      await using store = await server.createStore()
      const ordered = ['-', 'A', 'a', 'b-c', 'b.c', 'b/a', 'b/a.', 'b/b/c', 'b/c', 'b0', 'c/d', 'ä', '\uFF5E', '😀']
      await putAll(store, ordered.toReversed())
      assert.deepEqual(await keys(store), ordered)
      for (const limit of [1, 5, 13, 14]) assert.deepEqual(await keys(store, { limit }), ordered)
      for (const prefix of ['b', 'b/', 'b/b/', 'b/b/c', 'c/', 'nothing']) {
        const expected = ordered.filter((key) => key.startsWith(prefix))
        assert.deepEqual(await keys(store, { prefix }), expected)
        assert.deepEqual(await keys(store, { prefix, limit: 1 }), expected)
      }
      for (const [index, after] of ordered.entries()) {
        const { objects } = await store.list({ after })
        assert.deepEqual(
          objects.map(({ key }) => key),
          ordered.slice(index + 1),
        )
      }
    })

    test('a list has what head has', async () => {
      await using store = await server.createStore()
      await store.put('a', Buffer.from('hello'))
      const [listed] = (await store.list()).objects
      const head = await store.head('a')
      assert.equal(listed?.sizeBytes, 5)
      assert.equal(listed.etag, head.etag)
      // HTTP headers have whole seconds, listings have more.
      assert(Math.abs(listed.modifiedAt.getTime() - head.modifiedAt.getTime()) <= 1000)
    })

    test('odd keys name objects like any other', async () => {
      await using store = await server.createStore()
      const odd = [
        'a b',
        'a+b',
        'a%20b',
        'a%2Fb',
        'a&b=c?d#e',
        '"quoted"',
        "it's",
        '<tag>',
        'back\\slash',
        'tilde~*()!',
        'a:b',
        'é/漢/😀',
      ]
      odd.push('x'.repeat(255), `${'y'.repeat(200)}/`.repeat(4) + 'z')
      await putAll(store, odd)
      for (const key of odd) assert.equal(await text(store, key), key)
      assert.deepEqual(new Set(await keys(store)), new Set(odd))
      await store.deleteMany(odd)
      assert.deepEqual(await keys(store), [])
    })

    test('keys that could leave the store are refused by every call', async () => {
      await using store = await server.createStore()
      const bad = [
        '',
        '/a',
        'a/',
        'a//b',
        '..',
        '../a',
        'a/../b',
        'a/./b',
        '.hidden',
        'a/.b',
        'nul\0',
        'line\n',
        '\uD800',
        'x'.repeat(256),
      ]
      bad.push('a/'.repeat(600) + 'b')
      for (const key of bad) {
        const refused = hasCode('OBJECT_KEY_INVALID')
        await assert.rejects(store.put(key, Buffer.from('x')), refused)
        await assert.rejects(store.get(key), refused)
        await assert.rejects(store.head(key), refused)
        await assert.rejects(store.delete(key), refused)
        await assert.rejects(store.deleteMany(['fine', key]), refused)
      }
      assert.deepEqual(await keys(store), [])
    })

    test('a large body goes in from bytes, from a stream and from chunks, and ranges cross its parts', async () => {
      await using store = await server.createStore()
      const large = randomBytes(16 * 2 ** 20 + 17)
      const chunks = Array.from({ length: 240 }, (_, i) => large.subarray(i * 70_001, (i + 1) * 70_001))
      await store.put('bytes', large)
      await store.put('stream', { stream: Readable.from(chunks), sizeBytes: large.length })
      await store.put('chunks', { chunks, sizeBytes: large.length })
      for (const key of ['bytes', 'stream', 'chunks']) {
        assert.equal((await store.head(key)).sizeBytes, large.length)
        assert((await buffer((await store.get(key)).stream)).equals(large))
        const range = { offsetBytes: 8 * 2 ** 20 - 5, lengthBytes: 10 }
        const { stream } = await store.get(key, { range })
        assert((await buffer(stream)).equals(large.subarray(range.offsetBytes, range.offsetBytes + 10)))
      }
    })

    test('a body shorter or longer than announced, or broken, leaves no object', async () => {
      await using store = await server.createStore()
      const body = (bytes: number, sizeBytes: number) => ({ stream: Readable.from([Buffer.alloc(bytes)]), sizeBytes })
      await assert.rejects(store.put('short', body(9, 10)), hasCode('TRUNCATED'))
      await assert.rejects(store.put('long', body(11, 10)), hasCode('LIMIT_EXCEEDED'))
      await assert.rejects(store.put('short-large', body(9_000_000, 20_000_000)), hasCode('TRUNCATED'))
      for (const sizeBytes of [10, 20_000_000]) {
        const inMemory = (bytes: number) => ({ chunks: [Buffer.alloc(bytes - 1), Buffer.alloc(1)], sizeBytes })
        await assert.rejects(store.put('short-chunks', inMemory(sizeBytes - 1)), hasCode('TRUNCATED'))
        await assert.rejects(store.put('long-chunks', inMemory(sizeBytes + 1)), hasCode('LIMIT_EXCEEDED'))
      }
      const broken = Readable.from(failing())
      await assert.rejects(store.put('broken', { stream: broken, sizeBytes: 20_000_000 }), /source broke/)
      assert(broken.destroyed)
      assert.deepEqual(await keys(store), [])
    })

    test('a fired signal ends a put whose body stalls, and leaves no object', async () => {
      await using store = await server.createStore()
      for (const sizeBytes of [100, 20_000_000]) {
        const controller = new AbortController()
        const stream = new Readable({ read: () => setImmediate(() => controller.abort(new Error('enough'))) })
        stream.push(Buffer.alloc(50))
        await assert.rejects(store.put('a', { stream, sizeBytes }, { signal: controller.signal }), /enough/)
        assert(stream.destroyed)
        const aborted = new AbortController()
        const chunks = (function* () {
          yield Buffer.alloc(50)
          aborted.abort(new Error('enough'))
          yield Buffer.alloc(sizeBytes - 50)
        })()
        await assert.rejects(store.put('a', { chunks, sizeBytes }, { signal: aborted.signal }), /enough/)
      }
      assert.deepEqual(await keys(store), [])
    })

    test('a fired signal ends reads and is heeded before they begin', async () => {
      await using store = await server.createStore()
      await store.put('a', randomBytes(5_000_000))
      const controller = new AbortController()
      const { stream } = await store.get('a', { signal: controller.signal })
      controller.abort(new Error('enough'))
      await assert.rejects(buffer(stream), { name: 'AbortError' })
      const { signal } = controller
      await assert.rejects(store.get('a', { signal }), /enough/)
      await assert.rejects(store.head('a', { signal }), /enough/)
      await assert.rejects(store.list({ signal }), /enough/)
      await assert.rejects(store.put('b', Buffer.from('x'), { signal }), /enough/)
      assert.deepEqual(await keys(store), ['a'])
    })

    test('parts in any order, put at once and put again, become one object', async () => {
      await using store = await server.createStore()
      const bytes = randomBytes(2 * 8 * 2 ** 20 + 17)
      const upload = await store.beginParts('a/b', { sizeBytes: bytes.length, contentType: 'video/mp4' })
      assert.equal(upload.partCount, 3)
      const etags = await Promise.all([0, 1, 2].map((part) => store.putPart(upload, part, partOf(bytes, upload, part))))
      const body = partOf(bytes, upload, 1)
      const again = { stream: Readable.from([body.subarray(0, 1000), body.subarray(1000)]), sizeBytes: body.length }
      etags[1] = await store.putPart(upload, 1, again)
      assert.deepEqual(await keys(store), [])
      await store.completeParts(upload, etags)
      assert((await buffer((await store.get('a/b')).stream)).equals(bytes))
      assert.deepEqual(await keys(store), ['a/b'])
      // Whoever did not hear the answer asks again; others may do so from what they kept.
      await store.completeParts(partUpload({ key: 'a/b', uploadId: upload.uploadId, sizeBytes: bytes.length }), etags)
      await store.abortParts(upload)
      assert.deepEqual(await keys(store), ['a/b'])
    })

    test('small and empty objects go in parts too, and replace what is there', async () => {
      await using store = await server.createStore()
      await store.put('a', Buffer.from('before'))
      for (const content of ['small', '']) {
        const upload = await store.beginParts('a', { sizeBytes: content.length })
        await store.completeParts(upload, [await store.putPart(upload, 0, Buffer.from(content))])
        assert.equal(await text(store, 'a'), content)
      }
    })

    test('an upload with a part that is missing, or is another, is not completed, and can be mended', async () => {
      await using store = await server.createStore()
      const bytes = randomBytes(8 * 2 ** 20 + 5)
      const upload = await store.beginParts('a', { sizeBytes: bytes.length })
      const last = await store.putPart(upload, 1, partOf(bytes, upload, 1))
      await assert.rejects(store.completeParts(upload, [last, last]), hasCode('TRUNCATED'))
      await assert.rejects(store.completeParts(upload, [last]), hasCode('REQUEST_INVALID'))
      const wrong = await store.putPart(upload, 0, randomBytes(upload.partBytes))
      const first = await store.putPart(upload, 0, partOf(bytes, upload, 0))
      await assert.rejects(store.completeParts(upload, [wrong, last]), hasCode('TRUNCATED'))
      assert.deepEqual(await keys(store), [])
      await store.completeParts(upload, [first, last])
      assert((await buffer((await store.get('a')).stream)).equals(bytes))
    })

    test('a part of another size, or one that breaks off, does not count', async () => {
      await using store = await server.createStore()
      const upload = await store.beginParts('a', { sizeBytes: 10 })
      const body = (bytes: number, sizeBytes: number) => ({ stream: Readable.from([Buffer.alloc(bytes)]), sizeBytes })
      const etag = await store.putPart(upload, 0, Buffer.alloc(10))
      await assert.rejects(store.putPart(upload, 0, Buffer.alloc(9)), hasCode('TRUNCATED'))
      await assert.rejects(store.putPart(upload, 0, Buffer.alloc(11)), hasCode('LIMIT_EXCEEDED'))
      await assert.rejects(store.putPart(upload, 0, body(9, 10)), hasCode('TRUNCATED'))
      await assert.rejects(store.putPart(upload, 0, body(11, 10)), hasCode('LIMIT_EXCEEDED'))
      await assert.rejects(store.putPart(upload, 1, Buffer.alloc(0)), hasCode('REQUEST_INVALID'))
      const controller = new AbortController()
      const stalling = new Readable({ read: () => setImmediate(() => controller.abort(new Error('enough'))) })
      stalling.push(Buffer.alloc(5))
      const put = store.putPart(upload, 0, { stream: stalling, sizeBytes: 10 }, { signal: controller.signal })
      await assert.rejects(put, /enough/)
      assert(stalling.destroyed)
      assert.deepEqual(await keys(store), [])
      assert.match(etag, /^".+"$/)
    })

    test('an upload that was given up, or that nobody began, is a coded error', async () => {
      await using store = await server.createStore()
      const upload = await store.beginParts('a', { sizeBytes: 5 })
      const etag = await store.putPart(upload, 0, Buffer.from('hello'))
      await store.abortParts(upload)
      await store.abortParts(upload)
      await assert.rejects(store.putPart(upload, 0, Buffer.from('hello')), hasCode('OBJECT_NOT_FOUND'))
      await assert.rejects(store.completeParts(upload, [etag]), hasCode('OBJECT_NOT_FOUND'))
      await assert.rejects(store.beginParts('../a', { sizeBytes: 5 }), hasCode('OBJECT_KEY_INVALID'))
      await assert.rejects(store.beginParts('a', { sizeBytes: -1 }), hasCode('LIMIT_EXCEEDED'))
      await assert.rejects(store.putPart({ ...upload, uploadId: '../../a' }, 0, Buffer.from('hello')), AppError)
      assert.deepEqual(await keys(store), [])
    })

    test('signed URLs, where the store has them, need no credentials, and hold for what they were signed for', async (t) => {
      await using store = await server.createStore()
      if (!store.signGet || !store.signPart) return t.skip('the store has none of its own')
      const bytes = randomBytes(8 * 2 ** 20 + 5)
      const upload = await store.beginParts('a b/ü', { sizeBytes: bytes.length })
      const etags: string[] = []
      for (const part of [0, 0, 1]) {
        const url = await store.signPart(upload, part, { ttlSeconds: 60 })
        const response = await fetch(url, { method: 'PUT', body: partOf(bytes, upload, part) })
        assert.equal(response.status, 200, await response.text())
        etags[part] = response.headers.get('etag') ?? ''
      }
      const short = await fetch(await store.signPart(upload, 1, { ttlSeconds: 60 }), { method: 'PUT', body: 'x' })
      assert.equal(short.status, 403)
      await store.completeParts(upload, etags)
      const url = await store.signGet('a b/ü', { ttlSeconds: 60 })
      const whole = await fetch(url)
      assert(bytes.equals(await whole.bytes()))
      const part = await fetch(url, { headers: { range: 'bytes=8388600-8388609' } })
      assert.equal(part.status, 206)
      assert(bytes.subarray(8_388_600, 8_388_610).equals(await part.bytes()))
      assert.equal((await fetch(url, { method: 'DELETE' })).status, 403)
      assert.equal((await fetch(url.replace('%20b', '%20c'))).status, 403)
      assert.equal((await fetch(url.slice(0, -1) + (url.endsWith('0') ? '1' : '0'))).status, 403)
    })

    test('a store that goes away is a coded error, and works again when it is back', async () => {
      await using store = await server.createStore()
      await store.put('a', Buffer.from('before'))
      const upload = await store.beginParts('b', { sizeBytes: 1 })
      {
        await using _away = await server.takeAway()
        const refused = hasCode('OBJECTS_UNAVAILABLE')
        await assert.rejects(store.put('b', Buffer.from('during')), refused)
        await assert.rejects(store.list(), refused)
        await assert.rejects(store.get('a'), refused)
        await assert.rejects(store.delete('a'), refused)
        await assert.rejects(store.beginParts('a', { sizeBytes: 1 }), refused)
        await assert.rejects(store.putPart(upload, 0, Buffer.from('x')), refused)
        await assert.rejects(store.completeParts(upload, ['"x"']), refused)
      }
      await store.put('c', Buffer.from('later'))
      assert.equal(await text(store, 'c'), 'later')
    })
  })
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof AppError, `not coded: ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return true
  }
}

/** The bytes of a part. */
function partOf(bytes: Buffer, upload: PartUpload, part: number): Buffer<ArrayBuffer> {
  const { offsetBytes, sizeBytes } = partRange(upload, part)
  return Buffer.from(bytes.subarray(offsetBytes, offsetBytes + sizeBytes))
}

async function text(store: ObjectStore, key: string, range?: ByteRange): Promise<string> {
  const { stream } = await store.get(key, range ? { range } : {})
  return (await buffer(stream)).toString()
}

/** An object under each key, with the key as its content. */
async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  await Promise.all(keys.map((key) => store.put(key, Buffer.from(key))))
}

/** All keys, page by page. */
async function keys(store: ObjectStore, options: { prefix?: string; limit?: number } = {}): Promise<string[]> {
  const found: string[] = []
  for (let after: string | undefined = ''; after !== undefined;) {
    const { objects, next } = await store.list({ ...options, after })
    assert(objects.length <= (options.limit ?? 1000))
    found.push(...objects.map(({ key }) => key))
    after = next
  }
  return found
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(9_000_000)
  throw new Error('source broke')
}
