/** The routes of the job fleet on a real port, over a scheduler with a real database and a real directory of objects. */
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import { openFleet, silentLog, type TestFleet } from '#jobs/scheduler/scheduler.fixture.ts'
import { sqlJobLogs } from '#jobs/sql/sql-job-logs.ts'
import { systemClock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import { ObjectTransfers } from '#store/objects/transfers.ts'
import type { App } from './app.ts'
import { errorHandler } from './error-answers.ts'
import type { JobServices } from './job-services.ts'
import { jobFileRoutes } from './routes/job-files.ts'
import { jobSourceRoutes } from './routes/job-sources.ts'
import { jobRoutes } from './routes/jobs.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { objectRoutes } from './routes/objects.ts'
import { scenarioRoutes } from './routes/scenarios.ts'
import { workerRoutes } from './routes/worker.ts'
import { validatorCompiler } from './validation.ts'

type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown }

export type TestJobsApi = AsyncDisposable & {
  readonly url: string
  readonly fleet: TestFleet
  /** Sends `body` as JSON and reads the answer as JSON. */
  call(method: string, path: string, options?: { body?: unknown; headers?: Record<string, string> }): Promise<Answer>
}

export async function startJobsApi(options: Parameters<typeof openFleet>[0] = {}): Promise<TestJobsApi> {
  await using stack = new AsyncDisposableStack()
  const fleet = stack.use(await openFleet(options))
  const { scheduler, store, scenarios, objects, database } = fleet
  const transfers = new ObjectTransfers({ objects, secret: randomBytes(32), clock: systemClock, ttlSeconds: 60 })
  const logs = sqlJobLogs(database)
  const closing = new AbortController()
  const jobs: JobServices = { scheduler, store, scenarios, objects, transfers, logs, newId: () => newId(Date.now()) }
  const app: App = Fastify({ forceCloseConnections: true, bodyLimit: 2 ** 20 })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(errorHandler(silentLog))
  void app.register(
    async (v1: App) => {
      jobRoutes(v1, { jobs })
      jobSourceRoutes(v1, { jobs })
      jobFileRoutes(v1, { jobs })
      scenarioRoutes(v1, { jobs })
      nodeRoutes(v1, { jobs })
      workerRoutes(v1, { jobs }, closing.signal)
      objectRoutes(v1, { objects, transfers })
    },
    { prefix: '/api/v1' },
  )
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  stack.defer(async () => {
    closing.abort()
    await app.close()
  })
  const owned = stack.move()
  return {
    url,
    fleet,
    async call(method, path, { body, headers = {} } = {}) {
      const json = body === undefined ? {} : { body: JSON.stringify(body) }
      const type = body === undefined ? {} : { 'content-type': 'application/json' }
      const response = await fetch(`${url}/api/v1${path}`, { method, ...json, headers: { ...type, ...headers } })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
