import type { KeyPath } from './key-path.ts'
import type { Shape } from './shape.ts'
import { isTable, mapTable, type Table } from './tree.ts'

/**
 * The value with what the schema knows better: each absent key that is required gets its default, and required tables are made to hold theirs.
 * Optional keys stay absent. Keys come in the order of the schema. `onDefault` hears of each value filled in.
 */
export function fillDefaults(shape: Shape, value: unknown, onDefault: (path: KeyPath) => void, path: KeyPath = []): unknown {
  if (shape.kind === 'list' && Array.isArray(value)) {
    return value.map((item: unknown, index) => fillDefaults(shape.items, item, onDefault, [...path, index]))
  }
  if (!isTable(value)) return value
  if (shape.kind === 'record') return mapTable(value, (item, key) => fillDefaults(shape.items, item, onDefault, [...path, key]))
  if (shape.kind !== 'object') return value
  const result: Table = {}
  for (const [key, property] of shape.properties) {
    const below = [...path, key]
    const found = value[key]
    const filled =
      found === undefined
        ? initialOf(shape.required.has(key), property, onDefault, below)
        : fillDefaults(property, found, onDefault, below)
    if (filled !== undefined) result[key] = filled
  }
  // What the schema does not know goes along, for validation to name.
  for (const [key, item] of Object.entries(value)) if (!Object.hasOwn(result, key)) result[key] = item
  return result
}

function initialOf(isRequired: boolean, shape: Shape, onDefault: (path: KeyPath) => void, path: KeyPath): unknown {
  if (!isRequired) return undefined
  if (shape.default !== undefined) {
    onDefault(path)
    return structuredClone(shape.default)
  }
  if (shape.kind === 'record') return {}
  return shape.kind === 'object' ? fillDefaults(shape, {}, onDefault, path) : undefined
}
