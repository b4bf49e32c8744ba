import type { App } from '../app.ts'
import { pageQuerySchema } from '../contract.ts'
import { nodeListSchema, nodeParamsSchema, nodeViewSchema } from '../job-contract.ts'
import type { JobRouteDeps } from '../job-services.ts'
import { nodeView } from '../job-views.ts'
import { pageOf } from '../paging.ts'
import { failures, noContentSchema } from './answers.ts'

const tags = ['nodes']
const params = nodeParamsSchema
const one = { 200: nodeViewSchema, ...failures }

const schemas = {
  list: { tags, summary: 'Lists workers by id.', querystring: pageQuerySchema, response: { 200: nodeListSchema, ...failures } },
  find: { tags, summary: 'One worker.', params, response: one },
  drain: {
    tags,
    summary: 'Gives a worker nothing new.',
    description: 'It finishes what it has; then it can be stopped without loss.',
    params,
    response: one,
  },
  activate: { tags, summary: 'Gives a worker work again.', params, response: one },
  remove: {
    tags,
    summary: 'Forgets a worker that is lost or has nothing to do.',
    description: 'One that still runs is back with its next registration.',
    params,
    response: { 204: noContentSchema, ...failures },
  },
}

export function nodeRoutes(app: App, { jobs: { scheduler, store } }: JobRouteDeps): void {
  app.get('/nodes', { schema: schemas.list }, async (request) => {
    const nodes = (await store.listNodes()).toSorted((one, other) => (one.id < other.id ? -1 : 1))
    const { items, ...rest } = pageOf(nodes, request.query, ({ id }) => id)
    return { ...rest, items: items.map(nodeView) }
  })

  app.get('/nodes/:id', { schema: schemas.find }, async (request) => nodeView(await scheduler.requireNode(request.params.id)))

  app.post('/nodes/:id/drain', { schema: schemas.drain }, async (request) => {
    return nodeView(await scheduler.setNodeState(request.params.id, 'draining'))
  })

  app.post('/nodes/:id/activate', { schema: schemas.activate }, async (request) => {
    return nodeView(await scheduler.setNodeState(request.params.id, 'active'))
  })

  app.delete('/nodes/:id', { schema: schemas.remove }, async (request, reply) => {
    await scheduler.removeNode(request.params.id)
    return reply.code(204).send(null)
  })
}
