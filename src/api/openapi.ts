import swagger from '@fastify/swagger'
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
  { name: 'status', description: 'The process.' },
  { name: 'health', description: 'For whoever watches over processes.' },
]

const description = `Errors are \`{ code, message, details? }\` with stable codes. Lists are \`{ items, nextCursor? }\`: pass \`nextCursor\` as \`cursor\` for more.
Times are ISO 8601 in UTC with milliseconds. Names of streams may hold \`/\`: write it as \`%2F\` in a path.`

/** Collects the routes that follow, and answers `/api/openapi.json` with OpenAPI 3.1 made of their schemas, when it is first asked for. */
export async function registerOpenApi(app: App, { version }: { version: string }): Promise<void> {
  await app.register(swagger, {
    convertConstToEnum: false,
    openapi: { openapi: '3.1.0', info: { title: 'Millrace', version, description }, tags },
    transformObject: (document) =>
      'openapiObject' in document ? withComponents(document.openapiObject) : document.swaggerObject,
  })
  app.get('/api/openapi.json', { schema: { hide: true } }, async () => app.swagger())
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
