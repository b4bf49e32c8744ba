import { toAppError } from './errors.ts'

/** What is undefined is left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

export type SpanOptions = {
  /** `server` for the answer to a request; else it is work of this process. */
  readonly kind?: 'server'
  /** A `traceparent` of W3C Trace Context. Absent or not understood: the span begins a trace of its own. */
  readonly parent?: string | undefined
  /** Wall time, of work that began before anybody told of it; absent: now. */
  readonly startedAtMs?: number
  readonly attributes?: SpanAttributes
}

/** A piece of work within a trace, from its start until `end`. */
export interface Span {
  /** As those carry it on whose work is part of this; undefined while nothing is traced. */
  readonly traceparent: string | undefined
  /** Undefined when the trace is not recorded. */
  readonly traceId: string | undefined
  set(attributes: SpanAttributes): void
  /** It failed; `code` is one of `errorTable`. */
  fail(code: string, message?: string): void
  end(): void
}

/** Where spans go. Nothing that it does throws or waits. */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span
}

/** Whoever starts it has no tracer, but may have got a trace to carry on. */
function silentSpan(traceparent: string | undefined): Span {
  return { traceparent, traceId: undefined, set: () => undefined, fail: () => undefined, end: () => undefined }
}

export const silentTracer: Tracer = { start: (_, options) => silentSpan(options?.parent) }

/** Does work under a span, which ends with it. What the work throws is the failure of the span. */
export async function inSpan<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code, message } = toAppError(error)
    span.fail(code, message)
    throw error
  } finally {
    span.end()
  }
}

/** Of a log line about the work of a span. */
export function traceFields(span: Span | undefined): { readonly traceId?: string } {
  return span?.traceId === undefined ? {} : { traceId: span.traceId }
}
