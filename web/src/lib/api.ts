import type { Static } from 'typebox'
import type {
  configSchema,
  ErrorBody,
  RecordingAction,
  RequestIssue,
  StreamList,
  StreamView,
  Timeline,
  TimelineRange,
} from '#api/contract.ts'

export type { RecordingAction, StreamView, TimelineRange }
export type StreamAction = 'start' | 'stop' | 'restart'

const answerTimeoutMs = 10_000

const streamPath = (name: string): string => `/api/v1/streams/${encodeURIComponent(name)}`

/** All streams, sorted by name. This and all that follow throw an `Error` whose message is for people. */
export async function loadStreams(): Promise<StreamView[]> {
  const streams: StreamView[] = []
  let cursor: string | undefined
  do {
    const place = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: StreamList = await request(`/api/v1/streams?limit=1000${place}`)
    streams.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return streams
}

export function actOnStream(name: string, action: StreamAction): Promise<StreamView> {
  return request(`${streamPath(name)}/${action}`, { method: 'POST' })
}

export function actOnRecording(name: string, action: RecordingAction): Promise<StreamView> {
  return request(`${streamPath(name)}/recording/${action}`, { method: 'POST' })
}

/** Recorded stretches between two moments, oldest first. */
export async function loadTimeline(name: string, fromMs: number, toMs: number): Promise<TimelineRange[]> {
  const { items }: Timeline = await request(`${streamPath(name)}/timeline?${timeRange(fromMs, toMs)}`)
  return items
}

/** Where a player finds what was recorded between two moments. */
export function playbackUrl(name: string, fromMs: number, toMs: number): string {
  return `${streamPath(name)}/playback.m3u8?${timeRange(fromMs, toMs)}`
}

/** Where a browser downloads it as one MP4. */
export function exportUrl(name: string, fromMs: number, toMs: number): string {
  return `${streamPath(name)}/export.mp4?${timeRange(fromMs, toMs)}`
}

/** The settings of the server by their dotted keys. */
export async function loadSettings(): Promise<ReadonlyMap<string, unknown>> {
  const { items }: Static<typeof configSchema> = await request('/api/v1/config')
  return new Map(items.map(({ key, value }) => [key, value]))
}

function timeRange(fromMs: number, toMs: number): string {
  return new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }).toString()
}

type RequestOptions = {
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** A refusal of the server, with its stable code. */
export class ApiError extends Error {
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>
  /** What is wrong where, such as `body.config.retentionMs`. */
  readonly issues: readonly RequestIssue[]

  constructor(message: string, { code, details = {} }: Partial<ErrorBody>) {
    super(message)
    this.code = code ?? ''
    this.details = details
    this.issues = Array.isArray(details['issues']) ? details['issues'] : []
  }
}

/** The JSON of an answer. Throws `ApiError` for refusals; when the signal fires, whatever `fetch` throws then. */
export async function request<T>(path: string, options?: RequestOptions): Promise<T> {
  const response = await send(path, options)
  return await response.json().catch((cause: unknown) => {
    throw options?.signal?.aborted ? cause : noAnswer(cause)
  })
}

/** The same for answers whose content does not matter. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, signal, timeoutMs = answerTimeoutMs } = options
  const limit = AbortSignal.timeout(timeoutMs)
  const response = await fetch(path, {
    method,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }).catch((cause: unknown) => {
    throw signal?.aborted ? cause : noAnswer(cause)
  })
  if (response.ok) return response
  const refusal: Partial<ErrorBody> = await response.json().catch(() => ({}))
  throw new ApiError(refusal.message ?? `Millrace answered ${response.status} ${response.statusText}`, refusal)
}

function noAnswer(cause: unknown): Error {
  return new Error('Millrace does not answer', { cause })
}
