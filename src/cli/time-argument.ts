import { AppError } from '#lib/errors.ts'

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** A length of time as people write it: `90s`, `15m`, `1h30m`, `2 d`; in milliseconds. `USAGE` when it is none. */
export function parseDurationMs(text: string): number {
  const found = findDurationMs(text)
  if (found === undefined) throw new AppError('USAGE', `"${text}" is no length of time; write for example 90s, 15m, 1h30m or 2d`)
  return found
}

/**
 * A moment as people write it, in milliseconds since the epoch: ISO 8601, `2026-01-02 10:00` and `10:00` (today) in the local time zone, `now`, or
 * `15m ago`. `USAGE` when it is none.
 */
export function parseTimeMs(text: string, nowMs: number): number {
  const trimmed = text.trim()
  if (trimmed === 'now') return nowMs
  const agoMs = trimmed.endsWith(' ago') ? findDurationMs(trimmed.slice(0, -4)) : undefined
  if (agoMs !== undefined) return nowMs - agoMs
  const timeMs = findDateMs(trimmed, nowMs)
  if (timeMs !== undefined) return timeMs
  throw new AppError(
    'USAGE',
    `"${text}" is no time; write for example "2026-01-02 10:00", 10:00, 2026-01-02T10:00:00Z, "15m ago" or now`,
  )
}

/** A stretch of time from `--from`, `--to` and `--last`; absent ends stay absent. `USAGE` when they contradict each other. */
export function parseRange(
  { from, to, last }: { from?: string; to?: string; last?: string },
  nowMs: number,
): { fromMs?: number; toMs?: number } {
  if (last !== undefined && from !== undefined)
    throw new AppError('USAGE', '--last and --from exclude each other; give one of them')
  const toMs = to === undefined ? undefined : parseTimeMs(to, nowMs)
  const startMs = from === undefined ? undefined : parseTimeMs(from, nowMs)
  const fromMs = last === undefined ? startMs : (toMs ?? nowMs) - parseDurationMs(last)
  if (fromMs !== undefined && fromMs >= (toMs ?? Infinity))
    throw new AppError('USAGE', 'the range ends before it begins; exchange --from and --to')
  return { ...(fromMs !== undefined && { fromMs }), ...(toMs !== undefined && { toMs }) }
}

/** The same as the API wants it. */
export function isoRange({ fromMs, toMs }: { fromMs?: number; toMs?: number }): { from?: string; to?: string } {
  return {
    ...(fromMs !== undefined && { from: new Date(fromMs).toISOString() }),
    ...(toMs !== undefined && { to: new Date(toMs).toISOString() }),
  }
}

function findDurationMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|min|[smhdw])\s*/g)]
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text.trimStart()) return undefined
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0), 0)
}

function findDateMs(text: string, nowMs: number): number | undefined {
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text)
  if (clock) {
    const [hours = 0, minutes = 0, seconds = 0] = clock.slice(1).map((part) => Number(part || 0))
    return hours > 23 || minutes > 59 || seconds > 59 ? undefined : new Date(nowMs).setHours(hours, minutes, seconds, 0)
  }
  const date = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text)
  if (!date) return undefined
  const [, day = '', time = '00:00', zone = ''] = date
  const ms = Date.parse(`${day}T${time}${zone}`)
  return Number.isNaN(ms) ? undefined : ms
}
