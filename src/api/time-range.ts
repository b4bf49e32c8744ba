import { AppError } from '#lib/errors.ts'
import type { TimeRangeQuery } from './contract.ts'

/** The times of a query as milliseconds since the epoch. Throws `REQUEST_INVALID` when the range is empty. */
export function parseTimeRange({ from, to }: TimeRangeQuery): { fromMs?: number; toMs?: number } {
  const fromMs = from === undefined ? undefined : Date.parse(from)
  const toMs = to === undefined ? undefined : Date.parse(to)
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    const issues = [{ path: 'query.to', message: 'must be later than query.from' }]
    throw new AppError('REQUEST_INVALID', `query.to (${to}) must be later than query.from (${from})`, { details: { issues } })
  }
  return { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) }
}
