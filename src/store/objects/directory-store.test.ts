import assert from 'node:assert/strict'
import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
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
