import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { anySignal } from '#lib/abort.ts'
import {
  claimAnswerSchema,
  claimSchema,
  completeAnswerSchema,
  completeSchema,
  failSchema,
  heartbeatAnswerSchema,
  heartbeatSchema,
  inputFileSchema,
  logsSchema,
  registeredSchema,
  registerSchema,
  releaseSchema,
  sourceRequestSchema,
  uploadAnswerSchema,
  uploadRequestSchema,
} from '#jobs/worker-protocol.ts'
import type { App } from '../app.ts'
import { nodeParamsSchema } from '../job-contract.ts'
import { accessOf, type JobRouteDeps } from '../job-services.ts'
import { failures, noContentSchema } from './answers.ts'

const tags = ['workers']
const params = nodeParamsSchema
const taskParams = Type.Object(
  { ...nodeParamsSchema.properties, task: Type.Integer({ minimum: 0, description: 'Id of the task.' }) },
  { additionalProperties: false },
)
const failedSchema = Type.Object({ isTaken: Type.Boolean({ description: 'False: the task is not with this worker any more.' }) })

const schemas = {
  register: {
    tags,
    summary: 'A worker says that it is there.',
    description: 'Each registration is another epoch: tasks of the one before go to others.',
    body: registerSchema,
    response: { 200: registeredSchema, ...failures },
  },
  heartbeat: {
    tags,
    summary: 'A worker is alive, and says what it has.',
    params,
    body: heartbeatSchema,
    response: { 200: heartbeatAnswerSchema, ...failures },
  },
  claim: {
    tags,
    summary: 'Gives tasks as soon as there are some, or none after `waitMs`.',
    params,
    body: claimSchema,
    response: { 200: claimAnswerSchema, ...failures },
  },
  files: {
    tags,
    summary: 'Where the files of a task go.',
    params: taskParams,
    body: uploadRequestSchema,
    response: { 200: uploadAnswerSchema, ...failures },
  },
  source: {
    tags,
    summary: 'A fresh URL of a file that a task reads.',
    params: taskParams,
    body: sourceRequestSchema,
    response: { 200: inputFileSchema, ...failures },
  },
  complete: {
    tags,
    summary: 'A task is done; it can be repeated.',
    params: taskParams,
    body: completeSchema,
    response: { 200: completeAnswerSchema, ...failures },
  },
  fail: {
    tags,
    summary: 'A task cannot be done.',
    params: taskParams,
    body: failSchema,
    response: { 200: failedSchema, ...failures },
  },
  logs: {
    tags,
    summary: 'What a worker has to say of its tasks.',
    params,
    body: logsSchema,
    response: { 204: noContentSchema, ...failures },
  },
  release: {
    tags,
    summary: 'A worker stops, and gives back what it has not done.',
    params,
    body: releaseSchema,
    response: { 204: noContentSchema, ...failures },
  },
}

/** Outputs name all files of a job, and ETags of all parts of a file. */
const bodyLimit = 8 * 2 ** 20
/** A claim waits as long as the worker wants. */
const waiting = { isStreaming: true, isUnlimited: true }
/** A fleet behind one address is no flood. */
const config = { isUnlimited: true }

/** What workers ask. `closing` fires when the server stops: whoever waits is answered. */
export function workerRoutes(app: App, { jobs }: JobRouteDeps, closing: AbortSignal): void {
  const { work } = jobs.scheduler

  app.post('/worker/nodes', { schema: schemas.register, config }, async (request) => await work.register(request.body))

  app.post('/worker/nodes/:id/heartbeat', { schema: schemas.heartbeat, config, bodyLimit }, async (request) => {
    return await work.heartbeat(request.params.id, request.body)
  })

  app.post('/worker/nodes/:id/claim', { schema: schemas.claim, config: waiting }, async (request, reply) => {
    const { epoch, max, waitMs } = request.body
    const signal = anySignal(goneSignal(reply), closing)
    return await work.claim({ nodeId: request.params.id, epoch }, { max, waitMs, access: accessOf(jobs, request), signal })
  })

  app.post('/worker/nodes/:id/logs', { schema: schemas.logs, config, bodyLimit }, async (request, reply) => {
    const { epoch, lines } = request.body
    await work.addLogs({ nodeId: request.params.id, epoch }, lines)
    return reply.code(204).send(null)
  })

  app.post('/worker/nodes/:id/release', { schema: schemas.release, config }, async (request, reply) => {
    const { epoch, held } = request.body
    await work.release({ nodeId: request.params.id, epoch }, held)
    return reply.code(204).send(null)
  })

  taskRoutes(app, { jobs })
}

function taskRoutes(app: App, { jobs }: JobRouteDeps): void {
  const { work } = jobs.scheduler
  const leaseOf = ({
    params: { id, task },
    body,
  }: {
    params: { id: string; task: number }
    body: { epoch: number; fence: number }
  }) => {
    return { nodeId: id, taskId: task, epoch: body.epoch, fence: body.fence }
  }

  app.post('/worker/nodes/:id/tasks/:task/files', { schema: schemas.files, config }, async (request) => {
    const { files } = request.body
    return { uploads: await work.openUploads(leaseOf(request), { files, access: accessOf(jobs, request) }) }
  })

  app.post('/worker/nodes/:id/tasks/:task/source', { schema: schemas.source, config }, async (request) => {
    return await work.findInput(leaseOf(request), { name: request.body.name, access: accessOf(jobs, request) })
  })

  app.post('/worker/nodes/:id/tasks/:task/complete', { schema: schemas.complete, config, bodyLimit }, async (request) => {
    return { verdict: await work.complete(leaseOf(request), request.body) }
  })

  app.post('/worker/nodes/:id/tasks/:task/fail', { schema: schemas.fail, config }, async (request) => {
    return { isTaken: await work.fail(leaseOf(request), request.body) }
  })
}

/** Fires when the connection of a request is over, before or after its answer. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}
