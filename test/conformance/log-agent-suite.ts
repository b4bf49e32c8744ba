import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import type { LogAgent } from '#eventlog/agent.ts'
import { Collector } from '#eventlog/collector.ts'
import type { LogMetadata } from '#eventlog/metadata/log-metadata.ts'
import { decodeBatch, encodeBatch } from '#formats/kafka/records.ts'
import { ManualClock } from '#lib/clock.ts'
import { ManualTimers } from '#lib/timers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { openLog, type OpenedLog } from '../support/log-agent.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

type OpenedMetadata = AsyncDisposable & { readonly metadata: LogMetadata }
/** Databases for the suite; `create` makes an empty one, and what it gives back opens it. */
export type Databases = AsyncDisposable & {
  create(): Promise<() => Promise<OpenedMetadata>>
  /** Ends the server until the result is disposed of; only where there is one. */
  takeAway(): Promise<AsyncDisposable>
}
/** The same for object stores. */
export type Stores = AsyncDisposable & {
  create(): Promise<() => Promise<ObjectStore>>
  takeAway(): Promise<AsyncDisposable>
}

/** A log that can be opened again and again on the same disk, database and store. */
class Place implements AsyncDisposable {
  readonly #directory: string
  readonly #openDatabase: () => Promise<OpenedMetadata>
  readonly #openStore: () => Promise<ObjectStore>
  readonly #cleaning: AsyncDisposable

  private constructor(options: {
    directory: string
    openDatabase: () => Promise<OpenedMetadata>
    openStore: () => Promise<ObjectStore>
    cleaning: AsyncDisposable
  }) {
    this.#directory = options.directory
    this.#openDatabase = options.openDatabase
    this.#openStore = options.openStore
    this.#cleaning = options.cleaning
  }

  static async make(databases: Databases, stores: Stores): Promise<Place> {
    const cleaning = await temporaryDirectory()
    const [openDatabase, openStore] = [await databases.create(), await stores.create()]
    return new Place({ directory: cleaning.path, openDatabase, openStore, cleaning })
  }

  async open(): Promise<OpenedLog & { readonly metadata: LogMetadata; readonly objects: ObjectStore }> {
    await using stack = new AsyncDisposableStack()
    const { metadata } = stack.use(await this.#openDatabase())
    const objects = stack.use(await this.#openStore())
    const log = stack.use(
      await openLog({
        directory: this.#directory,
        settings: { cacheBytes: 0, objectBytes: 65_536, objectAckMilliseconds: 20 },
        options: { metadata, objects },
      }),
    )
    const opened = stack.move()
    return { ...log, metadata, objects, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#cleaning[Symbol.asyncDispose]())
  }
}

const first = { topic: 'orders', partition: 0 } as const

function batchOf(value: string): Buffer {
  return encodeBatch([{ key: null, value: Buffer.from(value), headers: [], timestampMs: 1000 }])
}

async function readAll(agent: LogAgent): Promise<string[]> {
  const values: string[] = []
  for (;;) {
    const partitions = [{ ...first, offset: values.length, maxBytes: 100_000 }]
    const [fetched] = await agent.fetch({ partitions, maxBytes: 100_000, minBytes: 0, maxWaitMs: 0 })
    if (fetched?.error) throw fetched.error
    const records = (fetched?.batches ?? [])
      .flatMap((batch) => decodeBatch(batch))
      .filter(({ offset }) => offset >= values.length)
    if (records.length === 0) return values
    values.push(...records.map(({ value }) => String(value)))
  }
}

/** What one agent promises, on a real database and a real object store. */
export function logAgentSuite(
  name: string,
  options: { openDatabases: () => Promise<Databases>; openStores: () => Promise<Stores>; hasDatabaseServer: boolean },
): void {
  describe(`log agent on ${name}`, () => {
    const opened = new AsyncDisposableStack()
    let databases: Databases
    let stores: Stores
    before(async () => {
      databases = opened.use(await options.openDatabases())
      stores = opened.use(await options.openStores())
    })
    after(() => opened.disposeAsync())

    test('records of both durabilities are read back from objects, also after a restart', async () => {
      await using place = await Place.make(databases, stores)
      const values = Array.from({ length: 300 }, (_, n) => `${n} ${'x'.repeat(500)}`)
      {
        await using log = await place.open()
        await log.agent.topics.create({ name: 'orders' })
        for (const [n, value] of values.entries()) {
          await log.agent.append(first, batchOf(value), { ack: n % 100 === 0 ? 'object' : 'wal' })
        }
        await log.agent.flush()
        assert.deepEqual(await readAll(log.agent), values)
      }
      await using log = await place.open()
      assert.deepEqual(await readAll(log.agent), values)
      assert.equal((await log.agent.append(first, batchOf('more'))).baseOffset, 300)
    })

    test('while the object store is away records are acknowledged by the disk; then they are committed in order', async () => {
      await using place = await Place.make(databases, stores)
      await using log = await place.open()
      await log.agent.topics.create({ name: 'orders' })
      let durable: Promise<unknown>
      {
        await using _away = await stores.takeAway()
        for (const value of ['a', 'b', 'c']) await log.agent.append(first, batchOf(value))
        durable = log.agent.append(first, batchOf('d'), { ack: 'object' })
        await until(() => log.agent.trouble !== undefined)
        assert.deepEqual(await readAll(log.agent), ['a', 'b', 'c', 'd'])
      }
      await durable
      assert.equal(log.agent.trouble, undefined)
      assert.deepEqual(await readAll(log.agent), ['a', 'b', 'c', 'd'])
    })

    if (options.hasDatabaseServer) {
      test('while the database is away records are acknowledged by the disk; then they are committed once', async () => {
        await using place = await Place.make(databases, stores)
        await using log = await place.open()
        await log.agent.topics.create({ name: 'orders' })
        let durable: Promise<unknown>
        {
          await using _away = await databases.takeAway()
          for (const value of ['a', 'b']) await log.agent.append(first, batchOf(value))
          durable = log.agent.append(first, batchOf('c'), { ack: 'object' })
          await until(() => log.agent.trouble?.code === 'DATABASE_UNAVAILABLE')
        }
        await durable
        assert.deepEqual(await readAll(log.agent), ['a', 'b', 'c'])
      })
    }

    test('what is deleted leaves the object store', async () => {
      await using place = await Place.make(databases, stores)
      await using log = await place.open()
      await log.agent.topics.create({ name: 'orders' })
      await log.agent.append(first, batchOf('a'), { ack: 'object' })
      await log.agent.append(first, batchOf('b'), { ack: 'object' })
      const count = async () => (await log.objects.list({ prefix: 'data/' })).objects.length
      assert.equal(await count(), 2)
      assert.equal(await log.agent.deleteRecords(first, 1), 1)
      const clock = new ManualClock(Date.now() + 3_600_000)
      const { metadata, objects } = log
      const deps = {
        metadata,
        objects,
        clock,
        timers: new ManualTimers(clock),
        random: Math.random,
        log: pino({ level: 'silent' }),
      }
      await using collector = new Collector({ ...deps, intervalMs: 60_000 })
      await collector.runOnce()
      assert.equal(await count(), 1)
      await log.agent.topics.delete('orders')
      await collector.runOnce()
      clock.advance(3_600_000)
      await collector.runOnce()
      assert.equal(await count(), 0)
    })
  })
}
