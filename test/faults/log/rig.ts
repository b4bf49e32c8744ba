import assert from 'node:assert/strict'
import type { LogAgent } from '#eventlog/agent.ts'
import type { Appended } from '#eventlog/append-run.ts'
import type { LogSettings } from '#eventlog/settings.ts'
import type { AckLevel, TopicConfig } from '#eventlog/topic-config.ts'
import { decodeBatch } from '#formats/kafka/records.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { makeBatch, type ProducerPlace } from './batches.ts'
import { World, type CrashKind, type Machine } from './world.ts'

/** Long enough for everything that is not away. */
const limitMs = 60_000

type Sending = {
  readonly topic?: string
  readonly ack?: AckLevel
  readonly timeoutMs?: number
  readonly producer?: ProducerPlace
  readonly valueBytes?: number
}

/** For scenes with a plot: a world, one step after the other, and nothing that happens by chance. */
export class Rig implements AsyncDisposable {
  readonly world: World
  readonly machine: Machine

  static async create(seed: number): Promise<Rig> {
    return new Rig(await World.create(seed))
  }

  private constructor(world: World) {
    this.world = world
    this.machine = world.addMachine()
    world.heal()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
    if (this.world.violation) throw this.world.violation
  }

  /** Lets time go on until this is settled. */
  async do<T>(promise: Promise<T>): Promise<T> {
    return await this.world.time.settlement(promise, limitMs)
  }

  async sleep(ms: number): Promise<void> {
    await this.world.time.run({ until: () => false, limitMs: ms })
  }

  async start(settings: Partial<LogSettings> = {}, machine = this.machine): Promise<LogAgent> {
    this.world.start(machine)
    return await this.do(this.world.open(machine, { objectMilliseconds: 1000, objectAckMilliseconds: 20, ...settings }))
  }

  async createTopic(agent: LogAgent, config: Partial<TopicConfig> = {}, name = 'events'): Promise<void> {
    await this.do(agent.topics.create({ name, partitionCount: 1, config: { retentionMs: -1, ...config } }))
  }

  append(agent: LogAgent, name: string, options: Sending = {}): Promise<Appended> {
    const { topic = 'events', ack = 'wal', timeoutMs, producer, valueBytes = 10 } = options
    const batch = makeBatch({ name, recordCount: 1, timestampMs: this.world.time.nowMs(), producer, valueBytes })
    this.world.model.sending(batch)
    return agent.append({ topic, partition: 0 }, batch.bytes, { ack, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  }

  async send(agent: LogAgent, name: string, options: Sending = {}): Promise<Appended> {
    return await this.do(this.append(agent, name, options))
  }

  /** Asserts that it fails so. */
  async refuses(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
    await assert.rejects(this.do(promise), (error) => error instanceof AppError && error.code === code)
  }

  /** Names of the batches that a consumer is shown, from the log start. */
  async read(agent: LogAgent, topic = 'events'): Promise<string[]> {
    const found: string[] = []
    const { logStart, highWatermark } = agent.topics.get(topic).partition(0)
    for (let offset = logStart; offset < highWatermark;) {
      const partitions = [{ topic, partition: 0, offset, maxBytes: 100_000 }]
      const [fetched] = await this.do(agent.fetch({ partitions, maxBytes: 100_000, minBytes: 0, maxWaitMs: 0 }))
      if (fetched?.error) throw fetched.error
      assert.ok(fetched && fetched.batches.length > 0)
      const records = fetched.batches.flatMap((batch) => decodeBatch(batch))
      found.push(...records.map(({ key }) => key?.toString() ?? ''))
      offset = (records.at(-1)?.offset ?? 0) + 1
    }
    return found
  }

  crash(kind: CrashKind, machine = this.machine): void {
    this.world.crash(machine, kind)
  }

  /** Crashes the process the next time that it sends this request. */
  crashAt(name: string, when: 'before' | 'after', kind: CrashKind = 'kill'): void {
    this.world.onRequest = (request, phase) => {
      if (request !== name || phase !== when) return
      this.world.onRequest = () => undefined
      this.crash(kind)
    }
  }

  /** Until the process has ended. */
  async ended(): Promise<void> {
    await this.do(this.machine.life.ended)
  }
}
