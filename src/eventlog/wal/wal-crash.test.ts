import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { seededRandom } from '../../../test/support/random.ts'
import { SimDisk } from '../../../test/support/sim-disk.ts'
import { allRecovered, openWal, testEntry } from './wal.fixture.ts'
import type { Wal, WalPosition } from './wal.ts'

const firstSeed = Number(env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const runs = Math.ceil(Number(env['MILLRACE_FUZZ_RUNS'] ?? 500) / 5)
const roundsPerRun = 6

type Fate = 'appended' | 'acknowledged' | 'refused' | 'settled'
type Known = { fate: Fate; readonly life: number }

/** What a producer knows of its entries, and checks against what a start finds. */
class Model {
  readonly #entries = new Map<number, Known>()
  #life = 0
  #nextId = 0

  begin(): void {
    this.#life += 1
  }
  append(): number {
    this.#nextId += 1
    this.#entries.set(this.#nextId, { fate: 'appended', life: this.#life })
    return this.#nextId
  }
  is(id: number, fate: Fate): void {
    const known = this.#entries.get(id)
    assert.ok(known, `entry ${id} was never written`)
    if (known.fate !== 'settled') known.fate = fate
  }

  check(ids: readonly number[]): void {
    const found = new Set(ids)
    assert.equal(found.size, ids.length, 'an entry came twice')
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
      'entries came in another order',
    )
    for (const id of ids)
      assert.notEqual(this.#entries.get(id)?.fate ?? 'refused', 'refused', `entry ${id} was refused or never written`)
    let missing = { id: 0, life: -1 }
    for (const [id, { fate, life }] of this.#entries) {
      if (fate === 'acknowledged') assert.ok(found.has(id), `entry ${id} was acknowledged and is lost`)
      if (fate === 'appended' && !found.has(id)) missing = { id, life }
      if (found.has(id)) assert.notEqual(missing.life, life, `entry ${id} is there and ${missing.id}, before it, is not`)
    }
    for (const id of this.#entries.keys()) {
      if (found.has(id)) this.is(id, 'acknowledged')
      else this.#entries.delete(id)
    }
  }
}

/** Ended: what it still does, nobody sees. */
type Process = { isEnded: boolean; readonly failures: unknown[] }

/** One life of the process: open, check, append and settle, and an end of some kind. */
async function live(disk: SimDisk, model: Model, random: () => number, process: Process): Promise<void> {
  model.begin()
  let nextLife = 0
  const settings = { segmentBytes: [8192, 16_384, 65_536][Math.floor(random() * 3)] ?? 8192, maxBytes: 400_000 }
  const wal = await openWal(disk.view(), { settings, newId: () => `life-${Math.floor(random() * 2 ** 31)}-${(nextLife += 1)}` })
  assert.deepEqual(wal.unreadable, [])
  const positions = new Map<number, WalPosition>()
  for (const entry of await allRecovered(wal)) {
    assert.equal(entry.isDamaged, false)
    const expected = testEntry(entry.baseOffset, entry.position.lengthBytes)
    assert.deepEqual(await wal.read(entry.position), expected.batches)
    assert.equal(entry.partitionId, expected.partitionId)
    positions.set(entry.baseOffset, entry.position)
  }
  model.check([...positions.keys()])
  const steps = Math.floor(random() * 60)
  for (let step = 0; step < steps && !process.isEnded; step++) await act({ wal, model, random, positions, process })
  if (!process.isEnded && random() < 0.4) await wal[Symbol.asyncDispose]()
}

type Acting = { wal: Wal; model: Model; random: () => number; positions: Map<number, WalPosition>; process: Process }

async function act({ wal, model, random, positions, process }: Acting): Promise<void> {
  const kind = random()
  if (kind < 0.6) {
    const id = model.append()
    const size = random() < 0.05 ? 20_000 + Math.floor(random() * 60_000) : 61 + Math.floor(random() ** 4 * 9000)
    wal
      .append(testEntry(id, size))
      .then(
        (position) => {
          model.is(id, 'acknowledged')
          positions.set(id, position)
        },
        (error: unknown) => {
          assert.ok(error instanceof AppError)
          if (error.code === 'LOG_FULL' || error.code === 'SHUTTING_DOWN') model.is(id, 'refused')
          else assert.equal(error.code, 'LOG_UNAVAILABLE')
        },
      )
      .catch((error: unknown) => process.failures.push(error))
    return
  }
  if (kind < 0.75) {
    for (const [id, position] of [...positions].slice(0, Math.ceil(random() * positions.size))) {
      if (random() < 0.1) continue
      model.is(id, 'settled')
      positions.delete(id)
      wal.settle(position)
    }
    return
  }
  for (let turns = Math.floor(random() * 60); turns > 0; turns--) await Promise.resolve()
}

/** Runs `live` until it ends or the power is cut. */
async function liveUntilCut(disk: SimDisk, model: Model, random: () => number): Promise<void> {
  const process: Process = { isEnded: false, failures: [] }
  const cut = new Promise<void>((resolve) => {
    disk.onPowerCut = resolve
  })
  const chance = random()
  if (chance < 0.5) disk.powerCutAfter(1 + Math.floor(random() * 150))
  if (chance > 0.5 && chance < 0.6) disk.fail({ operation: 'sync', code: 'EIO', skip: Math.floor(random() * 40) })
  if (chance > 0.6 && chance < 0.65) disk.fail({ operation: 'write', code: 'EIO', skip: Math.floor(random() * 40) })
  if (chance > 0.65 && chance < 0.75) disk.fail({ operation: 'write', code: 'ENOSPC', skip: Math.floor(random() * 20), times: 3 })
  disk.capacityBytes = random() < 0.2 ? disk.usedBytes + random() * 60_000 : Infinity
  const living = live(disk, model, random, process).catch((error: unknown) => {
    // A disk that fails at the start is a start that fails.
    if (!(error instanceof AppError && error.code === 'LOG_UNAVAILABLE')) throw error
  })
  await Promise.race([living, cut])
  process.isEnded = true
  if (process.failures.length > 0) throw process.failures[0]
  if (random() < 0.5) disk.powerCut()
  else disk.kill()
}

test(`what was acknowledged is recovered in order, and nothing else, whenever the power is cut (seed ${firstSeed})`, async () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const random = seededRandom(seed)
    const disk = new SimDisk({ random })
    const model = new Model()
    try {
      for (let round = 0; round < roundsPerRun; round++) await liveUntilCut(disk, model, random)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
})
