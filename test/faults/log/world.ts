import type { Logger } from 'pino'
import { pino } from 'pino'
import { LogAgent } from '#eventlog/agent.ts'
import type { LogMetadata } from '#eventlog/metadata/log-metadata.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import type { LogSettings } from '#eventlog/settings.ts'
import { AppError } from '#lib/errors.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { logSettings } from '../../support/log-agent.ts'
import { seededRandom } from '../../support/random.ts'
import { SimDisk } from '../../support/sim-disk.ts'
import { Life } from '../../support/sim-life.ts'
import { simMetadata } from '../../support/sim-metadata.ts'
import { simObjectStore, type SimObjects } from '../../support/sim-object-store.ts'
import { SimTime } from '../../support/sim-time.ts'
import { Model, Violation } from './model.ts'

/** How a service behind the network is: `failing` is the part of requests that it refuses, `losing` the part whose answers get lost after they were done. */
export type Service = { failing: number; losing: number; latencyMs: number }

/** Ends the process, or with it whatever the disk has not synced. */
export type CrashKind = 'kill' | 'powerCut'

export type Machine = {
  readonly disk: SimDisk
  life: Life
  /** The crash that is to come: at a step, or when a request of this name is on its way. */
  crash: { kind: CrashKind; at: number | string } | undefined
  /** The process stands still until this resolves. */
  pause: Promise<void> | undefined
}

type Process = { readonly machine: Machine; readonly life: Life }
type Request<T> = { readonly name: string; readonly to: Service; readonly step: () => Promise<T> }

const historyLength = 4000
/** Requests that are on their way without those who sent them. */
const outlives = ['commitObject', 'put']

/**
 * Everything around the agents: time, disks, an object store and a database, all in memory and all decided by a seed. A machine has a disk and runs one process;
 * when that crashes, nothing of it goes on.
 */
export class World implements AsyncDisposable {
  readonly time: SimTime
  readonly objects: SimObjects = new Map()
  readonly model: Model
  readonly metadata: LogMetadata
  readonly database: Database
  readonly store: Service = { failing: 0, losing: 0, latencyMs: 20 }
  readonly sql: Service = { failing: 0, losing: 0, latencyMs: 2 }
  /** Delay of an operation of a disk, in front of some of them. */
  diskMs = 0
  cutStreams = 0
  isDamaged = false
  readonly history: string[] = []
  violation: Error | undefined
  /** Called around each request to database and object store, named by its method. */
  onRequest: (name: string, when: 'before' | 'after') => void = () => undefined
  readonly #seed: number
  readonly #machines: Machine[] = []
  readonly #random: () => number
  #running = 0
  #stepCount = 0
  #idCount = 0

  static async create(seed: number): Promise<World> {
    const database = await openDatabase({ url: 'sqlite::memory:', log: silent })
    return new World(seed, database)
  }

  private constructor(seed: number, database: Database) {
    this.#seed = seed
    this.database = database
    this.#random = this.random('world')
    this.time = new SimTime({ isBusy: () => this.#running > 0 })
    this.model = new Model({
      objects: this.objects,
      isOnDisk: (bytes) => this.#machines.some(({ disk }) => disk.holdsDurably(bytes, /\.(wal|damaged)$/)),
      isDamaged: () => this.isDamaged,
      note: (text) => this.note(text),
    })
    this.metadata = this.model.watch(sqlLogMetadata(database))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { life } of this.#machines) life.end()
    await this.time.settle()
    await this.database[Symbol.asyncDispose]()
  }

  /** Chances of one part of the world, which do not depend on what the others take. */
  random(part: string): () => number {
    let seed = this.#seed
    for (const char of part) seed = Math.imul(seed ^ char.charCodeAt(0), 0x0100_0193)
    return seededRandom(seed)
  }

  note(text: string): void {
    this.history.push(`${(this.time.monotonicMs() / 1000).toFixed(3)} ${text}`)
    if (this.history.length > historyLength) this.history.splice(0, historyLength / 2)
  }

  /** Keeps the first thing that must not happen. */
  fail(error: unknown): void {
    if (this.violation) return
    this.violation = error instanceof Error ? error : new Violation(String(error))
    this.note(`VIOLATION ${this.violation.message}`)
  }

  addMachine(): Machine {
    const machine = {
      disk: new SimDisk({ random: this.random(`disk${this.#machines.length}`) }),
      life: new Life(),
      crash: undefined,
      pause: undefined,
    }
    machine.life.end()
    this.#machines.push(machine)
    return machine
  }

  /** Begins a life of the machine's process. */
  start(machine: Machine): Life {
    machine.life = new Life()
    return machine.life
  }

  /** Opens an agent in the process that runs on a machine. */
  async open(machine: Machine, settings: Partial<LogSettings> = {}): Promise<LogAgent> {
    const { life } = machine
    const process = { machine, life }
    const random = this.random(`agent${this.#stepCount}`)
    return await LogAgent.open({
      settings: { ...logSettings(), ...settings },
      metadata: simMetadata(this.metadata, (name, step) => this.#request(process, { name, to: this.sql, step })),
      objects: simObjectStore(this.objects, {
        request: (name, step) => this.#request(process, { name, to: this.store, step }),
        beforeDelete: (key) => this.#checkDelete(key),
        isCut: () => this.#random() < this.cutStreams,
      }),
      walDirectory: '/wal',
      disk: life.disk(machine.disk.view(), () => this.#beforeDisk(machine, life)),
      clock: this.time,
      timers: life.timers(this.time),
      random,
      newId: () => this.#newId(),
      newUuid: () => `00000000-0000-4000-8000-${this.#newId().slice(-12)}`,
      log: silent,
    })
  }

  /** Crashes the process of a machine after some more steps, or during its next request of a name. */
  crashAt(machine: Machine, kind: CrashKind, at: number | string): void {
    machine.crash ??= { kind, at: typeof at === 'number' ? this.#stepCount + at : at }
  }

  crash(machine: Machine, kind: CrashKind): void {
    machine.crash = undefined
    if (machine.life.hasEnded()) return
    this.note(kind === 'kill' ? 'killed' : 'power cut')
    machine.life.end()
    if (kind === 'kill') machine.disk.kill()
    else machine.disk.powerCut()
    try {
      this.model.ended()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Everything works from now on. */
  heal(): void {
    for (const service of [this.store, this.sql]) Object.assign(service, { failing: 0, losing: 0, latencyMs: 2 })
    this.diskMs = 0
    this.cutStreams = 0
    for (const machine of this.#machines) {
      machine.disk.capacityBytes = Infinity
      machine.crash = undefined
    }
  }

  async #request<T>({ machine, life }: Process, { name, to: service, step }: Request<T>): Promise<T> {
    const code = service === this.sql ? 'DATABASE_UNAVAILABLE' : 'OBJECTS_UNAVAILABLE'
    return await life.guard(async () => {
      await this.#latency(service)
      if (machine.crash?.at === name && this.#random() < 0.7) this.crash(machine, machine.crash.kind)
      if (life.hasEnded() && outlives.includes(name) && this.#random() < 0.5) void this.#arriveLate(step)
      this.onRequest(name, 'before')
      await this.#step(machine, life)
      if (this.#random() < service.failing) throw new AppError(code, 'simulated: it is away')
      const result = await this.#execute(step)
      await this.#latency(service)
      if (machine.crash?.at === name) this.crash(machine, machine.crash.kind)
      this.onRequest(name, 'after')
      await this.#step(machine, life)
      if (this.#random() < service.losing) throw new AppError(code, 'simulated: it was done, the answer is lost')
      return result
    })
  }

  /** What a process had sent before it ended may be done while the next one is at work. */
  async #arriveLate(step: () => Promise<unknown>): Promise<void> {
    await this.time.sleep(this.#random() * 3000)
    await this.#execute(step).catch(() => undefined)
  }

  async #execute<T>(step: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await step()
    } catch (error) {
      if (error instanceof Violation || (error instanceof AppError && error.code === 'INTERNAL')) this.fail(error)
      throw error
    } finally {
      this.#running -= 1
    }
  }

  async #latency({ latencyMs }: Service): Promise<void> {
    const delayMs = this.#random() < 0.5 ? 0 : this.#random() ** 3 * 2 * latencyMs
    if (delayMs > 0) await this.time.sleep(delayMs)
  }

  async #beforeDisk(machine: Machine, life: Life): Promise<void> {
    if (this.diskMs > 0 && this.#random() < 0.3) await this.time.sleep(this.#random() * this.diskMs)
    await this.#step(machine, life)
  }

  /** A point at which the process may end. */
  async #step(machine: Machine, life: Life): Promise<void> {
    this.#stepCount += 1
    await machine.pause
    if (typeof machine.crash?.at === 'number' && this.#stepCount >= machine.crash.at) this.crash(machine, machine.crash.kind)
    if (life.hasEnded()) await new Promise<never>(() => undefined)
  }

  /** An object is deleted only when the database says so, and nothing refers to it (I12, I14). */
  async #checkDelete(key: string): Promise<void> {
    const { db } = this.database
    const object = await db.selectFrom('log_objects').select(['id', 'state']).where('object_key', '=', key).executeTakeFirst()
    if (!object) return
    if (object.state !== 'deleting') throw new Violation(`I12: object ${key} was deleted while it was ${object.state}`)
    const extent = await db.selectFrom('extents').select('base_offset').where('object_id', '=', object.id).executeTakeFirst()
    if (extent) throw new Violation(`I14: object ${key} was deleted, an extent refers to it`)
  }

  #newId(): string {
    this.#idCount += 1
    return String(this.#idCount).padStart(22, '0')
  }
}

const silent: Logger = pino({ level: 'silent' })
