import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import { BatchSpanProcessor, type ReadableSpan, type Span, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace'
import type { Context } from '@opentelemetry/api'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'

/** Spans that wait or are on their way: about 4 MB. */
const maxPending = 4096
const maxBatch = 512
const sendEveryMs = 2000
const sendMs = 10_000
const sayEveryMs = 60_000

type Deps = { readonly exporter: SpanExporter; readonly clock: Clock; readonly log: Logger }

/**
 * Sends spans in batches. When the collector does not keep up, or is away, new spans are dropped; what is lost is counted, and told at most once a minute.
 */
export class BoundedSpans implements SpanProcessor {
  readonly #batches: BatchSpanProcessor
  readonly #exporter: Pick<SpanExporter, 'export'>
  readonly #clock: Clock
  readonly #log: Logger
  #pending = 0
  #lost = 0
  #reason = ''
  #saidAtMs = -Infinity

  constructor({ exporter, clock, log }: Deps) {
    this.#exporter = exporter
    this.#clock = clock
    this.#log = log
    this.#batches = new BatchSpanProcessor({
      exporter: { export: (spans, done) => this.#send(spans, done), shutdown: () => exporter.shutdown() },
      maxQueueSize: maxPending,
      maxExportBatchSize: maxBatch,
      scheduledDelayMillis: sendEveryMs,
      exportTimeoutMillis: sendMs,
    })
  }

  onStart(span: Span, parent: Context): void {
    this.#batches.onStart(span, parent)
  }

  onEnd(span: ReadableSpan): void {
    if (this.#pending >= maxPending) {
      this.#lose(1, `${maxPending} wait to be sent`)
      return
    }
    this.#pending += 1
    this.#batches.onEnd(span)
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush()
  }

  /** Sends what is left. */
  async shutdown(): Promise<void> {
    if (this.#lost > 0) this.#say()
    await this.#batches.shutdown()
  }

  #send(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      this.#pending -= spans.length
      if (result.code !== ExportResultCode.SUCCESS)
        this.#lose(spans.length, result.error?.message ?? 'the collector refused them')
      done(result)
    })
  }

  #lose(count: number, reason: string): void {
    this.#lost += count
    this.#reason = reason
    if (this.#clock.monotonicMs() - this.#saidAtMs >= sayEveryMs) this.#say()
  }

  #say(): void {
    this.#saidAtMs = this.#clock.monotonicMs()
    this.#log.warn({ spans: this.#lost, reason: this.#reason }, 'spans of traces were lost; check tracing.endpoint')
    this.#lost = 0
  }
}
