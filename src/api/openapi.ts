import type { RouteOptions } from 'fastify'
import type { App } from './app.ts'

const tags = [
  { name: 'streams', description: 'Live streams: what they should be, and what they are.' },
  { name: 'recordings', description: 'Recorded files, and recording by hand.' },
  { name: 'playback', description: 'What was recorded, as something to look at.' },
  { name: 'events', description: 'What happens.' },
  { name: 'topics', description: 'The event log: topics and their records.' },
  { name: 'groups', description: 'Consumer groups, and how far they have come.' },
  { name: 'jobs', description: 'Encoding: what is to be done, how far it is, and what came of it.' },
  { name: 'scenarios', description: 'Named ways to encode.' },
  { name: 'nodes', description: 'The workers of the fleet.' },
  { name: 'workers', description: 'What workers say to the server; nothing for people.' },
  { name: 'objects', description: 'Files, for whoever has a signed address.' },
  { name: 'keys', description: 'API keys; for administrators.' },
  { name: 'status', description: 'The process.' },
  {
    name: 'profiles',
    description: 'Where the process spends its time and memory, while `profiling.enabled` allows it; for administrators.',
  },
  { name: 'health', description: 'For whoever watches over processes.' },
]

const description = `Errors are \`{ code, message, details? }\` with stable codes. Lists are \`{ items, nextCursor? }\`: pass \`nextCursor\` as \`cursor\` for more.
Times are ISO 8601 in UTC with milliseconds. Names of streams may hold \`/\`: write it as \`%2F\` in a path.`

type DescribedRoute = Pick<RouteOptions, 'method' | 'url' | 'schema'>

/** Collects the routes that follow, and answers `/api/openapi.json` with OpenAPI 3.1 made of their schemas. */
export function registerOpenApi(app: App, { version }: { version: string }): void {
  const routes: DescribedRoute[] = []
  let document: Promise<unknown> | undefined
  app.addHook('onRoute', ({ method, url, schema = {} }) => {
    if (method !== 'HEAD' && schema.hide !== true) routes.push({ method, url, schema })
  })
  app.get('/api/openapi.json', { schema: { hide: true } }, async () => await (document ??= describeRoutes(routes, version)))
}

/** Done when somebody first asks: what writes the document took 3 MB of every server. It describes an application that is made for it and serves nothing. */
async function describeRoutes(routes: readonly DescribedRoute[], version: string): Promise<unknown> {
  const { default: swagger } = await import('@fastify/swagger')
  const { default: Fastify } = await import('fastify')
  const described = Fastify({ exposeHeadRoutes: false })
  described.setValidatorCompiler(() => () => true)
  described.setSerializerCompiler(() => String)
  await described.register(swagger, {
    convertConstToEnum: false,
    openapi: { openapi: '3.1.0', info: { title: 'Millrace', version, description }, tags },
    transformObject: (document) =>
      'openapiObject' in document ? withComponents(document.openapiObject) : document.swaggerObject,
  })
  for (const route of routes) described.route({ ...route, handler: () => undefined })
  await described.ready()
  return described.swagger()
}

/** The document with each schema that has a title written once, under `components`. */
function withComponents<T extends object>(document: T): T & { components: { schemas: Record<string, unknown> } } {
  const schemas: Record<string, unknown> = {}
  const refer = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(refer)
    if (typeof value !== 'object' || value === null) return value
    const plain = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, refer(item)]))
    const { title, type } = plain
    if (type !== 'object' || typeof title !== 'string') return plain
    schemas[title] = plain
    return { $ref: `#/components/schemas/${title}` }
  }
  const entries = Object.entries(document).map(([key, value]) => [key, refer(value)])
  return { ...document, ...Object.fromEntries(entries), components: { schemas } }
}
