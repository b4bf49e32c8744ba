import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { boxesIn } from '#formats/mp4/read-boxes.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { createDirectDisk } from './direct-disk.ts'
import { type RecordingDisk, type RecordingHandle, nodeDisk } from './recording-disk.ts'

const disks: [name: string, disk: RecordingDisk][] = [
  ['through the page cache', nodeDisk],
  ['past the page cache', createDirectDisk()],
]

/** Writes all of it, however little the disk takes at once. */
async function append(file: RecordingHandle, bytes: Buffer, position: number): Promise<number> {
  let at = 0
  while (at < bytes.length) at += await file.writev([bytes.subarray(at, at + 7), bytes.subarray(at + 7)], position + at)
  return position + at
}

/** Around the ends of blocks, a filling that needs another block, and more than is written at once. */
const sizes = [1, 4094, 1, 4096, 4097, 8185, 3, 12_288, 4090, 3_000_000, 100, 1_048_576]

for (const [name, disk] of disks) {
  test(`what is appended ${name} is what the file holds, after each write and when it is closed`, async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'day', 'file.mp4')
    const file = await disk.create(path)
    let written = Buffer.alloc(0)
    for (const size of sizes) {
      const bytes = randomBytes(size)
      assert.equal(await append(file, bytes, written.length), written.length + size)
      written = Buffer.concat([written, bytes])
      const held = await readFile(path)
      assert.ok(held.subarray(0, written.length).equals(written))
      const behind = [...boxesIn(held.subarray(written.length))]
      assert.ok(behind.length <= 1 && behind.every(({ type }) => type === 'free'))
    }
    await file.truncate(written.length)
    await file.close()
    assert.ok((await readFile(path)).equals(written))
  })
}

test('files that are written at the same time do not disturb each other', async () => {
  await using directory = await temporaryDirectory()
  const disk = createDirectDisk()
  const files = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const path = join(directory.path, `${i}.mp4`)
      const file = await disk.create(path)
      const bytes = Buffer.alloc(10_000, i)
      for (let at = 0; at < 10 * bytes.length; at += bytes.length) await append(file, bytes, at)
      await file.truncate(10 * bytes.length)
      await file.close()
      return { path, i }
    }),
  )
  for (const { path, i } of files) {
    assert.equal((await stat(path)).size, 100_000)
    assert.ok((await readFile(path)).every((byte) => byte === i))
  }
})
