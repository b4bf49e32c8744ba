import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { seededRandom } from '../../../test/support/random.ts'
import { SimDisk } from '../../../test/support/sim-disk.ts'
import { allRecovered, idsOf, openWal, testBatch, testEntry } from './wal.fixture.ts'
import { encodeSeal, entryBytes, entryHeaderBytes } from './wal-format.ts'
import type { RecoveredEntry, WalPosition } from './wal.ts'

const firstSeed = Number(env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const runs = Math.ceil(Number(env['MILLRACE_FUZZ_RUNS'] ?? 500) / 5)
const segmentPath = (number: number, kind = 'wal') => `/wal/${String(number).padStart(16, '0')}.${kind}`

/** A log with groups of entries, 200 bytes each, in the first segment; killed, or closed in order. Returns the disk and where the entries begin. */
async function writeGroups(
  groups: readonly (readonly number[])[],
  { isClosed = false } = {},
): Promise<{ disk: SimDisk; at: Map<number, number> }> {
  const disk = new SimDisk({ random: seededRandom(3) })
  const wal = await openWal(disk.view(), { newId: idsFrom(0) })
  const at = new Map<number, number>()
  for (const group of groups) {
    const positions = await Promise.all(group.map((id) => wal.append(testEntry(id, 200))))
    for (const [index, id] of group.entries()) at.set(id, (positions[index]?.positionBytes ?? 0) - entryHeaderBytes)
  }
  if (isClosed) await wal[Symbol.asyncDispose]()
  else disk.kill()
  return { disk, at }
}

function idsFrom(first: number): () => string {
  let last = first
  return () => `id-${(last += 1)}`
}

/** What a start finds; leaves the log as after another power cut. */
async function startOnce(disk: SimDisk): Promise<{ found: RecoveredEntry[]; ids: number[]; unreadable: readonly unknown[] }> {
  const wal = await openWal(disk.view(), { newId: idsFrom(100) })
  const found = await allRecovered(wal)
  const { unreadable } = wal
  disk.kill()
  return { found, ids: idsOf(found), unreadable }
}

const header = 9
const batch = entryHeaderBytes + 100

for (const [name, part] of [
  ['header', header],
  ['batch', batch],
] as const) {
  test(`a bad ${name} in the last group is a torn tail: the log is cut there, and nothing is damaged`, async () => {
    const { disk, at } = await writeGroups([[1], [2, 3], [4, 5, 6]])
    disk.corrupt(segmentPath(1), (at.get(5) ?? 0) + part)
    for (let start = 0; start < 3; start++) {
      const { ids, unreadable } = await startOnce(disk)
      assert.deepEqual({ ids, unreadable }, { ids: [1, 2, 3, 4], unreadable: [] })
    }
  })

  test(`a bad ${name} in the first of the last group takes all of that group`, async () => {
    const { disk, at } = await writeGroups([[1], [2, 3], [4, 5, 6]])
    disk.corrupt(segmentPath(1), (at.get(4) ?? 0) + part)
    const { ids, unreadable } = await startOnce(disk)
    assert.deepEqual({ ids, unreadable }, { ids: [1, 2, 3], unreadable: [] })
  })
}

test('what was cut never comes back, whatever is written behind it', async () => {
  const { disk, at } = await writeGroups([[1], [2, 3, 4]])
  disk.corrupt(segmentPath(1), (at.get(2) ?? 0) + header)
  const wal = await openWal(disk.view())
  await wal.append(testEntry(10))
  disk.powerCut()
  assert.deepEqual((await startOnce(disk)).ids, [1, 10])
})

test('a bad header before the last group is damage: reported at every start, what is behind it is kept', async () => {
  const { disk, at } = await writeGroups([[1], [2, 3], [4, 5, 6]])
  disk.corrupt(segmentPath(1), (at.get(3) ?? 0) + header)
  const expected = { ids: [1, 2, 4, 5, 6], unreadable: [{ segment: 1, positionBytes: at.get(3) }] }
  for (let start = 0; start < 3; start++) {
    const { ids, unreadable } = await startOnce(disk)
    assert.deepEqual({ ids, unreadable }, expected)
    if (start === 1) disk.powerCut()
  }
  const wal = await openWal(disk.view())
  for (const { position } of await allRecovered(wal)) wal.settle(position)
  await wal.append(testEntry(7))
  await wal[Symbol.asyncDispose]()
  assert.ok(disk.paths.includes(segmentPath(1, 'damaged')))
  const { ids, unreadable } = await startOnce(disk)
  assert.deepEqual({ ids, unreadable }, { ids: [...expected.ids, 7], unreadable: expected.unreadable })
  disk.remove(segmentPath(1, 'damaged'))
  assert.deepEqual((await startOnce(disk)).unreadable, [])
})

test('damage is told from the torn tail right behind it, and stays told when the tail is cut', async () => {
  const { disk, at } = await writeGroups([[1], [2, 3], [4, 5, 6]])
  for (const id of [3, 4]) disk.corrupt(segmentPath(1), (at.get(id) ?? 0) + header)
  for (let start = 0; start < 3; start++) {
    const { ids, unreadable } = await startOnce(disk)
    assert.deepEqual({ ids, unreadable }, { ids: [1, 2], unreadable: [{ segment: 1, positionBytes: at.get(3) }] })
  }
})

test('a bad batch before the last group is reported with its place and partition', async () => {
  const { disk, at } = await writeGroups([[1], [2, 3], [4]])
  disk.corrupt(segmentPath(1), (at.get(2) ?? 0) + batch)
  for (let start = 0; start < 2; start++) {
    const { found, unreadable } = await startOnce(disk)
    assert.deepEqual(unreadable, [])
    assert.deepEqual(
      found.map(({ baseOffset, isDamaged }) => [baseOffset, isDamaged]),
      [
        [1, false],
        [2, true],
        [3, false],
        [4, false],
      ],
    )
  }
  const wal = await openWal(disk.view())
  const [, damaged] = await allRecovered(wal)
  assert.ok(damaged)
  await assert.rejects(wal.read(damaged.position), { code: 'LOG_DAMAGED' })
  assert.ok(disk.paths.includes(segmentPath(1, 'damaged')))
})

test('a log that was closed in order proves its last group too', async () => {
  const { disk, at } = await writeGroups([[1], [2, 3]], { isClosed: true })
  disk.corrupt(segmentPath(1), (at.get(3) ?? 0) + header)
  const { ids, unreadable } = await startOnce(disk)
  assert.deepEqual({ ids, unreadable }, { ids: [1, 2], unreadable: [{ segment: 1, positionBytes: at.get(3) }] })
})

test('one bad copy of a segment header does no harm; with two the file is kept as it is', async () => {
  const { disk } = await writeGroups([[1], [2]])
  disk.corrupt(segmentPath(1), 20)
  assert.deepEqual((await startOnce(disk)).ids, [1, 2])
  disk.corrupt(segmentPath(1), 2048 + 20)
  const before = disk.contentOf(segmentPath(1))
  for (let start = 0; start < 2; start++) {
    const { ids, unreadable } = await startOnce(disk)
    assert.deepEqual({ ids, unreadable }, { ids: [], unreadable: [{ segment: 1, positionBytes: 0 }] })
  }
  await using wal = await openWal(disk.view())
  const { segment } = await wal.append(testEntry(3))
  assert.equal(segment, 2)
  assert.deepEqual(disk.contentOf(segmentPath(1)), before)
})

test('an entry inside a record is no entry, even when the one around it is lost', async () => {
  const disk = new SimDisk({ random: seededRandom(3) })
  const wal = await openWal(disk.view(), { newId: idsFrom(0) })
  const first = await wal.append(testEntry(1, 200))
  const entry = disk.contentOf(segmentPath(1)).subarray(4096, 4096 + entryBytes(200))
  // A batch whose records are copies of a real entry and of a seal, where entries could begin.
  const planted = Buffer.alloc(1024)
  for (let at = 64 - entryHeaderBytes; at + entry.length < planted.length; at += 320) entry.copy(planted, at)
  encodeSeal({ seed: 1, segment: 1, position: 5000 }).copy(planted, 960)
  planted.writeUInt32BE(1012, 8)
  const second = await wal.append({ ...testEntry(2), batches: planted })
  await wal.append(testEntry(3, 200))
  disk.kill()
  disk.corrupt(segmentPath(1), second.positionBytes - entryHeaderBytes + header)
  const { found, unreadable } = await startOnce(disk)
  assert.deepEqual(idsOf(found), [1, 3])
  assert.deepEqual(found[0]?.position, first)
  assert.equal(unreadable.length, 1)
})

test(`no byte that changes on the disk loses an entry in silence (seed ${firstSeed})`, async () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const random = seededRandom(seed)
    const disk = new SimDisk({ random })
    const written = await writeSome(disk, random)
    const paths = disk.paths.filter((path) => path.endsWith('.wal'))
    for (let change = Math.floor(random() * 4); change >= 0; change--) {
      const path = paths[Math.floor(random() * paths.length)] ?? ''
      disk.corrupt(path, Math.floor(random() * disk.contentOf(path).length))
    }
    try {
      const first = await checkDamaged(disk, written)
      // Also when the power is cut while the damage is looked at.
      disk.powerCutAfter(1 + Math.floor(random() * 60))
      await Promise.race([startOnce(disk), new Promise<void>((resolve) => (disk.onPowerCut = resolve))])
      disk.powerCut()
      assert.deepEqual(await checkDamaged(disk, written), first)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
})

async function writeSome(disk: SimDisk, random: () => number): Promise<Map<number, WalPosition>> {
  const wal = await openWal(disk.view())
  const written = new Map<number, WalPosition>()
  for (let id = 1; id < 200; id += 5) {
    const ids = [0, 1, 2, 3, 4].map((step) => id + step)
    const positions = await Promise.all(ids.map((each) => wal.append(testEntry(each, 61 + Math.floor(random() * 1500)))))
    for (const [index, position] of positions.entries()) written.set(id + index, position)
  }
  await wal[Symbol.asyncDispose]()
  return written
}

/** Each entry is there as it was, or said to be damaged, or lies where something is said to be unreadable. */
async function checkDamaged(disk: SimDisk, written: ReadonlyMap<number, WalPosition>): Promise<unknown> {
  const wal = await openWal(disk.view())
  const found = await allRecovered(wal)
  for (const { baseOffset, position, isDamaged } of found) {
    assert.deepEqual(position, written.get(baseOffset), `entry ${baseOffset} was not written there`)
    if (!isDamaged) assert.deepEqual(await wal.read(position), testBatch(baseOffset, position.lengthBytes))
  }
  const ids = new Set(idsOf(found))
  assert.equal(ids.size, found.length)
  for (const [id, { segment, positionBytes }] of written) {
    const isReported = wal.unreadable.some((place) => place.segment === segment && place.positionBytes <= positionBytes)
    assert.ok(ids.has(id) || isReported, `entry ${id} is lost, and nobody says so`)
  }
  const { unreadable } = wal
  await wal[Symbol.asyncDispose]()
  return { ids: [...ids], unreadable, damaged: found.filter(({ isDamaged }) => isDamaged).map(({ baseOffset }) => baseOffset) }
}
