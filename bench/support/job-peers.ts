/** Graphile Worker and pg-boss, as libraries in this process, each in a database of its own. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import { PgBoss } from 'pg-boss'

/** A queue of jobs that do nothing. */
export interface JobPeer extends AsyncDisposable {
  /** Milliseconds from the call that adds a job until its handler begins, `count` times, one after the other. */
  latencies(count: number): Promise<number[]>
  /** Jobs per second that eight workers take and end. */
  throughput(count: number): Promise<number>
}

const name = 'nothing'
const concurrency = 8

/** The handler of the next job. */
class Handled {
  #waiting: ((atMs: number) => void) | undefined
  #left = 0
  #all: (() => void) | undefined

  begin(): void {
    this.#waiting?.(performance.now())
    this.#left -= 1
    if (this.#left === 0) this.#all?.()
  }
  async next(add: () => Promise<unknown>): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#waiting = resolve
    const startedAtMs = performance.now()
    await add()
    return (await promise) - startedAtMs
  }
  async all(count: number, start: () => Promise<unknown>): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#left = count
    this.#all = resolve
    const startedAtMs = performance.now()
    await start()
    await promise
    return (count * 1000) / (performance.now() - startedAtMs)
  }
}

/** It wakes its workers by LISTEN and NOTIFY. */
export async function startGraphile(connectionString: string): Promise<JobPeer> {
  const logger = new Logger(() => () => {})
  const utils = await makeWorkerUtils({ connectionString, logger })
  await utils.migrate()
  const handled = new Handled()
  const taskList = { [name]: async () => handled.begin() }
  const start = () => run({ connectionString, concurrency, taskList, logger, noHandleSignals: true, maxPoolSize: 10 })
  return {
    async latencies(count) {
      const runner = await start()
      const times = []
      for (let n = 0; n < count; n++) times.push(await handled.next(() => utils.addJob(name, { n })))
      await runner.stop()
      return times
    },
    async throughput(count) {
      await utils.addJobs(Array.from({ length: count }, (_, n) => ({ identifier: name, payload: { n } })))
      let runner: Awaited<ReturnType<typeof start>> | undefined
      const perSecond = await handled.all(count, async () => (runner = await start()))
      await runner?.stop()
      return perSecond
    },
    async [Symbol.asyncDispose]() {
      await utils.release()
    },
  }
}

/** `isNotified`: by LISTEN and NOTIFY, which it does not use unless told to; else it looks for work every two seconds. */
export async function startPgBoss(connectionString: string, { isNotified }: { isNotified: boolean }): Promise<JobPeer> {
  const boss = new PgBoss({ connectionString, useListenNotify: isNotified })
  boss.on('error', (error: Error) => console.error(error.message))
  await boss.start()
  await boss.createQueue(name, { notify: isNotified })
  const handled = new Handled()
  return {
    async latencies(count) {
      const id = await boss.work(name, async () => handled.begin())
      const times = []
      for (let n = 0; n < count; n++) times.push(await handled.next(() => boss.send(name, { n })))
      await boss.offWork(name, { id, wait: true })
      return times
    },
    async throughput(count) {
      await boss.insert(
        name,
        Array.from({ length: count }, (_, n) => ({ data: { n } })),
      )
      const startedAtMs = performance.now()
      await Promise.all(Array.from({ length: concurrency }, takeAll))
      return (count * 1000) / (performance.now() - startedAtMs)
    },
    async [Symbol.asyncDispose]() {
      await boss.stop({ graceful: false })
    },
  }

  async function takeAll(): Promise<void> {
    for (;;) {
      const jobs = await boss.fetch(name, { batchSize: 4 })
      if (jobs.length === 0) return
      await boss.complete(
        name,
        jobs.map(({ id }) => id),
      )
    }
  }
}
