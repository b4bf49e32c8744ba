import type { Static } from 'typebox'
import type { configSchema, ErrorBody, RecordingAction, StreamList, StreamView, Timeline, TimelineRange } from '#api/contract.ts'

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
  return request(`${streamPath(name)}/${action}`, 'POST')
}

export function actOnRecording(name: string, action: RecordingAction): Promise<StreamView> {
  return request(`${streamPath(name)}/recording/${action}`, 'POST')
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

/** A setting of the server by its dotted key; undefined when there is none of that name. */
export async function loadSetting(key: string): Promise<unknown> {
  const { items }: Static<typeof configSchema> = await request('/api/v1/config')
  return items.find((item) => item.key === key)?.value
}

function timeRange(fromMs: number, toMs: number): string {
  return new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }).toString()
}

async function request<T>(path: string, method = 'GET'): Promise<T> {
  const response = await fetch(path, { method, signal: AbortSignal.timeout(answerTimeoutMs) }).catch((cause: unknown) => {
    throw new Error('Millrace does not answer', { cause })
  })
  if (response.ok) return await response.json()
  const body: Partial<ErrorBody> = await response.json().catch(() => ({}))
  throw new Error(body.message ?? `Millrace answered ${response.status} ${response.statusText}`)
}
