import { AppError } from '#lib/errors.ts'
import { defaultPageSize, type PageQuery } from './contract.ts'

/** One page of a list that is sorted by a unique key, and the cursor of the next when there is more. */
export function pageOf<T>(
  items: readonly T[],
  { limit = defaultPageSize, cursor }: PageQuery,
  keyOf: (item: T) => string,
): { items: T[]; nextCursor?: string } {
  const after = cursor === undefined ? undefined : readCursor(cursor)
  const start = after === undefined ? 0 : items.findIndex((item) => keyOf(item) > after)
  const page = start < 0 ? [] : items.slice(start, start + limit)
  const last = page.at(-1)
  const isMore = start >= 0 && start + limit < items.length
  return { items: page, ...(isMore && last !== undefined ? { nextCursor: writeCursor(keyOf(last)) } : {}) }
}

/** A cursor is the key of the last item seen, in a form that nobody takes for anything else. */
export function writeCursor(key: string): string {
  return Buffer.from(key).toString('base64url')
}

/** Throws `REQUEST_INVALID` for text that `writeCursor` does not write. */
export function readCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString()
  if (key !== '' && writeCursor(key) === cursor) return key
  const issues = [{ path: 'query.cursor', message: 'is not a cursor' }]
  throw new AppError('REQUEST_INVALID', 'query.cursor is not a cursor; pass nextCursor of the answer before', {
    details: { issues },
  })
}
