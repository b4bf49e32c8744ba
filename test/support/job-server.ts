import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { TSchema } from 'typebox'
import { Check, Errors } from 'typebox/value'
import {
  attemptListSchema,
  jobCountsSchema,
  jobCreateSchema,
  jobListSchema,
  jobViewSchema,
  logLineListSchema,
  nodeListSchema,
  nodeViewSchema,
  scenarioChangeSchema,
  scenarioCreateSchema,
  scenarioListSchema,
  scenarioViewSchema,
  sourceCompleteSchema,
  sourceCreateSchema,
  sourceObjectSchema,
  sourceUploadSchema,
  type AttemptView,
  type JobView,
  type LogLineView,
  type NodeView,
  type ScenarioCreate,
  type ScenarioView,
} from '#api/job-contract.ts'
import { answerJson, startHttpServer } from './http-server.ts'
import { sampleAttempts, sampleJob, sampleLogLine, sampleNode, sampleQueuedJob, sampleScenario } from './job-samples.ts'

/** What the server has; tests put their own. Each look at a job takes the next of its views, the last one stays. */
export type JobWorld = {
  readonly jobs: Map<string, JobView[]>
  readonly scenarios: Map<string, ScenarioView>
  readonly nodes: Map<string, NodeView>
  readonly attempts: AttemptView[]
  readonly log: LogLineView[]
  /** Bodies of what was changed: `POST jobs`, … */
  readonly bodies: { readonly what: string; readonly body: unknown }[]
  /** Bytes that were put, by part. */
  readonly parts: Map<number, Buffer>
  readonly partBytes: number
  /** Instead of the usual answer to the n-th PUT, from 0. */
  readonly faults: Map<number, 'cut' | 'expired' | 'refused'>
}

export function jobWorld(more: Partial<JobWorld> = {}): JobWorld {
  return {
    jobs: new Map([['job-1', [sampleJob()]]]),
    scenarios: new Map([['abr-ladder', sampleScenario()]]),
    nodes: new Map([['encoder-1', sampleNode()]]),
    attempts: sampleAttempts(),
    log: [sampleLogLine(1), sampleLogLine(2, { level: 'warn', text: 'the source ended early' })],
    bodies: [],
    parts: new Map(),
    partBytes: 100_000,
    faults: new Map(),
    ...more,
  }
}

type Answer = readonly [status: number, schema: TSchema | undefined, body: unknown]
type Question = {
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly body: unknown
  readonly base: string
}

/** The job API as its schemas say it is, without a fleet: both what comes and what goes is checked. `fallback` answers everything else. */
export async function startJobServer(
  world: JobWorld,
  fallback?: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Awaited<ReturnType<typeof startHttpServer>>> {
  let puts = 0
  return await startHttpServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    if (url.pathname.startsWith('/put/')) return void takePart(world, request, response, puts++)
    const path = url.pathname.split('/').slice(1).map(decodeURIComponent)
    if (fallback && !/^\/api\/v1\/(jobs|scenarios|nodes)/.test(url.pathname)) return fallback(request, response)
    void answer(world, request, { path: path.slice(2), query: url.searchParams, base: url.origin }).then(
      ([status, schema, body]) => {
        if (schema && !Check(schema, body))
          throw new Error(`a wrong answer to ${url.pathname}: ${JSON.stringify(Errors(schema, body))}`)
        return status === 204 ? response.writeHead(204).end() : answerJson(response, status, body)
      },
    )
  })
}

async function answer(world: JobWorld, request: IncomingMessage, place: Omit<Question, 'body'>): Promise<Answer> {
  const text = String(await buffer(request))
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  const what = `${request.method} ${place.path.join('/')}`
  if (request.method !== 'GET') world.bodies.push({ what, body })
  const [noun, id, action] = place.path
  const key = `${request.method} ${noun}${id === undefined ? '' : noun === 'jobs' && ['sources', 'counts'].includes(id) ? `/${id}` : '/:id'}${action === undefined ? '' : `/${action}`}`
  return routes[key]?.(world, { ...place, body }) ?? refusal(404, 'ROUTE_NOT_FOUND', `no route ${key}`)
}

function refusal(status: number, code: string, message: string): Answer {
  return [status, undefined, { code, message }]
}

function checked(schema: TSchema, body: unknown, then: () => Answer): Answer {
  if (Check(schema, body)) return then()
  return refusal(400, 'REQUEST_INVALID', JSON.stringify(Errors(schema, body)))
}

const routes: Readonly<Record<string, (world: JobWorld, question: Question) => Answer>> = {
  'GET jobs': ({ jobs }, { query }) => {
    const states = query.get('state')?.split(',')
    const search = query.get('search') ?? ''
    const found = [...jobs.values()]
      .flatMap(([first]) => (first ? [first] : []))
      .filter((job) => states?.includes(job.state) ?? true)
      .filter((job) => job.scenario === (query.get('scenario') ?? job.scenario))
      .filter((job) => job.queue === (query.get('queue') ?? job.queue))
      .filter((job) => `${job.id} ${job.label ?? ''}`.includes(search))
      .toSorted((a, b) => b.sequence - a.sequence)
    const limit = Number(query.get('limit') ?? 100)
    const start = Number(query.get('cursor') ?? 0)
    const items = found.slice(start, start + limit)
    return [200, jobListSchema, { items, ...(start + limit < found.length ? { nextCursor: String(start + limit) } : {}) }]
  },
  'GET jobs/counts': ({ jobs }) => {
    const states = [...jobs.values()].map(([first]) => first?.state)
    const all = ['queued', 'assigned', 'running', 'retrying', 'completed', 'failed', 'timed_out', 'canceled', 'rejected']
    const byState = Object.fromEntries(all.map((state) => [state, states.filter((other) => other === state).length]))
    return [
      200,
      jobCountsSchema,
      { jobs: byState, readyTasks: { live: 0, default: 6, batch: 2 }, leasedTasks: 3, oldestReadyMs: 4200 },
    ]
  },
  'POST jobs': ({ jobs }, { body }) =>
    checked(jobCreateSchema, body, () => {
      const { id } = sampleJob()
      const job = jobs.get(id)?.[0] ?? sampleQueuedJob()
      return [201, jobViewSchema, job]
    }),
  'GET jobs/:id': ({ jobs }, { path: [, id = ''] }) => {
    const views = jobs.get(id)
    const job = views && views.length > 1 ? views.shift() : views?.[0]
    return job ? [200, jobViewSchema, job] : refusal(404, 'JOB_NOT_FOUND', `there is no job "${id}"`)
  },
  'POST jobs/:id/cancel': ({ jobs }, { path: [, id = ''] }) => {
    const job = jobs.get(id)?.[0]
    if (!job) return refusal(404, 'JOB_NOT_FOUND', `there is no job "${id}"`)
    const after = job.isOver ? job : { ...job, isCancelRequested: true }
    jobs.set(id, [after])
    return [200, jobViewSchema, after]
  },
  'POST jobs/:id/retry': ({ jobs }, { path: [, id = ''] }) => {
    const job = jobs.get(id)?.[0]
    if (!job?.isOver || job.state === 'completed') return refusal(409, 'JOB_STATE_INVALID', `job "${id}" is not over`)
    const { error: _, finishedAt: __, ...rest } = job
    const after: JobView = { ...rest, state: 'queued', isOver: false, generation: job.generation + 1 }
    jobs.set(id, [after])
    return [200, jobViewSchema, after]
  },
  'GET jobs/:id/attempts': ({ attempts }) => [200, attemptListSchema, { items: attempts }],
  'GET jobs/:id/logs': ({ log }, { query }) => {
    const tail = query.has('tail') ? log.length - Number(query.get('tail')) : 0
    const start = Number(query.get('cursor') ?? Math.max(0, tail))
    const items = log.slice(start, start + Number(query.get('limit') ?? 100))
    return [200, logLineListSchema, { items, nextCursor: String(start + items.length) }]
  },
  'POST jobs/sources': ({ partBytes }, { body, base }) =>
    checked(sourceCreateSchema, body, () => {
      assert.ok(Check(sourceCreateSchema, body))
      const kind = body.resume ? 'fresh' : 'first'
      const partUrls = Array.from({ length: Math.ceil(body.sizeBytes / partBytes) }, (_, part) => `${base}/put/${kind}/${part}`)
      const upload = { name: body.name, uploadId: 'upload-1', partBytes, partUrls }
      return [200, sourceUploadSchema, { object: `sources/1/${body.name}`, upload }]
    }),
  'POST jobs/sources/complete': (_, { body }) =>
    checked(sourceCompleteSchema, body, () => {
      assert.ok(Check(sourceCompleteSchema, body))
      return [200, sourceObjectSchema, { object: body.object, sizeBytes: body.sizeBytes }]
    }),
  'GET scenarios': ({ scenarios }) => [200, scenarioListSchema, { items: [...scenarios.values()] }],
  'GET scenarios/:id': ({ scenarios }, { path: [, name = ''] }) => {
    const scenario = scenarios.get(name)
    return scenario ? [200, scenarioViewSchema, scenario] : refusal(404, 'SCENARIO_NOT_FOUND', `there is no scenario "${name}"`)
  },
  'POST scenarios': (world, { body }) =>
    checked(scenarioCreateSchema, body, () => {
      assert.ok(Check(scenarioCreateSchema, body))
      if (world.scenarios.has(body.name)) return refusal(409, 'SCENARIO_EXISTS', `there is a scenario "${body.name}" already`)
      return [201, scenarioViewSchema, keepScenario(world, body.name, body)]
    }),
  'PUT scenarios/:id': (world, { path: [, name = ''], body }) =>
    checked(scenarioChangeSchema, body, () => {
      assert.ok(Check(scenarioChangeSchema, body))
      return [200, scenarioViewSchema, keepScenario(world, name, body)]
    }),
  'DELETE scenarios/:id': ({ scenarios }, { path: [, name = ''] }) => {
    const isThere = scenarios.delete(name)
    return isThere ? [204, undefined, undefined] : refusal(404, 'SCENARIO_NOT_FOUND', `there is no scenario "${name}"`)
  },
  'GET nodes': ({ nodes }) => [200, nodeListSchema, { items: [...nodes.values()] }],
  'GET nodes/:id': ({ nodes }, { path: [, id = ''] }) => {
    const node = nodes.get(id)
    if (!node) return refusal(404, 'NODE_NOT_FOUND', `there is no node "${id}"`)
    // It works its tasks off.
    nodes.set(id, { ...node, usedSlots: Math.max(0, node.usedSlots - 5) })
    return [200, nodeViewSchema, nodes.get(id)]
  },
  'POST nodes/:id/drain': (world, { path: [, id = ''] }) => setNode(world, id, { state: 'draining' }),
  'POST nodes/:id/activate': (world, { path: [, id = ''] }) => setNode(world, id, { state: 'active' }),
  'DELETE nodes/:id': ({ nodes }, { path: [, id = ''] }) => {
    const node = nodes.get(id)
    if (node && node.state !== 'lost' && node.usedSlots > 0)
      return refusal(409, 'NODE_BUSY', `node "${id}" has tasks; drain it first`)
    return nodes.delete(id) ? [204, undefined, undefined] : refusal(404, 'NODE_NOT_FOUND', `there is no node "${id}"`)
  },
}

/** With the defaults that the real one fills in. */
function keepScenario(world: JobWorld, name: string, given: Omit<ScenarioCreate, 'name'>): ScenarioView {
  const renditions = given.renditions.map((rendition) => ({ ...rendition, allowUpscale: rendition.allowUpscale ?? false }))
  const scenario: ScenarioView = { ...sampleScenario(), ...given, renditions, name, origin: 'api' }
  world.scenarios.set(name, scenario)
  return scenario
}

function setNode({ nodes }: JobWorld, id: string, change: Partial<NodeView>): Answer {
  const node = nodes.get(id)
  if (!node) return refusal(404, 'NODE_NOT_FOUND', `there is no node "${id}"`)
  nodes.set(id, { ...node, ...change })
  return [200, nodeViewSchema, nodes.get(id)]
}

async function takePart(world: JobWorld, request: IncomingMessage, response: ServerResponse, put: number): Promise<void> {
  const part = Number(request.url?.split('/').at(-1))
  const fault = world.faults.get(put)
  if (fault === 'cut') return void request.once('data', () => request.destroy())
  if (fault) return answerJson(response, fault === 'expired' ? 403 : 400, { code: 'FORBIDDEN', message: fault })
  // When one part is refused, the client breaks off the others.
  const body = await buffer(request).catch(() => undefined)
  if (!body) return
  world.parts.set(part, body)
  response.writeHead(200, { etag: `"${part}-${body.length}"` }).end()
}
