import { json } from 'node:stream/consumers'
import { Type, type Static } from 'typebox'
import { Parse } from 'typebox/value'
import { startHttpServer } from './http-server.ts'

const attributesSchema = Type.Array(Type.Object({ key: Type.String(), value: Type.Record(Type.String(), Type.Unknown()) }))
/** What OTLP over HTTP sends as JSON: `ExportTraceServiceRequest` of opentelemetry-proto. */
const requestSchema = Type.Object({
  resourceSpans: Type.Array(
    Type.Object({
      resource: Type.Object({ attributes: attributesSchema }),
      scopeSpans: Type.Array(
        Type.Object({
          spans: Type.Array(
            Type.Object({
              traceId: Type.String({ pattern: '^[0-9a-f]{32}$' }),
              spanId: Type.String({ pattern: '^[0-9a-f]{16}$' }),
              parentSpanId: Type.Optional(Type.String()),
              name: Type.String(),
              kind: Type.Integer(),
              startTimeUnixNano: Type.String(),
              endTimeUnixNano: Type.String(),
              attributes: attributesSchema,
              status: Type.Object({ code: Type.Integer(), message: Type.Optional(Type.String()) }),
            }),
          ),
        }),
      ),
    }),
  ),
})
type Attributes = Readonly<Record<string, unknown>>

/** A span as it arrived, with the resource that it came from. */
export type ReceivedSpan = Pick<
  Static<typeof requestSchema>['resourceSpans'][number]['scopeSpans'][number]['spans'][number],
  'traceId' | 'spanId' | 'parentSpanId' | 'name' | 'kind' | 'status'
> & { readonly attributes: Attributes; readonly resource: Attributes; readonly durationMs: number }

export interface OtlpReceiver extends AsyncDisposable {
  /** What is set as the endpoint. */
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
}

/** A collector of traces: takes OTLP over HTTP, as JSON. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const server = await startHttpServer((request, response) => {
    if (request.url !== '/v1/traces') return void response.writeHead(404).end()
    void json(request).then((body) => {
      spans.push(...spansOf(Parse(requestSchema, body)))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  return { url: server.url, spans, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

function spansOf({ resourceSpans }: Static<typeof requestSchema>): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ startTimeUnixNano, endTimeUnixNano, ...span }) => ({
        ...span,
        attributes: valuesOf(span.attributes),
        resource: valuesOf(resource.attributes),
        durationMs: Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6,
      })),
    ),
  )
}

function valuesOf(attributes: Static<typeof attributesSchema>): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
