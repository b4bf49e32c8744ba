import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Timers } from '#lib/timers.ts'
import { seededRandom } from '../../../test/support/random.ts'
import { SimDisk } from '../../../test/support/sim-disk.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { Disk } from './disk.ts'
import { realDisk } from './real-disk.ts'
import { allRecovered, idsOf, openWal, testBatch, testEntry } from './wal.fixture.ts'
import type { Wal, WalPosition } from './wal.ts'

function newDisk(seed = 1): SimDisk {
  return new SimDisk({ random: seededRandom(seed) })
}

async function appendAll(wal: Wal, from: number, to: number, sizeBytes?: number): Promise<WalPosition[]> {
  const ids = Array.from({ length: to - from }, (_, index) => from + index)
  return await Promise.all(ids.map((id) => wal.append(testEntry(id, sizeBytes))))
}

for (const [name, prepare] of [
  ['the real disk', () => temporaryDirectory().then((directory) => ({ ...directory, disk: realDisk }))],
  [
    'the simulated disk',
    () => Promise.resolve({ path: '/wal', disk: newDisk().view(), [Symbol.asyncDispose]: () => Promise.resolve() }),
  ],
] as const satisfies [string, () => Promise<{ path: string; disk: Disk } & AsyncDisposable>][]) {
  test(`entries come back as they were, in order, until they are settled: ${name}`, async () => {
    await using place = await prepare()
    const { path: directory, disk } = place
    const first = await openWal(disk, { directory })
    assert.deepEqual(await allRecovered(first), [])
    const positions = await appendAll(first, 1, 300)
    for (const [index, position] of positions.entries()) {
      assert.deepEqual(await first.read(position), testEntry(index + 1).batches)
      if (index < 250) first.settle(position)
    }
    assert.equal(first.stats.entryCount, 49)
    await first[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()

    const second = await openWal(disk, { directory })
    assert.equal(second.id, first.id)
    const found = await allRecovered(second)
    const recovered = found.filter(({ baseOffset }) => baseOffset > 250)
    assert.deepEqual(
      idsOf(recovered),
      Array.from({ length: 49 }, (_, index) => index + 251),
    )
    for (const { position, isDamaged, ...fields } of recovered) {
      const { batches, ...expected } = testEntry(fields.baseOffset)
      assert.deepEqual({ ...fields, isDamaged, batches: await second.read(position) }, { ...expected, isDamaged: false, batches })
    }
    for (const { position } of found) second.settle(position)
    await appendAll(second, 300, 310)
    await second[Symbol.asyncDispose]()

    await using third = await openWal(disk, { directory })
    assert.deepEqual(
      idsOf(await allRecovered(third)),
      Array.from({ length: 10 }, (_, index) => index + 300),
    )
  })
}

test('appends of one turn share a sync, and what comes meanwhile shares the next; all resolve in order', async () => {
  const disk = newDisk()
  await using wal = await openWal(disk.view())
  await wal.append(testEntry(1))
  const order: number[] = []
  const note = (id: number) => wal.append(testEntry(id, 100)).then(() => order.push(id))
  const first = Promise.all(Array.from({ length: 20 }, (_, id) => note(id)))
  // The write is under way.
  for (const before = disk.usedBytes; disk.usedBytes === before;) await Promise.resolve()
  const second = Promise.all(Array.from({ length: 20 }, (_, id) => note(20 + id)))
  await Promise.all([first, second])
  assert.equal(wal.stats.syncCount, 3)
  assert.deepEqual(
    order,
    Array.from({ length: 40 }, (_, id) => id),
  )
})

test('a linger waits for more entries before a sync', async () => {
  const waiting: (() => void)[] = []
  const timers: Timers = {
    after(delayMs, run) {
      assert.equal(delayMs, 5)
      waiting.push(run)
      return { [Symbol.dispose]: () => undefined }
    },
  }
  await using wal = await openWal(newDisk().view(), { timers, settings: { lingerMs: 5 } })
  const first = wal.append(testEntry(1))
  await Promise.resolve()
  const second = wal.append(testEntry(2))
  assert.equal(waiting.length, 1)
  waiting[0]?.()
  await Promise.all([first, second])
  assert.equal(wal.stats.syncCount, 1)
})

test('entries of all sizes fit: small ones, large ones, one above the size of a segment', async () => {
  const disk = newDisk()
  const sizes = [61, 80, 8191, 8192, 8193, 32_600, 32_768, 200_000, 61, 5_000_000, 61]
  const wal = await openWal(disk.view())
  for (const [id, size] of sizes.entries()) await wal.append(testEntry(id, size))
  await Promise.all(sizes.map((size, index) => wal.append(testEntry(sizes.length + index, size))))
  disk.powerCut()
  await using again = await openWal(disk.view())
  const found = await allRecovered(again)
  assert.deepEqual(
    found.map(({ position }) => position.lengthBytes),
    [...sizes, ...sizes],
  )
  for (const { baseOffset, position } of found) {
    assert.deepEqual(await again.read(position), testBatch(baseOffset, position.lengthBytes))
  }
})

test('the log shrinks to two segments when all is settled, and to nothing when it is closed', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  const positions = await appendAll(wal, 1, 1500)
  assert.ok(wal.stats.sizeBytes > 20 * 32_768)
  assert.equal(wal.stats.sizeBytes, disk.usedBytes - disk.contentOf('/wal/wal.id').length)
  for (const position of positions) wal.settle(position)
  await until(() => wal.stats.sizeBytes <= 2 * 32_768)
  await until(() => wal.stats.sizeBytes === disk.usedBytes - disk.contentOf('/wal/wal.id').length)
  assert.deepEqual([wal.stats.segmentCount, wal.stats.entryCount], [1, 0])
  await wal[Symbol.asyncDispose]()
  assert.deepEqual(disk.paths, ['/wal/wal.id'])
})

test('files are used again: a log that is settled as it is written never has many', async () => {
  const disk = newDisk()
  await using wal = await openWal(disk.view())
  for (let id = 0; id < 2000; id++) {
    wal.settle(await wal.append(testEntry(id)))
    assert.ok(wal.stats.sizeBytes <= 4 * 32_768, `${wal.stats.sizeBytes} bytes`)
  }
})

test('a log that is hardly used takes little, and an idle one touches nothing', async () => {
  const disk = newDisk()
  {
    await using wal = await openWal(disk.view(), { settings: { segmentBytes: 64 * 1_048_576 } })
    await wal.append(testEntry(1))
    assert.ok(disk.usedBytes < 10_000)
    const before = disk.operationCount
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    assert.ok(disk.operationCount <= before + 1)
  }
  const before = disk.operationCount
  await using wal = await openWal(disk.view())
  assert.equal((await allRecovered(wal)).length, 1)
  assert.ok(disk.operationCount - before < 30)
})

test('settling an entry twice does not give up another one', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  const [first, second] = await appendAll(wal, 1, 3)
  assert.ok(first && second)
  wal.settle(first)
  wal.settle(first)
  wal.settle({ segment: 99, positionBytes: 4096, lengthBytes: 61 })
  assert.equal(wal.stats.entryCount, 1)
  for (let id = 3; id < 200; id++) wal.settle(await wal.append(testEntry(id)))
  assert.deepEqual(await wal.read(second), testEntry(2).batches)
  await wal[Symbol.asyncDispose]()
  await using again = await openWal(disk.view())
  assert.ok(idsOf(await allRecovered(again)).includes(2))
})

test('a segment stays while it is read, and while what was found in it is handed out', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  await appendAll(wal, 1, 200)
  await wal[Symbol.asyncDispose]()
  await using again = await openWal(disk.view())
  const ids: number[] = []
  for await (const { position, baseOffset } of again.recovered()) {
    const reading = again.read(position)
    again.settle(position)
    assert.deepEqual(await reading, testEntry(baseOffset).batches)
    ids.push(baseOffset)
  }
  assert.deepEqual(
    ids,
    Array.from({ length: 199 }, (_, index) => index + 1),
  )
  await until(() => again.stats.sizeBytes <= 32_768)
})

test('what cannot be taken is refused', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  await assert.rejects(wal.append({ ...testEntry(1), batches: Buffer.alloc(60) }), { code: 'RECORD_BATCH_INVALID' })
  await assert.rejects(openWal(disk.view()), { code: 'LOG_UNAVAILABLE' })
  const [position] = await appendAll(wal, 1, 2)
  assert.ok(position)
  await wal[Symbol.asyncDispose]()
  await assert.rejects(wal.append(testEntry(2)), { code: 'SHUTTING_DOWN' })
  await assert.rejects(wal.read(position), { code: 'LOG_UNAVAILABLE' })
})

test('the id is made once; a log does not start without the one it had', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view(), { newId: () => 'wal-1' })
  assert.equal(wal.id, 'wal-1')
  await wal.append(testEntry(1))
  disk.powerCut()
  disk.corrupt('/wal/wal.id', 2)
  await assert.rejects(openWal(disk.view()), { code: 'LOG_DAMAGED' })
  disk.remove('/wal/wal.id')
  await assert.rejects(openWal(disk.view()), { code: 'LOG_DAMAGED' })
})
