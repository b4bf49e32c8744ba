import { AppError } from '#lib/errors.ts'
import type { LogHub, LogTopic } from './log-hub.ts'

/** Where to begin in a partition: an end, or a time in milliseconds since the epoch. */
export type RecordPlace = 'earliest' | 'latest' | number

/** `earliest`, `latest`, or a time: ISO 8601 with zone, or milliseconds since the epoch. `where` is for the message: `query.at`. Throws `REQUEST_INVALID`. */
export function parsePlace(text: string, where: string): RecordPlace {
  if (text === 'earliest' || text === 'latest') return text
  const timeMs = parseTimestampMs(/^\d{1,15}$/.test(text) ? Number(text) : text)
  if (timeMs !== undefined) return timeMs
  throw invalidPlace(where, 'is neither earliest, latest, nor a time such as 2026-01-31T12:00:00Z')
}

/** Milliseconds since the epoch of a time of a record; undefined for what is none. */
export function parseTimestampMs(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/i.test(value))
    return undefined
  const timeMs = Date.parse(value)
  return Number.isNaN(timeMs) || timeMs < 0 ? undefined : timeMs
}

/** `REQUEST_INVALID` about one place of a request. */
export function invalidPlace(path: string, message: string): AppError {
  return new AppError('REQUEST_INVALID', `${path} ${message}`, { details: { issues: [{ path, message }] } })
}

/** The offset at a place, and the time of the record there when it was looked for. The end when no record is that late. */
export async function offsetAt(
  log: Pick<LogHub, 'findOffset'>,
  topic: LogTopic,
  { partition, place }: { partition: number; place: RecordPlace },
): Promise<{ offset: number; timestampMs?: number }> {
  const { logStart, highWatermark } = topic.partition(partition)
  if (place === 'earliest') return { offset: logStart }
  if (place === 'latest') return { offset: highWatermark }
  const { offset, timestampMs } = await log.findOffset({ topic: topic.name, partition }, place)
  return offset < 0 ? { offset: highWatermark } : { offset, timestampMs }
}
