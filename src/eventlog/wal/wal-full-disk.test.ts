import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { seededRandom } from '../../../test/support/random.ts'
import { SimDisk } from '../../../test/support/sim-disk.ts'
import { mountSmallDisk } from '../../../test/support/small-disk.ts'
import { until } from '../../../test/support/until.ts'
import { realDisk } from './real-disk.ts'
import { allRecovered, idsOf, openWal, testEntry } from './wal.fixture.ts'
import type { Wal, WalPosition } from './wal.ts'

function newDisk(): SimDisk {
  return new SimDisk({ random: seededRandom(7) })
}

function canAdmit(wal: Wal): boolean {
  try {
    wal.admit(500)
    return true
  } catch {
    return false
  }
}

/** Appends one at a time until one is refused. */
async function fill(wal: Wal, firstId: number, sizeBytes = 500): Promise<{ positions: WalPosition[]; error: AppError }> {
  const positions: WalPosition[] = []
  for (;;) {
    try {
      positions.push(await wal.append(testEntry(firstId + positions.length, sizeBytes)))
    } catch (error) {
      assert.ok(error instanceof AppError)
      return { positions, error }
    }
  }
}

test('a log at its limit refuses, keeps what it has, and goes on when something was settled', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view(), { settings: { maxBytes: 200_000 } })
  const { positions, error } = await fill(wal, 1)
  assert.equal(error.code, 'LOG_FULL')
  assert.throws(() => wal.admit(500), { code: 'LOG_FULL' })
  assert.ok(positions.length > 250, `${positions.length} entries in 200,000 bytes`)
  assert.ok(disk.usedBytes < 205_000)
  for (const position of positions.slice(0, 150)) wal.settle(position)
  await until(() => canAdmit(wal))
  const more = await fill(wal, 1001)
  assert.equal(more.error.code, 'LOG_FULL')
  assert.ok(more.positions.length > 50)
  await wal[Symbol.asyncDispose]()
  await using again = await openWal(disk.view())
  const ids = idsOf(await allRecovered(again))
  for (let id = 151; id <= positions.length; id++) assert.ok(ids.includes(id))
  for (let index = 0; index < more.positions.length; index++) assert.ok(ids.includes(1001 + index))
})

test('the floor of free space is kept, and asked for again when somebody appends', async () => {
  const disk = newDisk()
  disk.capacityBytes = 300_000
  await using wal = await openWal(disk.view(), { settings: { minFreeBytes: 100_000 } })
  const { error } = await fill(wal, 1)
  assert.equal(error.code, 'LOG_FULL')
  assert.match(error.message, /floor of 100000/)
  assert.ok(disk.usedBytes <= 201_000)
  disk.capacityBytes = 600_000
  await until(() =>
    wal.append(testEntry(1)).then(
      () => true,
      () => false,
    ),
  )
})

test('a log goes on without the next segment when that does not fit', async () => {
  const disk = newDisk()
  await using wal = await openWal(disk.view())
  disk.fail({ operation: 'write', code: 'ENOSPC', path: /\.tmp$/, skip: 1 })
  for (let id = 0; id < 300; id++) await wal.append(testEntry(id))
  assert.equal(wal.stats.isFailed, false)
  assert.equal(wal.stats.entryCount, 300)
})

test('a disk that is full only when it is written to refuses all that waits, and keeps none of it', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  for (let id = 1; id <= 5; id++) await wal.append(testEntry(id, 200))
  disk.fail({ operation: 'write', code: 'ENOSPC' })
  const refused = await Promise.allSettled([10, 11, 12].map((id) => wal.append(testEntry(id, 200))))
  for (const result of refused) assert.equal(result.status === 'rejected' && toCode(result.reason), 'LOG_FULL')
  await wal.append(testEntry(6, 200))
  disk.powerCut()
  await using again = await openWal(disk.view())
  assert.deepEqual(idsOf(await allRecovered(again)), [1, 2, 3, 4, 5, 6])
})

test('a log starts on a full disk, hands out what it has, and takes more when there is space', async () => {
  const disk = newDisk()
  const wal = await openWal(disk.view())
  for (let id = 1; id <= 100; id++) await wal.append(testEntry(id))
  disk.powerCut()
  disk.capacityBytes = disk.usedBytes
  await using again = await openWal(disk.view())
  const found = await allRecovered(again)
  assert.equal(found.length, 100)
  for (const { position } of found) again.settle(position)
  await until(() => again.stats.segmentCount === 0)
  await again.append(testEntry(101))
})

test('a real disk that runs full refuses, and a failed write leaves nothing behind', async (t) => {
  await using small = await mountSmallDisk(4)
  if (!small) return t.skip('this process may not mount a disk')
  const wal = await openWal(realDisk, { directory: small.path, settings: { segmentBytes: 1_048_576 } })
  const { positions, error } = await fill(wal, 1, 20_000)
  assert.equal(error.code, 'LOG_FULL')
  assert.ok(positions.length > 100, `${positions.length} entries`)
  assert.equal(wal.stats.isFailed, false)
  await wal[Symbol.asyncDispose]()
  await using again = await openWal(realDisk, { directory: small.path, settings: { segmentBytes: 1_048_576 } })
  const found = await allRecovered(again)
  assert.deepEqual(
    idsOf(found),
    positions.map((_, index) => index + 1),
  )
  for (const { position } of found) again.settle(position)
  await until(() => canAdmit(again))
  await again.append(testEntry(1))
})

for (const [operation, skip] of [
  ['sync', 0],
  ['write', 0],
  ['rename', 0],
  ['syncDirectory', 0],
] as const) {
  test(`a disk that fails in ${operation} ends the log for good; it is not touched again, and can still be read`, async () => {
    const disk = newDisk()
    const failures: AppError[] = []
    const wal = await openWal(disk.view(), { onFailure: (error) => failures.push(error) })
    const { positions } = await appendUntilFailure(wal, () => disk.fail({ operation, code: 'EIO', skip }))
    assert.equal(wal.stats.isFailed, true)
    assert.equal(failures.length, 1)
    assert.equal(failures[0]?.code, 'LOG_UNAVAILABLE')
    for (let turn = 0; turn < 100; turn++) await Promise.resolve() // what was under way
    const usedBytes = disk.usedBytes
    await assert.rejects(wal.append(testEntry(999)), { code: 'LOG_UNAVAILABLE' })
    const [position] = positions
    assert.ok(position)
    assert.deepEqual(await wal.read(position), testEntry(1).batches)
    for (const settled of positions) wal.settle(settled)
    const before = disk.operationCount
    await wal[Symbol.asyncDispose]()
    assert.equal(disk.operationCount, before)
    assert.equal(disk.usedBytes, usedBytes)
  })
}

/** Appends, breaks the disk, and appends on until that shows. */
async function appendUntilFailure(wal: Wal, breakDisk: () => void): Promise<{ positions: WalPosition[] }> {
  const positions: WalPosition[] = []
  for (let id = 1; id <= 5; id++) positions.push(await wal.append(testEntry(id)))
  breakDisk()
  for (let id = 6; id < 500 && !wal.stats.isFailed; id++) {
    await wal.append(testEntry(id)).catch((error: unknown) => assert.equal(toCode(error), 'LOG_UNAVAILABLE'))
  }
  return { positions }
}

function toCode(error: unknown): string {
  return error instanceof AppError ? error.code : String(error)
}

test('nothing is taken before all that waited together have heard that they are refused', async () => {
  const disk = newDisk()
  await using wal = await openWal(disk.view())
  await wal.append(testEntry(1))
  disk.fail({ operation: 'write', code: 'ENOSPC' })
  const first = wal.append(testEntry(2))
  const second = wal.append(testEntry(3))
  const between = first.catch(() => wal.append(testEntry(4)))
  const outcomes = await Promise.allSettled([first, second, between])
  for (const outcome of outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'LOG_FULL')
  await wal.append(testEntry(5))
})
