/** A small API for workers: the real messages over a real port, tasks and files in memory, and faults on request. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { AppError, toAppError } from '#lib/errors.ts'
import {
  claimSchema,
  completeSchema,
  failSchema,
  heartbeatSchema,
  logsSchema,
  registerSchema,
  releaseSchema,
  sourceRequestSchema,
  uploadRequestSchema,
  type CompleteMessage,
  type FailMessage,
  type HeartbeatMessage,
  type InputFile,
  type Register,
  type TaskLogLine,
  type TaskSpec,
  type WorkerTask,
} from '../worker-protocol.ts'
import { TestObjects } from './objects.fixture.ts'

type TaskState = 'ready' | 'leased' | 'done' | 'failed' | 'released'
export type ApiTask = {
  readonly id: number
  readonly spec: TaskSpec
  readonly inputs: readonly (Omit<InputFile, 'url'> & { readonly key: string; readonly url?: string })[]
  readonly cost: number
  state: TaskState
  fence: number
  outcome?: CompleteMessage
  failure?: FailMessage
  /** Times that `complete` came. */
  completions: number
}

const base = '/api/v1/worker/nodes'
const taskParams = Type.Object({ id: Type.String(), task: Type.Integer() })
const nodeParams = Type.Object({ id: Type.String() })

export class TestApi implements AsyncDisposable {
  readonly tasks = new Map<number, ApiTask>()
  readonly files = new TestObjects()
  readonly registrations: Register[] = []
  readonly heartbeats: HeartbeatMessage[] = []
  readonly lines: TaskLogLine[] = []
  readonly released: number[] = []
  /** Requests by path, to count them. */
  readonly paths: string[] = []
  /** Everything is answered with 503. */
  isAway = false
  /** Answers that are thrown away after they took effect, by the last word of the path. */
  readonly lostAnswers: string[] = []
  isForgetful = false
  nodeState: 'active' | 'draining' = 'active'
  epoch = 0
  readonly #stop: { taskId: number; fence: number }[] = []
  readonly #app: FastifyInstance
  #lastId = 0

  private constructor(app: FastifyInstance) {
    this.#app = app
  }

  static async start(): Promise<TestApi> {
    const app = Fastify({ bodyLimit: 64 << 20, forceCloseConnections: true, ajv: { customOptions: { removeAdditional: false } } })
    const api = new TestApi(app)
    api.#route(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    return api
  }

  get port(): number {
    const [address] = this.#app.addresses()
    if (typeof address !== 'object') throw new Error('the test API does not listen')
    return address.port
  }
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close()
  }

  addTask(spec: TaskSpec, { inputs = [], cost = 1 }: { inputs?: ApiTask['inputs']; cost?: number } = {}): ApiTask {
    const task: ApiTask = { id: ++this.#lastId, spec, inputs, cost, state: 'ready', fence: 0, completions: 0 }
    this.tasks.set(task.id, task)
    return task
  }

  stop({ id, fence }: ApiTask): void {
    this.#stop.push({ taskId: id, fence })
  }

  #route(app: FastifyInstance): void {
    app.setErrorHandler((error, _request, reply) => {
      const isInvalid = error instanceof Error && 'validation' in error
      const { code, message, httpStatus } = isInvalid ? new AppError('REQUEST_INVALID', error.message) : toAppError(error)
      void reply.code(httpStatus).send({ code, message })
    })
    app.addHook('onRequest', async (request) => {
      this.paths.push(request.url)
      if (this.isAway) throw new AppError('DATABASE_UNAVAILABLE', 'the database is away')
    })
    app.addHook('onSend', async (request, reply, payload) => {
      const index = this.lostAnswers.findIndex((word) => request.url.endsWith(`/${word}`))
      if (index >= 0) {
        this.lostAnswers.splice(index, 1)
        reply.raw.destroy()
      }
      return payload
    })
    this.files.route(app)
    this.#routeNodes(app)
    this.#routeTasks(app)
  }

  #routeNodes(fastify: FastifyInstance): void {
    const app = fastify.withTypeProvider<TypeBoxTypeProvider>()
    app.post(base, { schema: { body: registerSchema } }, ({ body }) => {
      this.registrations.push(body)
      this.isForgetful = false
      for (const task of this.tasks.values()) if (task.state === 'leased') task.state = 'ready'
      return { epoch: ++this.epoch, leaseMs: 5000, heartbeatMs: 50 }
    })
    app.post(`${base}/:id/heartbeat`, { schema: { body: heartbeatSchema } }, ({ body }) => {
      this.heartbeats.push(body)
      return { isKnown: this.#knows(body.epoch), state: this.nodeState, stop: this.#stop }
    })
    app.post(`${base}/:id/claim`, { schema: { body: claimSchema, params: nodeParams } }, async ({ body }) => {
      if (!this.#knows(body.epoch)) return { isKnown: false, tasks: [] }
      const untilMs = performance.now() + body.waitMs
      for (;;) {
        const ready = [...this.tasks.values()].filter(({ state }) => state === 'ready').slice(0, body.max)
        if (ready.length > 0 && this.nodeState === 'active')
          return { isKnown: true, tasks: ready.map((task) => this.#lease(task)) }
        if (performance.now() > untilMs) return { isKnown: true, tasks: [] }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
    app.post(`${base}/:id/logs`, { schema: { body: logsSchema } }, ({ body }) => {
      this.lines.push(...body.lines)
      return {}
    })
    app.post(`${base}/:id/release`, { schema: { body: releaseSchema } }, ({ body }) => {
      for (const { taskId, fence } of body.held) {
        const task = this.tasks.get(taskId)
        if (task?.fence !== fence || task.state !== 'leased') continue
        task.state = 'released'
        this.released.push(taskId)
      }
      return {}
    })
  }

  #routeTasks(fastify: FastifyInstance): void {
    const app = fastify.withTypeProvider<TypeBoxTypeProvider>()
    const task = `${base}/:id/tasks/:task`
    app.post(`${task}/files`, { schema: { body: uploadRequestSchema, params: taskParams } }, ({ body, params }) => {
      this.#require(params.task, body)
      return {
        uploads: body.files.map(({ name, sizeBytes }) => this.files.openUpload(`${params.task}/${name}`, name, sizeBytes)),
      }
    })
    app.post(`${task}/source`, { schema: { body: sourceRequestSchema, params: taskParams } }, ({ body, params }) => {
      const input = this.#require(params.task, body).inputs.find(({ name }) => name === body.name)
      return { url: input?.url ?? this.files.urlOf(input?.key ?? '') }
    })
    app.post(`${task}/complete`, { schema: { body: completeSchema, params: taskParams } }, ({ body, params }) => {
      const found = this.tasks.get(params.task)
      if (found) found.completions += 1
      if (found?.state === 'done' && found.fence === body.fence) return { verdict: 'repeated' }
      if (found?.state !== 'leased' || found.fence !== body.fence || !this.#knows(body.epoch)) return { verdict: 'fenced' }
      for (const upload of body.uploads) this.files.closeUpload(upload)
      found.state = 'done'
      found.outcome = body
      return { verdict: 'done' }
    })
    app.post(`${task}/fail`, { schema: { body: failSchema, params: taskParams } }, ({ body, params }) => {
      const found = this.tasks.get(params.task)
      if (found?.state !== 'leased' || found.fence !== body.fence) return { isTaken: false }
      found.state = 'failed'
      found.failure = body
      return { isTaken: true }
    })
  }

  #knows(epoch: number): boolean {
    return epoch === this.epoch && !this.isForgetful
  }

  #lease(task: ApiTask): WorkerTask {
    task.state = 'leased'
    task.fence += 1
    const inputs = task.inputs.map(({ key, url, ...input }) => ({ ...input, url: url ?? this.files.urlOf(key) }))
    const { id: taskId, fence, cost, spec } = task
    return { taskId, fence, jobId: 'job', rendition: '720p', chunk: 0, attempt: fence, cost, totalFrames: 100, spec, inputs }
  }

  #require(id: number, { epoch, fence }: { epoch: number; fence: number }): ApiTask {
    const task = this.tasks.get(id)
    if (task?.state === 'leased' && task.fence === fence && this.#knows(epoch)) return task
    throw new AppError('TASK_FENCED', `task ${id} is somebody else's`)
  }
}
