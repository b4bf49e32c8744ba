import { AppError } from '#lib/errors.ts'
import { jobStates } from '#jobs/model.ts'
import type { App } from '../app.ts'
import { defaultPageSize, pageQuerySchema } from '../contract.ts'
import {
  attemptListSchema,
  idempotencyHeadersSchema,
  jobCountsSchema,
  jobCreateSchema,
  jobListQuerySchema,
  jobListSchema,
  jobLogQuerySchema,
  jobParamsSchema,
  jobViewSchema,
  logLineListSchema,
  taskListSchema,
} from '../job-contract.ts'
import type { JobRouteDeps } from '../job-services.ts'
import { attemptView, countsView, jobSummary, jobView, logLineView, taskView } from '../job-views.ts'
import { pageOf, readCursor, writeCursor } from '../paging.ts'
import { failures } from './answers.ts'

const tags = ['jobs']
const params = jobParamsSchema
const one = { 200: jobViewSchema, ...failures }

const schemas = {
  create: {
    tags,
    summary: 'Submits a job.',
    description:
      'With a header `Idempotency-Key` it can be repeated: the same key of the same tenant gives the same job, with status 200.',
    headers: idempotencyHeadersSchema,
    body: jobCreateSchema,
    response: { 200: jobViewSchema, 201: jobViewSchema, ...failures },
  },
  list: {
    tags,
    summary: 'Lists jobs, newest first.',
    querystring: jobListQuerySchema,
    response: { 200: jobListSchema, ...failures },
  },
  counts: {
    tags,
    summary: 'How many jobs and tasks there are, by state and queue.',
    response: { 200: jobCountsSchema, ...failures },
  },
  find: { tags, summary: 'One job with its tasks, plan and result.', params, response: one },
  tasks: {
    tags,
    summary: 'The tasks of a job.',
    params,
    querystring: pageQuerySchema,
    response: { 200: taskListSchema, ...failures },
  },
  attempts: {
    tags,
    summary: 'Every try of every task that has ended, oldest first.',
    params,
    querystring: pageQuerySchema,
    response: { 200: attemptListSchema, ...failures },
  },
  logs: {
    tags,
    summary: 'What workers said of the tasks of a job, oldest first.',
    params,
    querystring: jobLogQuerySchema,
    response: { 200: logLineListSchema, ...failures },
  },
  cancel: {
    tags,
    summary: 'Cancels a job.',
    description: 'Workers stop within seconds. A job that is over stays as it is.',
    params,
    response: one,
  },
  retry: {
    tags,
    summary: 'Tries a job again that failed, timed out or was canceled.',
    description: 'What is done stays done as long as its files are kept.',
    params,
    response: one,
  },
}

export function jobRoutes(app: App, { jobs }: JobRouteDeps): void {
  const { scheduler, store } = jobs

  app.post('/jobs', { schema: schemas.create }, async (request, reply) => {
    const { scenario, queue, priority, label, tenant, deadlineSeconds, ...input } = request.body
    const idempotencyKey = request.headers['idempotency-key']
    const wanted = {
      scenario,
      queue,
      priority,
      label,
      tenant,
      deadlineSeconds,
      idempotencyKey,
      input,
      traceparent: request.span?.traceparent,
    }
    const { job, tasks, isNew } = await scheduler.submit(wanted)
    void reply.code(isNew ? 201 : 200).header('location', `/api/v1/jobs/${job.id}`)
    return jobView(job, tasks)
  })

  app.get('/jobs', { schema: schemas.list }, async (request) => {
    const { state, limit = defaultPageSize, cursor, ...rest } = request.query
    const wanted = jobStates.filter((name) => state?.split(',').includes(name))
    const before = cursor === undefined ? {} : { before: readNumber(cursor) }
    const found = await store.listJobs({
      ...rest,
      ...before,
      ...(state === undefined ? {} : { states: wanted }),
      limit: limit + 1,
    })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    const isMore = found.length > limit && last !== undefined
    return { items: page.map(jobSummary), ...(isMore ? { nextCursor: writeCursor(String(last.sequence)) } : {}) }
  })

  app.get('/jobs/counts', { schema: schemas.counts }, async () => countsView(await store.counts()))

  app.get('/jobs/:id', { schema: schemas.find }, async (request) => {
    const job = await scheduler.requireJob(request.params.id)
    return jobView(job, await store.listTasks(job.id))
  })

  app.post('/jobs/:id/cancel', { schema: schemas.cancel }, async (request) => {
    const job = await scheduler.cancel(request.params.id)
    return jobView(job, await store.listTasks(job.id))
  })

  app.post('/jobs/:id/retry', { schema: schemas.retry }, async (request) => {
    const job = await scheduler.retry(request.params.id)
    return jobView(job, await store.listTasks(job.id))
  })

  detailRoutes(app, { jobs })
}

function detailRoutes(app: App, { jobs: { scheduler, store, logs } }: JobRouteDeps): void {
  app.get('/jobs/:id/tasks', { schema: schemas.tasks }, async (request) => {
    const { id } = await scheduler.requireJob(request.params.id)
    const tasks = (await store.listTasks(id)).toSorted((one, other) => one.id - other.id)
    const { items, ...rest } = pageOf(tasks, request.query, (task) => padded(task.id))
    return { ...rest, items: items.map(taskView) }
  })

  app.get('/jobs/:id/attempts', { schema: schemas.attempts }, async (request) => {
    const { id } = await scheduler.requireJob(request.params.id)
    const keyed = (await store.listAttempts(id)).map((attempt) => ({
      attempt,
      key: [attempt.endedAtMs, attempt.taskId, attempt.fence].map(padded).join('.'),
    }))
    const sorted = keyed.toSorted((one, other) => (one.key < other.key ? -1 : 1))
    const { items, ...rest } = pageOf(sorted, request.query, ({ key }) => key)
    return { ...rest, items: items.map(({ attempt }) => attemptView(attempt)) }
  })

  app.get('/jobs/:id/logs', { schema: schemas.logs }, async (request) => {
    const { id: jobId } = await scheduler.requireJob(request.params.id)
    const { task, level, tail, cursor, limit = defaultPageSize } = request.query
    if (tail !== undefined && cursor !== undefined) {
      throw new AppError('REQUEST_INVALID', 'query.tail and query.cursor exclude each other; leave out one')
    }
    const after = cursor === undefined ? undefined : readNumber(cursor)
    const lines = await logs.list({
      jobId,
      ...(task === undefined ? {} : { taskId: task }),
      ...(level === undefined ? {} : { minLevel: level }),
      ...(after === undefined ? {} : { after }),
      limit: tail ?? limit,
      isTail: tail !== undefined,
    })
    const last = lines.at(-1)?.id ?? after ?? 0
    return { items: lines.map(logLineView), nextCursor: writeCursor(String(last)) }
  })
}

/** Throws `REQUEST_INVALID`. */
function readNumber(cursor: string): number {
  const text = readCursor(cursor)
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AppError('REQUEST_INVALID', 'query.cursor is not a cursor of this list; pass nextCursor of the answer before')
}

/** Text that sorts as the number does. */
function padded(value: number): string {
  return String(value).padStart(16, '0')
}
