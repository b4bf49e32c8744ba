import type { LogSettings } from '#eventlog/settings.ts'
import type { Durability } from '#eventlog/topic-config.ts'
import { Admin } from './admin.ts'
import { Consumer } from './consumer.ts'
import { checkAll } from './final-check.ts'
import { Violation } from './model.ts'
import { Producer } from './producer.ts'
import { Supervisor, type Running } from './supervisor.ts'
import { Weather, faultKinds, type FaultKind } from './weather.ts'
import type { Machine, World } from './world.ts'

/** A topic as those who use it agree on it. Made again under its name, it is of another generation. */
export type TopicState = {
  readonly name: string
  readonly durability: Durability
  readonly isDeletable: boolean
  generation: number
  partitionCount: number
  isLive: boolean
}

/** What a seed stands for; less of it may be run to find out what matters. */
export type Plan = { readonly seed: number; readonly faults: readonly FaultKind[]; readonly durationMs: number }

/** How long everything may take to come to an end once nothing fails any more. */
const healLimitMs = 15 * 60_000

export function planOf(seed: number): Plan {
  const world = seed * 2_654_435_761
  const bit = (index: number): boolean => ((Math.imul(world ^ (index * 0x9e37_79b9), 0x85eb_ca6b) >>> 13) & 7) < 3
  const damage: readonly FaultKind[] = seed % 5 === 0 ? ['bitFlip', 'kill'] : []
  const faults = faultKinds.filter((kind, index) => damage.includes(kind) || (bit(index) && kind !== 'bitFlip'))
  return { seed, faults, durationMs: 12_000 + (seed % 6) * 5000 }
}

/** One run: a log, those who use it, and what goes wrong. */
export class Scenario {
  readonly world: World
  readonly machine: Machine
  readonly supervisor: Supervisor
  readonly topics: readonly TopicState[]
  readonly producers: readonly Producer[]
  readonly #admin: Admin
  readonly #plan: Plan
  readonly #producerIds = new Set<number>()
  #isEnding = false
  #isOver = false

  constructor(world: World, plan: Plan) {
    this.world = world
    this.#plan = plan
    this.machine = world.addMachine()
    this.supervisor = new Supervisor({ world, machine: this.machine, settings: settingsOf(world.random('settings')) })
    this.topics = [
      newTopic('walled', { durability: 'wal', isDeletable: false }),
      newTopic('stored', { durability: 'object', isDeletable: false }),
      newTopic('passing', { durability: 'wal', isDeletable: true }),
    ]
    this.#admin = new Admin(this)
    this.producers = ['a', 'b', 'c'].map((name, index) => new Producer({ scenario: this, name, isIdempotent: index < 2 }))
  }

  get running(): Running | undefined {
    return this.supervisor.running
  }
  /** Nothing new is begun; what was begun is brought to its end. */
  get isEnding(): boolean {
    return this.#isEnding
  }
  /** Clients end. */
  get isOver(): boolean {
    return this.#isOver || this.world.violation !== undefined
  }

  uniqueProducerId(id: number): number {
    if (this.#producerIds.has(id)) throw new Violation(`producer id ${id} was given out twice`)
    this.#producerIds.add(id)
    return id
  }

  /** Throws `Violation`, with the history in the world. */
  async run(): Promise<void> {
    const { world } = this
    const clients = [
      ...this.producers,
      ...['x', 'y'].map((name) => new Consumer({ scenario: this, name })),
      new Weather(this, this.#plan.faults),
      this.supervisor,
    ]
    for (const client of clients) void this.#watch(client.run())
    void this.#watch(this.#admin.run())
    await world.time.run({ until: () => world.violation !== undefined, limitMs: this.#plan.durationMs })
    this.#isEnding = true
    world.heal()
    world.note('healed')
    const isDone = (): boolean => world.violation !== undefined || this.#stuck() === undefined
    if (!(await world.time.run({ until: isDone, limitMs: healLimitMs }))) {
      throw new Violation(`does not come to an end: ${this.#stuck() ?? ''}`)
    }
    this.#isOver = true
    if (!world.violation) await world.time.settlement(this.#watch(checkAll(this)), healLimitMs)
    if (world.violation) throw world.violation
  }

  /** What does not come to its end yet. */
  #stuck(): string | undefined {
    if (!this.supervisor.isSteady) return 'no log is running'
    if (this.#admin.isBusy) return 'the administrator waits'
    if (this.world.isDamaged) return undefined
    return this.producers.map(({ waitsFor }) => waitsFor).find((text) => text !== undefined)
  }

  async #watch(client: Promise<void>): Promise<void> {
    try {
      await client
    } catch (error) {
      this.world.fail(error)
    }
  }
}

function newTopic(name: string, { durability, isDeletable }: { durability: Durability; isDeletable: boolean }): TopicState {
  return { name, durability, isDeletable, generation: 0, partitionCount: 1, isLive: false }
}

/** Small enough that everything that has a limit meets it. */
function settingsOf(random: () => number): Partial<LogSettings> {
  const one = (...values: readonly number[]): number => values[Math.floor(random() * values.length)] ?? 0
  return {
    walSegmentBytes: one(16_384, 32_768, 65_536),
    walMaxBytes: one(200_000, 400_000, 10_000_000),
    walSyncMilliseconds: one(0, 0, 5),
    objectBytes: one(4000, 20_000, 100_000),
    objectMilliseconds: one(500, 5000, 20_000),
    objectAckMilliseconds: one(20, 200),
    memoryBytes: one(2000, 10_000, 40_000, 10_000_000),
    cacheBytes: one(0, 0, 10_000, 1_000_000),
    coldCacheBytes: one(0, 3_000_000),
    coldReads: one(1, 8),
  }
}
