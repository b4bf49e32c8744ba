import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { type ApiServerDeps, loadOpenApi } from './server.ts'

/** What the page takes from an OpenAPI document. */
const openApiSchema = Type.Object({
  tags: Type.Array(Type.Object({ name: Type.String(), description: Type.String() })),
  paths: Type.Record(
    Type.String(),
    Type.Record(
      Type.String(),
      Type.Object({
        summary: Type.String(),
        tags: Type.Array(Type.String()),
        parameters: Type.Optional(Type.Array(Type.Object({ name: Type.String(), in: Type.String() }))),
      }),
    ),
  ),
})

const introduction = `# API

Generated from the routes by \`npm run generate\`; do not edit.

A running Millrace shows all of this with every field at \`/api\`, where it can be tried out, and as OpenAPI 3.1 at \`/api/openapi.json\`.

- JSON both ways. Times are ISO 8601 in UTC with milliseconds; numbers that end in \`Ms\` are milliseconds.
- Names of streams may hold \`/\`: write it as \`%2F\` in a path.
- Every error is \`{ "code", "message", "details"? }\`; programs match on \`code\` ([the list](errors.md)). \`REQUEST_INVALID\` lists what is wrong in \`details.issues\` as \`{ "path", "message" }\`.
- Lists are \`{ "items", "nextCursor"? }\`: pass \`nextCursor\` as \`cursor\` for the next page of \`limit\` items.
- A page of another origin may use the API only if it is listed in \`api.allowedOrigins\`.
- Where there are users, requests carry HTTP Basic credentials, or come over HTTPS with a client certificate ([how](https.md)).`

const closing = `## Records

\`\`\`sh
curl -H 'content-type: application/json' -d '{"records":[{"key":"a","value":{"n":1}},{"value":"text"}]}' localhost:3000/api/v1/topics/orders/records
curl -H 'content-type: application/x-ndjson' -T records.ndjson -X POST localhost:3000/api/v1/topics/orders/records
curl 'localhost:3000/api/v1/topics/orders/records?at=2026-01-31T12:00:00Z&as=json'
curl -N 'localhost:3000/api/v1/topics/orders/records?at=latest&format=ndjson&follow=true'
\`\`\`

- Keys, values and values of headers: text is stored as its UTF-8, other JSON as its JSON text, \`{ "base64": "…" }\` as bytes, \`null\` as none; a null value is a
  tombstone. They come back as text, or as \`{ "base64" }\` when they are not UTF-8; with \`as=json\` values that are JSON come as JSON. Whole numbers beyond 2^53 are refused: send
  them as text.
- JSON is checked as a whole before anything is kept. NDJSON is kept while it comes: when a line is wrong, the lines before it are kept, and \`details.offsets\` says where.
- Reading on: pass \`nextCursor\` as \`cursor\`, with \`waitMs\` to wait for records that are not there yet. A cursor never goes back, and never passes over records that
  retention deleted before they were read: that is \`OFFSET_OUT_OF_RANGE\`, with \`details.nextCursor\` to go on with what is kept.
- With \`group\`, reading begins where the group has committed; commit with \`POST /api/v1/groups/{group}/offsets\` and the \`nextOffset\` of each partition.
- A producer that never got its answer may send again and have records twice; Kafka clients with idempotence do not.

## Events over WebSocket

\`GET /api/v1/events\` as a WebSocket sends one JSON message an event: \`{ "sequence", "at", "type", "subject", "data" }\`.

- Without \`from\`: what happens from now. \`from=<sequence>\`: the kept history from there, then what happens; \`from=0\` is all that is kept. Come back with the last \`sequence\` + 1.
- If that place is not in the history any more, or never was, the first message is \`history.truncated\` with \`data: { "from", "oldestSequence" }\`, and the oldest kept event follows.
- \`type=stream.*,recording.started\` and \`subject=<stream>\` narrow it down.
- The server pings every 30 s and drops a client that does not answer. A client that takes nothing for 10 s is closed with code 1013; one that is slow gets a \`history.truncated\` message for what it missed.`

/** Documents that are generated from the API, by their path in the project. */
export async function apiDocuments(): Promise<{ readonly path: string; readonly text: string }[]> {
  return [{ path: 'docs/api.md', text: apiDocument(await loadOpenApi(describedOnly)) }]
}

/** The page about the API: one table of routes a tag. */
function apiDocument(openapi: unknown): string {
  const { tags, paths } = Value.Parse(openApiSchema, openapi)
  const sections = tags.map(({ name, description }) => {
    const rows = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.tags.includes(name))
        .map(([method, { summary, parameters = [] }]) => {
          const query = parameters.filter((parameter) => parameter.in === 'query').map((parameter) => parameter.name)
          return `| \`${method.toUpperCase()} ${path}${query.length > 0 ? `?${query.join('&')}` : ''}\` | ${summary} |`
        }),
    )
    return [
      `## ${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      '',
      description,
      '',
      '| route | what |',
      '|---|---|',
      ...rows,
    ].join('\n')
  })
  return `${[introduction, ...sections, closing].join('\n\n')}\n`
}

/** Services that nobody calls: a description needs routes, not what is behind them. */
const absent = (): never => {
  throw new AppError('INTERNAL', 'this API is only described, nothing is behind it')
}

const describedOnly: ApiServerDeps = {
  live: {
    streams: {
      list: absent,
      find: absent,
      readers: absent,
      create: absent,
      change: absent,
      remove: absent,
      start: absent,
      stop: absent,
      restart: absent,
      recording: absent,
    },
    endpoints: {},
    recordings: { find: absent, list: absent, remove: absent },
    playback: { timeline: absent, playlist: absent, openMedia: absent, openExport: absent },
    storage: { usage: absent, findDiskSpace: absent },
  },
  records: {
    events: { read: absent, follow: absent },
    eventLog: {
      topics: {
        list: absent,
        find: absent,
        get: absent,
        create: absent,
        delete: absent,
        addPartitions: absent,
        configure: absent,
      },
      groups: {
        list: absent,
        describe: absent,
        commitOffsets: absent,
        committedOffsets: absent,
        delete: absent,
        deleteOffsets: absent,
      },
      append: absent,
      fetch: absent,
      findOffset: absent,
      deleteRecords: absent,
    },
  },
  profiler: { begin: absent },
  keys: { list: absent, create: absent, rotate: absent, revoke: absent },
  jobs: {
    scheduler: {
      submit: absent,
      requireJob: absent,
      cancel: absent,
      retry: absent,
      requireNode: absent,
      setNodeState: absent,
      removeNode: absent,
      work: {
        register: absent,
        heartbeat: absent,
        claim: absent,
        openUploads: absent,
        findInput: absent,
        complete: absent,
        fail: absent,
        release: absent,
        addLogs: absent,
      },
    },
    store: { listJobs: absent, listTasks: absent, listAttempts: absent, listNodes: absent, counts: absent },
    scenarios: { list: absent, require: absent, add: absent, replace: absent, remove: absent },
    logs: { list: absent },
    objects: {
      put: absent,
      get: absent,
      head: absent,
      delete: absent,
      deleteMany: absent,
      list: absent,
      beginParts: absent,
      putPart: absent,
      completeParts: absent,
      abortParts: absent,
      [Symbol.asyncDispose]: absent,
    },
    transfers: { urls: absent, verify: absent },
    newId: absent,
  },
  node: { version: '', startedAtMs: 0, roles: [], parts: absent },
  config: { list: absent },
  clock: systemClock,
  log: createLog({ level: 'silent', pretty: false }),
  host: '127.0.0.1',
  port: 0,
  webDirectory: '',
}
