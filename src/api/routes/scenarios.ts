import type { App } from '../app.ts'
import { pageQuerySchema } from '../contract.ts'
import {
  scenarioChangeSchema,
  scenarioCreateSchema,
  scenarioListSchema,
  scenarioParamsSchema,
  scenarioViewSchema,
} from '../job-contract.ts'
import type { JobRouteDeps } from '../job-services.ts'
import { scenarioView } from '../job-views.ts'
import { pageOf } from '../paging.ts'
import { failures, noContentSchema } from './answers.ts'

const tags = ['scenarios']
const params = scenarioParamsSchema
const one = { 200: scenarioViewSchema, ...failures }

const schemas = {
  list: {
    tags,
    summary: 'Lists scenarios by name.',
    querystring: pageQuerySchema,
    response: { 200: scenarioListSchema, ...failures },
  },
  create: {
    tags,
    summary: 'Adds a scenario.',
    description: 'What is absent has its default.',
    body: scenarioCreateSchema,
    response: { 201: scenarioViewSchema, ...failures },
  },
  find: { tags, summary: 'One scenario.', params, response: one },
  replace: {
    tags,
    summary: 'Writes a scenario anew.',
    description:
      'Jobs that were planned with it keep it as it was. Presets and those of the configuration file cannot be changed.',
    params,
    body: scenarioChangeSchema,
    response: one,
  },
  remove: { tags, summary: 'Removes a scenario that was added here.', params, response: { 204: noContentSchema, ...failures } },
}

export function scenarioRoutes(app: App, { jobs: { scenarios } }: JobRouteDeps): void {
  app.get('/scenarios', { schema: schemas.list }, async (request) => {
    const entries = (await scenarios.list()).toSorted((a, b) => (a.scenario.name < b.scenario.name ? -1 : 1))
    const { items, ...rest } = pageOf(entries, request.query, ({ scenario }) => scenario.name)
    return { ...rest, items: items.map(scenarioView) }
  })

  app.post('/scenarios', { schema: schemas.create }, async (request, reply) => {
    const entry = await scenarios.add(request.body)
    void reply.code(201).header('location', `/api/v1/scenarios/${entry.scenario.name}`)
    return scenarioView(entry)
  })

  app.get('/scenarios/:name', { schema: schemas.find }, async (request) =>
    scenarioView(await scenarios.require(request.params.name)),
  )

  app.put('/scenarios/:name', { schema: schemas.replace }, async (request) => {
    return scenarioView(await scenarios.replace({ ...request.body, name: request.params.name }))
  })

  app.delete('/scenarios/:name', { schema: schemas.remove }, async (request, reply) => {
    await scenarios.remove(request.params.name)
    return reply.code(204).send(null)
  })
}
