import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { mountSmallDisk } from '../../../test/support/small-disk.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { Scratch } from './scratch.ts'

test('what an earlier worker of this id left is removed, and nothing else', async () => {
  await using directory = await temporaryDirectory()
  await mkdir(join(directory.path, 'worker-a', '1.1'), { recursive: true })
  await mkdir(join(directory.path, 'worker-b', '1.1'), { recursive: true })
  await writeFile(join(directory.path, 'holiday.mp4'), 'mine')
  await using scratch = await Scratch.open({ directory: directory.path, workerId: 'a', minFreeBytes: 0 })
  assert.deepEqual(await readdir(scratch.path), [])
  assert.deepEqual((await readdir(directory.path)).sort(), ['holiday.mp4', 'worker-a', 'worker-b'])
})

test('a folder is empty when it is opened and gone when it is closed', async () => {
  await using directory = await temporaryDirectory()
  await using scratch = await Scratch.open({ directory: directory.path, workerId: 'a', minFreeBytes: 0 })
  {
    await using folder = await scratch.openFolder('7.2')
    await writeFile(join(folder.path, 'chunk.mp4'), 'x')
    assert.deepEqual(await readdir(scratch.path), ['7.2'])
  }
  assert.deepEqual(await readdir(scratch.path), [])
})

test('with less free space than the floor no folder is opened', async (t) => {
  await using disk = await mountSmallDisk(4)
  if (!disk) return t.skip('this process may not mount a disk')
  await using scratch = await Scratch.open({ directory: disk.path, workerId: 'a', minFreeBytes: 2 << 20 })
  await using _folder = await scratch.openFolder('1.1')
  await writeFile(join(disk.path, 'large'), Buffer.alloc(3 << 20))
  await assert.rejects(scratch.openFolder('2.1'), { code: 'DISK_FULL' })
})
