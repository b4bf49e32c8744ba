import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type UploadApi, uploadFile } from './source-upload.ts'

const content = 'abcdefghijklmnopqrstuvwxy'
const file = new File([content], 'film.mp4')

type Put = (url: string, put: number) => string | undefined

/** A store of parts of 10 bytes; `answer` is asked at each PUT. */
function storeOf(answer: Put): { api: UploadApi; parts: Map<string, string>; calls: unknown[] } {
  const parts = new Map<string, string>()
  const calls: unknown[] = []
  let puts = 0
  const api: UploadApi = {
    async begin(source) {
      calls.push(source)
      const partUrls = [0, 1, 2].map((part) => `${source.resume ? 'fresh' : 'first'}/${part}`)
      return { object: 'sources/1/film.mp4', upload: { name: source.name, uploadId: 'u', partBytes: 10, partUrls } }
    },
    async complete(source) {
      calls.push(source)
    },
    async put(url, part) {
      const etag = answer(url, puts++)
      if (etag !== undefined) parts.set(url.slice(-1), await part.text())
      return etag
    },
  }
  return { api, parts, calls }
}

async function upload(
  api: UploadApi,
  { signal = new AbortController().signal } = {},
): Promise<{ object: string; doneBytes: number[] }> {
  const doneBytes: number[] = []
  const object = await uploadFile({ api, file, onProgress: (bytes) => doneBytes.push(bytes), signal, pause: async () => {} })
  return { object, doneBytes }
}

test('a file goes up in parts', async () => {
  const { api, parts, calls } = storeOf((url) => `etag ${url}`)
  const { object, doneBytes } = await upload(api)
  assert.equal(object, 'sources/1/film.mp4')
  assert.equal([0, 1, 2].map((part) => parts.get(String(part))).join(''), content)
  assert.equal(doneBytes.at(-1), content.length)
  assert.deepEqual(calls, [
    { name: 'film.mp4', sizeBytes: 25 },
    {
      object: 'sources/1/film.mp4',
      uploadId: 'u',
      partBytes: 10,
      sizeBytes: 25,
      etags: ['etag first/0', 'etag first/1', 'etag first/2'],
    },
  ])
})

test('a part that fails is tried again with a fresh URL, and only that one', async () => {
  const { api, parts, calls } = storeOf((url, put) => {
    if (put === 0) return undefined
    if (put === 1) throw new Error('cut')
    return `etag ${url}`
  })
  const { doneBytes } = await upload(api)
  assert.equal([0, 1, 2].map((part) => parts.get(String(part))).join(''), content)
  assert.deepEqual(doneBytes.toSorted((a, b) => a - b).at(-1), 25)
  assert.deepEqual(calls[1], {
    name: 'film.mp4',
    sizeBytes: 25,
    resume: { object: 'sources/1/film.mp4', uploadId: 'u', partBytes: 10 },
  })
})

test('an upload that never succeeds is given up, and says why', async () => {
  const cut = storeOf(() => {
    throw new Error('the network is away')
  })
  await assert.rejects(upload(cut.api), /the network is away/)
  await assert.rejects(upload(storeOf(() => undefined).api), /does not take the file/)
})

test('an upload stops when it is told to', async () => {
  const stop = new AbortController()
  const { api, calls } = storeOf(() => {
    stop.abort()
    throw new Error('aborted')
  })
  await assert.rejects(upload(api, { signal: stop.signal }), /aborted/)
  assert.equal(calls.length, 1)
})
