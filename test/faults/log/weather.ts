import { blockBytes, entriesStart, entryHeaderBytes, entryMagicBytes, parsedBytes } from '#eventlog/wal/wal-format.ts'
import type { SimDisk } from '../../support/sim-disk.ts'
import type { Scenario } from './scenario.ts'
import type { Service } from './world.ts'

/** What may go wrong. */
export const faultKinds = [
  'kill',
  'powerCut',
  'restart',
  'syncError',
  'diskFull',
  'slowDisk',
  'storeOutage',
  'databaseOutage',
  'lostAnswers',
  'slowServices',
  'cutStreams',
  'clockJump',
  'bitFlip',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** A part of the crashes is aimed at these. */
const requests = [
  'commitObject',
  'commitObject',
  'commitObject',
  'put',
  'put',
  'reserveObjects',
  'advanceLogStart',
  'deleteTopic',
]

const dayMs = 24 * 3_600_000

/** Lets things go wrong, of the kinds that a seed allows, and mends them again. */
export class Weather {
  readonly #scenario: Scenario
  readonly #kinds: readonly FaultKind[]
  readonly #random: () => number
  /** As services are between two faults. */
  readonly #calm: ReadonlyMap<Service, Service>

  constructor(scenario: Scenario, kinds: readonly FaultKind[]) {
    this.#scenario = scenario
    this.#kinds = kinds
    this.#random = scenario.world.random('weather')
    const { store, sql } = scenario.world
    this.#calm = new Map([store, sql].map((service) => [service, { ...service }]))
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#scenario.world.time.sleep(200 + this.#random() * 4000)
      if (this.#scenario.isEnding) return
      // All kinds are drawn from, so that what one seed does without a kind is the rest of what it does with it.
      const kind = faultKinds[Math.floor(this.#random() * faultKinds.length)]
      const strength = this.#random()
      if (kind && this.#kinds.includes(kind)) void this.#strike(kind, strength)
    }
  }

  async #strike(kind: FaultKind, strength: number): Promise<void> {
    const { world, machine, supervisor } = this.#scenario
    world.note(`${kind} ${strength.toFixed(2)}`)
    const steps = 1 + Math.floor(strength ** 3 * 200)
    switch (kind) {
      case 'kill':
      case 'powerCut':
        return world.crashAt(machine, kind, requests[Math.floor(strength * 20)] ?? steps)
      case 'restart':
        return supervisor.restart()
      case 'syncError':
        return machine.disk.fail({ operation: 'sync', code: 'EIO', skip: Math.floor(strength * 10) })
      case 'diskFull': {
        machine.disk.capacityBytes = machine.disk.usedBytes + Math.floor(strength * 10_000)
        await this.#later(strength)
        machine.disk.capacityBytes = Infinity
        return
      }
      case 'slowDisk': {
        world.diskMs = strength * 30
        await this.#later(strength)
        world.diskMs = 0
        return
      }
      case 'storeOutage':
        return await this.#during(world.store, { failing: strength < 0.5 ? 1 : strength }, strength)
      case 'databaseOutage':
        return await this.#during(world.sql, { failing: strength < 0.5 ? 1 : strength }, strength)
      case 'lostAnswers':
        return await this.#during(strength < 0.5 ? world.store : world.sql, { losing: 0.1 + strength / 2 }, strength)
      case 'slowServices':
        return await this.#during(strength < 0.5 ? world.store : world.sql, { latencyMs: 2000 * strength }, strength)
      case 'cutStreams': {
        world.cutStreams = strength / 2
        await this.#later(strength)
        world.cutStreams = 0
        return
      }
      case 'clockJump':
        return world.time.jump(strength < 0.3 ? -strength * dayMs : strength * 1.5 * dayMs)
      case 'bitFlip':
        return this.#flip(strength)
      default:
        return kind satisfies never
    }
  }

  async #during(service: Service, change: Partial<Service>, strength: number): Promise<void> {
    Object.assign(service, change)
    await this.#later(strength)
    if (!this.#scenario.isEnding) Object.assign(service, { ...this.#calm.get(service) })
  }

  async #later(strength: number): Promise<void> {
    await this.#scenario.world.time.sleep(500 + strength ** 2 * 30_000)
  }

  /** Flips bits of an object, or of an entry of the write-ahead log. */
  #flip(strength: number): void {
    const { world, machine } = this.#scenario
    const objects = [...world.objects.values()]
    const bytes = objects[Math.floor(this.#random() * objects.length)]
    if (bytes && strength < 0.4) {
      const at = Math.floor(this.#random() * bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ 0x10
      world.isDamaged = true
      return
    }
    const entries = provenEntries(machine.disk)
    const entry = entries[Math.floor(this.#random() * entries.length)]
    if (!entry) return
    const lengthBytes = strength < 0.7 ? parsedBytes : entry.lengthBytes
    machine.disk.corrupt(entry.path, entry.at + Math.floor(this.#random() * lengthBytes))
    world.isDamaged = true
    if (this.#random() < 0.5) world.crashAt(machine, 'kill', 1)
  }
}

/**
 * Entries of the write-ahead log that a later group proves to have been synced: damage to the very last group passes for a torn tail (wal-format.ts), so nobody
 * could tell.
 */
function provenEntries(disk: SimDisk): { path: string; at: number; lengthBytes: number }[] {
  const paths = disk.paths.filter((path) => path.endsWith('.wal'))
  const entries = paths.flatMap((path) => {
    const bytes = disk.contentOf(path)
    const number = Number(path.match(/(\d+)\.wal$/)?.[1])
    const found: { path: string; at: number; lengthBytes: number; groupStart: number }[] = []
    for (let at = bytes.indexOf(entryMagicBytes, entriesStart); at >= 0; at = bytes.indexOf(entryMagicBytes, at + 1)) {
      const isOwn = at % blockBytes === 0 && bytes.readUInt32BE(at + 8) === number && bytes.readUInt32BE(at + 12) === at
      if (isOwn)
        found.push({
          path,
          at,
          groupStart: bytes.readUInt32BE(at + 16),
          lengthBytes: entryHeaderBytes + bytes.readUInt32BE(at + 20),
        })
    }
    return found
  })
  const last = entries.at(-1)
  return entries.filter(({ path, at }) => last && (path !== last.path || at < last.groupStart))
}
