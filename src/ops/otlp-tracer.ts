import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span as OtelSpan,
  type Tracer as OtelTracer,
} from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { sleep } from '#lib/abort.ts'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { Span, SpanAttributes, SpanOptions, Tracer } from '#lib/tracing.ts'
import { BoundedSpans } from './bounded-spans.ts'

/** What has not reached the collector so long after the end of all else is lost. */
const flushMs = 3000
const exportMs = 10_000
/** Of an attribute; error messages may be long. */
const maxAttributeLength = 2000

export type OtlpTracerOptions = {
  /** Of a collector, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` below it. */
  readonly endpoint: string
  /** Of the traces that begin here, 0 to 1. */
  readonly sampleRatio: number
  /** What this process is: `service.…` and our own. */
  readonly resource: Readonly<Record<string, string>>
  readonly version: string
  readonly clock: Clock
  readonly log: Logger
}

/** Spans to a collector by OTLP over HTTP, as JSON. A trace that came from elsewhere is recorded if its beginner wants it. Disposing sends what is left, for a limited time. */
export class OtlpTracer implements Tracer, AsyncDisposable {
  readonly #provider: TracerProvider
  readonly #tracer: OtelTracer

  constructor({ endpoint, sampleRatio, resource, version, clock, log }: OtlpTracerOptions) {
    const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: exportMs })
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes(resource),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
      spanLimits: { attributeValueLengthLimit: maxAttributeLength },
      spanProcessors: [new BoundedSpans({ exporter, clock, log })],
    })
    this.#tracer = this.#provider.getTracer('millrace', version)
  }

  start(name: string, { kind, parent, startedAtMs, attributes = {} }: SpanOptions = {}): Span {
    const remote = parent === undefined ? null : parseTraceParent(parent)
    const context = remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true })
    const otelKind = kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL
    const options = {
      kind: otelKind,
      attributes: known(attributes),
      ...(startedAtMs !== undefined && { startTime: new Date(startedAtMs) }),
    }
    return new OtlpSpan(this.#tracer.startSpan(name, options, context))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const done = new AbortController()
    const ended = this.#provider.shutdown().catch(() => undefined)
    await Promise.race([ended, sleep(flushMs, done.signal)])
    done.abort()
  }
}

class OtlpSpan implements Span {
  readonly traceparent: string
  readonly traceId: string | undefined
  readonly #span: OtelSpan

  constructor(span: OtelSpan) {
    const { traceId, spanId, traceFlags } = span.spanContext()
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
    this.traceId = span.isRecording() ? traceId : undefined
    this.#span = span
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(known(attributes))
  }

  fail(code: string, message?: string): void {
    this.#span.setAttribute('error.type', code)
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: message === undefined ? code : `${code}: ${message}` })
  }

  end(): void {
    this.#span.end()
  }
}

function known(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}
