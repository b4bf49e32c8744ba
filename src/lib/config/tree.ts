import type { KeyPath } from './key-path.ts'

/** A table of a configuration before it is validated. */
export type Table = Record<string, unknown>

/** Whether a parsed value is a table; dates and lists are not. */
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** Sets one value below `root`, making the tables on the way. False when something that is no table stands in the way. */
export function setAt(root: Table, path: readonly string[], value: unknown): boolean {
  const [key, ...rest] = path
  if (key === undefined) return false
  if (rest.length === 0) {
    root[key] = value
    return true
  }
  const next = root[key] ?? {}
  if (!isTable(next)) return false
  root[key] = next
  return setAt(next, rest, value)
}

/** The same tree with each text replaced. The result shares nothing with the input but dates. */
export function mapTexts(value: unknown, map: (text: string, path: KeyPath) => unknown, path: KeyPath = []): unknown {
  if (typeof value === 'string') return map(value, path)
  if (Array.isArray(value)) return value.map((item: unknown, index) => mapTexts(item, map, [...path, index]))
  if (isTable(value)) return mapTable(value, (item, key) => mapTexts(item, map, [...path, key]))
  return value
}

/** The same table with each value replaced. */
export function mapTable(table: Table, map: (value: unknown, key: string) => unknown): Table {
  const result: Table = {}
  for (const [key, value] of Object.entries(table)) result[key] = map(value, key)
  return result
}

/** The path of each single value: scalars, and lists that hold no tables. */
export function leafPaths(value: unknown, path: KeyPath = []): KeyPath[] {
  if (isTable(value)) return Object.entries(value).flatMap(([key, item]) => leafPaths(item, [...path, key]))
  if (Array.isArray(value) && value.some(isTable))
    return value.flatMap((item: unknown, index) => leafPaths(item, [...path, index]))
  return [path]
}

/** The value at a path; `undefined` when there is none. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  let value: unknown = root
  for (const key of path) {
    if (Array.isArray(value) && typeof key === 'number') value = value[key]
    else value = isTable(value) ? value[key] : undefined
  }
  return value
}
