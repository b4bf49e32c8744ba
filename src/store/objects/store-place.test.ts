import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { DirectoryStore } from './directory-store.ts'
import { SharedDirectory } from './store-place.ts'

type Shared = {
  readonly store: DirectoryStore
  readonly directory: string
  readonly shared: SharedDirectory
  readonly clock: ManualClock
}

async function startShared(stack: AsyncDisposableStack): Promise<Shared> {
  const { path: directory } = stack.use(await temporaryDirectory())
  const clock = new ManualClock(Date.now())
  const store = stack.use(await DirectoryStore.open({ directory, clock }))
  const shared = await SharedDirectory.find(await store.place())
  assert(shared)
  return { store, directory, shared, clock }
}

async function bytesOf(store: DirectoryStore, key: string): Promise<Buffer> {
  return await buffer((await store.get(key)).stream)
}

test('a directory is known by its proof, which stays, and by nothing else', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, directory, clock } = await startShared(stack)
  await using other = await temporaryDirectory()
  const place = await store.place()
  assert.equal(place.directory, directory)
  clock.advance(100 * 24 * 60 * 60_000)
  await using again = await DirectoryStore.open({ directory, clock })
  assert.deepEqual(await again.place(), place)
  const forged = { ...place, proof: place.proof.replaceAll(/\d/g, 'a') }
  for (const wrong of [{ ...place, directory: other.path }, { ...place, directory: join(directory, 'x') }, forged]) {
    assert.equal(await SharedDirectory.find(wrong), undefined, JSON.stringify(wrong))
  }
})

test('a proof that is a link to a file elsewhere is none', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, directory } = await startShared(stack)
  await using elsewhere = await temporaryDirectory()
  const place = await store.place()
  await writeFile(join(elsewhere.path, 'proof'), place.proof)
  await unlink(join(directory, '.unfinished', 'proof'))
  await symlink(join(elsewhere.path, 'proof'), join(directory, '.unfinished', 'proof'))
  assert.equal(await SharedDirectory.find(place), undefined)
})

test('an object is a file for who shares the directory, if it is there and has its size', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, shared } = await startShared(stack)
  const bytes = randomBytes(300_000)
  await store.put('a/film.mp4', bytes)
  const path = await shared.findFile('a/film.mp4', bytes.length)
  assert(path)
  assert(bytes.equals(await readFile(path)))
  assert.equal(await shared.findFile('a/film.mp4', undefined), path)
  assert.equal(await shared.findFile('a/film.mp4', 1), undefined)
  assert.equal(await shared.findFile('a/other.mp4', undefined), undefined)
  assert.equal(await shared.findFile('a', undefined), undefined)
  await assert.rejects(shared.findFile('../film.mp4', undefined), { code: 'OBJECT_KEY_INVALID' })
})

test('a finished file becomes an object without a copy, and not before the upload is completed', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, directory, shared } = await startShared(stack)
  const bytes = randomBytes(9 * 2 ** 20)
  const path = join(directory, '.unfinished', 'made')
  await writeFile(path, bytes)
  const upload = await store.beginParts('a/film.mp4', { sizeBytes: bytes.length })
  // What was put before is replaced.
  const etag = await store.putPart(upload, 0, bytes.subarray(0, upload.partBytes))
  const etags = await shared.adopt(upload, path)
  assert.equal(etags.length, 2)
  await assert.rejects(store.head('a/film.mp4'), { code: 'OBJECT_NOT_FOUND' })
  await assert.rejects(store.completeParts(upload, [etag, etags[1] ?? '']), { code: 'TRUNCATED' })
  await store.completeParts(upload, etags)
  assert(bytes.equals(await bytesOf(store, 'a/film.mp4')))
  assert.equal((await stat(join(directory, 'a/film.mp4'))).ino, (await stat(path)).ino)
  await store.completeParts(upload, etags)
  assert.deepEqual((await readdir(join(directory, '.unfinished'))).toSorted(), ['made', 'proof'])
})

test('a file of another size, and an upload that is over, are refused', async () => {
  await using stack = new AsyncDisposableStack()
  const { store, directory, shared } = await startShared(stack)
  const path = join(directory, '.unfinished', 'made')
  await writeFile(path, randomBytes(100))
  const upload = await store.beginParts('a', { sizeBytes: 100 })
  await truncate(path, 99)
  await assert.rejects(shared.adopt(upload, path), { code: 'TRUNCATED' })
  await truncate(path, 101)
  await assert.rejects(shared.adopt(upload, path), { code: 'LIMIT_EXCEEDED' })
  await truncate(path, 100)
  await store.abortParts(upload)
  await assert.rejects(shared.adopt(upload, path), { code: 'OBJECT_NOT_FOUND' })
  await assert.rejects(shared.adopt({ ...upload, uploadId: '../../../elsewhere' }, path), { code: 'REQUEST_INVALID' })
})
