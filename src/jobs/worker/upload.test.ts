import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { TcpProxy } from '../../../test/support/tcp-proxy.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import type { Upload } from '../worker-protocol.ts'
import { TestApi } from './api.fixture.ts'
import { uploadFiles, type UploadOptions } from './upload.ts'
import type { AnnouncedFile } from './worker-client.ts'

const patience = { firstMs: 5, maxMs: 20, giveUpMs: 2000 }

/** Sends files of these contents by way of `port`, and closes the uploads as `complete` does. */
async function send(
  api: TestApi,
  contents: Readonly<Record<string, Buffer>>,
  { port = api.port, ...options }: Partial<UploadOptions> & { port?: number } = {},
): Promise<void> {
  await using directory = await temporaryDirectory()
  const files = await Promise.all(
    Object.entries(contents).map(async ([name, bytes]) => {
      const path = join(directory.path, name)
      await writeFile(path, bytes)
      return { name, path, contentType: 'video/mp4' }
    }),
  )
  const announce = async (announced: readonly AnnouncedFile[]): Promise<Upload[]> =>
    announced.map(({ name, sizeBytes }) => {
      const upload = api.files.openUpload(`work/${name}`, name, sizeBytes)
      return { ...upload, partUrls: upload.partUrls.map((url) => `http://127.0.0.1:${port}${url}`) }
    })
  const { signal } = new AbortController()
  for (const upload of await uploadFiles({ files, announce, signal, patience, ...options })) api.files.closeUpload(upload)
}

test('files arrive as they are, also those of no, one and many parts', async () => {
  await using api = await TestApi.start()
  const contents = {
    'empty.txt': Buffer.alloc(0),
    'small.txt': Buffer.from('one part'),
    'even.mp4': randomBytes(200_000),
    'large.mp4': randomBytes(1_234_567),
  }
  const seen: number[] = []
  await send(api, contents, { onProgress: (sentBytes) => seen.push(sentBytes) })
  for (const [name, bytes] of Object.entries(contents)) assert.ok(api.files.objects.get(`work/${name}`)?.equals(bytes), name)
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  )
  assert.equal(seen.at(-1), 1_434_575)
})

test('parts are sent again after errors that pass and connections that are cut', async () => {
  await using api = await TestApi.start()
  const bytes = randomBytes(1_000_000)
  let connections = 0
  await using way = await TcpProxy.open(() => (++connections % 2 === 0 ? undefined : { direction: 'up', afterBytes: 150_000 }))
  way.targetPort = api.port
  api.files.statuses.push(503, 500, 429)
  await send(api, { 'film.mp4': bytes }, { port: way.port })
  assert.ok(api.files.objects.get('work/film.mp4')?.equals(bytes))
  assert.ok(way.cuts > 0)
})

test('a file whose addresses have expired is sent to fresh ones', async () => {
  await using api = await TestApi.start()
  const bytes = randomBytes(900_000)
  let isExpired = false
  const onProgress = (): void => {
    if (!isExpired) api.files.expireUrls()
    isExpired = true
  }
  await send(api, { 'film.mp4': bytes }, { onProgress })
  assert.ok(api.files.objects.get('work/film.mp4')?.equals(bytes))
})

test('a store that refuses each time is an error that may pass', async () => {
  await using api = await TestApi.start()
  api.files.statuses.push(...Array.from({ length: 50 }, () => 409))
  await assert.rejects(send(api, { 'film.mp4': randomBytes(10) }), { code: 'OBJECTS_UNAVAILABLE' })
})

test('a store that does not answer is given up when patience ends', async () => {
  await using api = await TestApi.start()
  const options = { port: 9, patience: { ...patience, giveUpMs: 50 } }
  await assert.rejects(send(api, { 'film.mp4': randomBytes(10) }, options), { code: 'OBJECTS_UNAVAILABLE' })
})

test('a fired signal ends it with its reason', async () => {
  await using api = await TestApi.start()
  const abort = new AbortController()
  const reason = new AppError('TASK_FENCED', 'stopped')
  const onProgress = (): void => abort.abort(reason)
  await assert.rejects(send(api, { 'film.mp4': randomBytes(900_000) }, { signal: abort.signal, onProgress }), reason)
})

test('more files than a message holds are refused before any is sent', async () => {
  await using api = await TestApi.start()
  const contents = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`${at}.jpg`, Buffer.alloc(1)]))
  await assert.rejects(send(api, contents), { code: 'LIMIT_EXCEEDED' })
  assert.equal(api.paths.length, 0)
})
