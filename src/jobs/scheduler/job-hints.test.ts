import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '#lib/clock.ts'
import { systemTimers } from '#lib/timers.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { startPostgres, type PostgresServer } from '../../../test/support/postgres.ts'
import { until } from '../../../test/support/until.ts'
import { jobHints, PostgresHints } from './job-hints.ts'
import { openFleet, silentLog } from './scheduler.fixture.ts'

describe('hints over PostgreSQL', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  /** Gives what makes the hints of a node. */
  async function hintsOf(
    url: string,
    database: Database,
    nodeId: string,
  ): Promise<(onReady: (count: number) => void) => PostgresHints> {
    const open = await jobHints({ database, url, nodeId, clock: systemClock, timers: systemTimers, log: silentLog })
    return (onReady) => {
      const hints = open(onReady)
      assert.ok(hints instanceof PostgresHints)
      return hints
    }
  }

  test('others hear what became ready, summed up, and nobody hears himself twice', async () => {
    const url = await server.createDatabase()
    await using database = await openDatabase({ url, log: silentLog })
    const heard = { a: [] as number[], b: [] as number[] }
    const [openA, openB] = [await hintsOf(url, database, 'a'), await hintsOf(url, database, 'b')]
    await using a = openA((count) => heard.a.push(count))
    await using b = openB((count) => heard.b.push(count))
    await until(() => a.isListening && b.isListening)
    for (let time = 0; time < 100; time++) a.announce(1)
    await until(() => heard.b.reduce((sum, count) => sum + count, 0) === 100)
    assert.ok(heard.b.length < 10, `${heard.b.length} notifications`)
    assert.equal(heard.a.length, 100)
  })

  test('a worker that waits at one node gets what is submitted at another', async () => {
    const url = await server.createDatabase()
    await using first = await openFleet({ database: await openDatabase({ url, log: silentLog }) })
    const database = await openDatabase({ url, log: silentLog })
    const open = await hintsOf(url, database, 'second')
    let listener: PostgresHints | undefined
    await using second = await openFleet({
      database,
      deps: { hints: (onReady) => (listener = open(onReady)) },
    })
    await using announcer = (await hintsOf(url, first.database, 'first'))(() => {})
    await until(() => listener?.isListening && announcer.isListening)
    const worker = await second.addWorker('one')
    const waiting = worker.claim({ waitMs: 30_000 })
    await until(() => second.scheduler.fleet.waitingWorkers === 1)
    await first.scheduler.submit({ scenario: 'tiny', input: { source: { object: first.source } } })
    announcer.announce(1)
    assert.equal((await waiting)[0]?.spec.kind, 'probe')
  })

  test('a database that was away is listened to again; claims say that it is away, and workers keep their tasks', async () => {
    const url = await server.createDatabase()
    const database = await openDatabase({ url, log: silentLog, waitTimeoutMs: 500 })
    const settings = { leaseMs: 1000, heartbeatMs: 200, retentionMs: 1e9, maxWaitingJobs: 10 }
    const open = await hintsOf(url, database, 'one')
    let listener: PostgresHints | undefined
    await using fleet = await openFleet({
      database,
      deps: { settings, hints: (onReady) => (listener = open(onReady)) },
    })
    await until(() => listener?.isListening)
    await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } } })
    const worker = await fleet.addWorker('one')
    const task = await worker.take()
    await server.kill()
    const goneAtMs = Date.now()
    fleet.scheduler.start()
    await assert.rejects(worker.claim(), { code: 'DATABASE_UNAVAILABLE' })
    await until(() => !listener?.isListening)
    await until(() => Date.now() > goneAtMs + settings.leaseMs * 2)
    await server.restart()
    const { isKnown, stop } = await until(() => worker.heartbeat([task], { frames: 1 }).catch(() => undefined))
    assert.deepEqual([isKnown, stop], [true, []])
    assert.equal(await worker.finish(task), 'done')
    await until(() => listener?.isListening)
  })
})
