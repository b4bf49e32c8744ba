import assert from 'node:assert/strict'
import { mkdir, readdir, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock, systemClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { DirectoryStore } from './directory-store.ts'

test('a key is the path of its file, and nothing else is left in the directory', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  await store.put('a/b/c', Buffer.from('x'))
  await assert.rejects(store.put('a/b/c', Buffer.from('y'), { ifNoneMatch: '*' }))
  assert.deepEqual((await readdir(directory.path, { recursive: true })).toSorted(), ['.unfinished', 'a', 'a/b', 'a/b/c'])
})

test('folders that a delete empties are removed, others stay', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  await store.put('a/b/c/d', Buffer.from('x'))
  await store.put('a/e', Buffer.from('x'))
  await store.delete('a/b/c/d')
  assert.deepEqual((await readdir(directory.path, { recursive: true })).toSorted(), ['.unfinished', 'a', 'a/e'])
})

test('puts and deletes in one folder at once never fail, whatever is pruned between', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  const cycle = async (id: number) => {
    for (let i = 0; i < 25; i++) {
      await store.put(`deep/er/${id}`, Buffer.from('x'))
      await store.delete(`deep/er/${id}`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, id) => cycle(id)))
  assert.deepEqual(await readdir(directory.path), ['.unfinished'])
})

test('a key below another key, or above one, is refused', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  await store.put('a/b', Buffer.from('x'))
  for (const key of ['a', 'a/b/c', 'a/b/c/d']) {
    for (const options of [{}, { ifNoneMatch: '*' } as const]) {
      await assert.rejects(store.put(key, Buffer.from('y'), options), { code: 'OBJECT_EXISTS' })
    }
  }
  const { objects } = await store.list()
  assert.deepEqual(
    objects.map(({ key }) => key),
    ['a/b'],
  )
})

test('what a crash left unfinished is removed at the next start, what is being written stays', async () => {
  await using directory = await temporaryDirectory()
  const clock = new ManualClock()
  const unfinished = join(directory.path, '.unfinished')
  await mkdir(unfinished)
  for (const [name, ageMinutes] of [
    ['old', 61],
    ['new', 59],
  ] as const) {
    const at = new Date(clock.nowMs() - ageMinutes * 60_000)
    await writeFile(join(unfinished, name), 'half')
    await utimes(join(unfinished, name), at, at)
  }
  await using store = await DirectoryStore.open({ directory: directory.path, clock })
  assert.deepEqual(await readdir(unfinished), ['new'])
  assert.deepEqual((await store.list()).objects, [])
})

test('an upload that nobody went on with for a day is removed, also while the store is open', async () => {
  await using directory = await temporaryDirectory()
  const clock = new ManualClock(Date.now())
  await using store = await DirectoryStore.open({ directory: directory.path, clock })
  const old = await store.beginParts('old', { sizeBytes: 1 })
  const etag = await store.putPart(old, 0, Buffer.from('x'))
  clock.advance(23 * 60 * 60_000)
  const next = await store.beginParts('next', { sizeBytes: 1 })
  assert.deepEqual((await readdir(join(directory.path, '.unfinished'))).toSorted(), [old.uploadId, next.uploadId].toSorted())
  clock.advance(2 * 60 * 60_000)
  await store.beginParts('last', { sizeBytes: 1 })
  await assert.rejects(store.completeParts(old, [etag]), { code: 'OBJECT_NOT_FOUND' })
})

test('a completion that was cut off behind the object itself can be asked again', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  const upload = await store.beginParts('a/b', { sizeBytes: 1 })
  const etag = await store.putPart(upload, 0, Buffer.from('x'))
  await mkdir(join(directory.path, 'a'))
  await rename(join(directory.path, '.unfinished', upload.uploadId, 'data'), join(directory.path, 'a', 'b'))
  await store.completeParts(upload, [etag])
  assert.deepEqual(await readdir(join(directory.path, '.unfinished')), [])
})

test('completions of one upload at once all succeed', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  const upload = await store.beginParts('a/b', { sizeBytes: 1 })
  const etag = await store.putPart(upload, 0, Buffer.from('x'))
  await Promise.all(Array.from({ length: 6 }, () => store.completeParts(upload, [etag])))
  assert.equal((await store.head('a/b')).sizeBytes, 1)
})

test('hidden files and links of others are not listed', async () => {
  await using directory = await temporaryDirectory()
  await using store = await DirectoryStore.open({ directory: directory.path, clock: systemClock })
  await store.put('a', Buffer.from('x'))
  await writeFile(join(directory.path, '.DS_Store'), '')
  await symlink('/etc', join(directory.path, 'link'))
  assert.deepEqual((await store.list()).objects.length, 1)
})

test('a directory that cannot be made is a coded error', async () => {
  const opened = DirectoryStore.open({ directory: '/dev/null/objects', clock: systemClock })
  await assert.rejects(opened, { code: 'OBJECTS_UNAVAILABLE' })
})
