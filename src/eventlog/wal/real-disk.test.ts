import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { mountSmallDisk } from '../../../test/support/small-disk.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { isDiskFull } from './disk.ts'
import { realDisk, writeFully } from './real-disk.ts'

test('a write goes on where the system stopped, however little that takes', async () => {
  const chunks = ['one', '', 'four', 'x', '', 'seventeen'].map((text) => Buffer.from(text))
  const whole = Buffer.concat(chunks)
  for (let step = 1; step <= whole.length + 1; step++) {
    const written = Buffer.alloc(whole.length)
    await writeFully(100, chunks, (position, rest) => {
      const bytes = Buffer.concat(rest).subarray(0, step)
      bytes.copy(written, position - 100)
      return Promise.resolve(bytes.length)
    })
    assert.deepEqual(written, whole, `${step} bytes a call`)
  }
  await assert.rejects(
    writeFully(0, chunks, () => Promise.resolve(0)),
    /takes nothing/,
  )
})

test('files are made, written in pieces, read to their end, cut, renamed and removed', async () => {
  await using directory = await temporaryDirectory()
  const folder = join(directory.path, 'a/b/c')
  await realDisk.makeDirectory(folder)
  await realDisk.makeDirectory(folder)
  const path = join(folder, 'file')
  {
    await using file = await realDisk.open(path, { isNew: true })
    await file.write(
      10,
      Array.from({ length: 3000 }, (_, index) => Buffer.from(String(index % 10))),
    )
    await file.sync()
    assert.equal(await file.sizeBytes(), 3010)
    assert.equal((await file.read(10, 12)).toString(), '012345678901')
    assert.equal((await file.read(3005, 100)).length, 5)
    assert.equal((await file.read(5000, 100)).length, 0)
    await file.truncate(20)
    assert.equal(await file.sizeBytes(), 20)
  }
  await assert.rejects(realDisk.open(path, { isNew: true }), { code: 'EEXIST' })
  await assert.rejects(realDisk.open(join(folder, 'other'), { isNew: false }), { code: 'ENOENT' })
  await realDisk.rename(path, `${path}.2`)
  await realDisk.syncDirectory(folder)
  assert.deepEqual(await realDisk.list(folder), ['file.2'])
  await realDisk.remove(`${path}.2`)
  assert.deepEqual(await realDisk.list(folder), [])
  assert.ok((await realDisk.freeBytes(folder)) > 0)
})

test('zeros are written wherever they begin and end', async () => {
  await using directory = await temporaryDirectory()
  for (const [position, lengthBytes] of [
    [0, 4096],
    [4096, 2_097_152],
    [0, 1_500_000],
    [100, 8192],
    [8192, 0],
  ] as const) {
    await using file = await realDisk.open(join(directory.path, `${position}-${lengthBytes}`), { isNew: true })
    const before = Buffer.alloc(3_000_000, 'x')
    await file.write(0, [before])
    await file.writeZeros(position, lengthBytes)
    const expected = before.fill(0, position, position + lengthBytes)
    assert((await file.read(0, 4_000_000)).equals(expected), `${lengthBytes} at ${position}`)
  }
  await using file = await realDisk.open(join(directory.path, 'grows'), { isNew: true })
  await file.writeZeros(0, 1_048_576)
  assert.equal(await file.sizeBytes(), 1_048_576)
})

test('a full disk says so after what it took', async (t) => {
  await using small = await mountSmallDisk(1)
  if (!small) return t.skip('this process may not mount a disk')
  await using file = await realDisk.open(join(small.path, 'file'), { isNew: true })
  await assert.rejects(file.write(0, [Buffer.alloc(700_000), Buffer.alloc(700_000)]), (error) => isDiskFull(error))
  assert.equal(await file.sizeBytes(), 1_048_576)
  await using zeros = await realDisk.open(join(small.path, 'zeros'), { isNew: true })
  await assert.rejects(zeros.writeZeros(0, 1_048_576), (error) => isDiskFull(error))
})
