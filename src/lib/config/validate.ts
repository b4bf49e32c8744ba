import { withoutCredentials } from '../log.ts'
import { convertText } from './convert.ts'
import { describeShape, describeValue } from './describe.ts'
import { formatKey, type KeyPath } from './key-path.ts'
import { findNearest } from './nearest.ts'
import type { Shape } from './shape.ts'
import { isTable, type Table } from './tree.ts'

/** One thing that is wrong: where, and the rest of a sentence that begins with the key: `is "x", but must be …; remedy`. */
export type Finding = { readonly path: KeyPath; readonly message: string }

/** Everything that is wrong with a value, in the order of the value. Empty when it fits. */
export function findProblems(shape: Shape, value: unknown, path: KeyPath = []): Finding[] {
  switch (shape.kind) {
    case 'object':
      return isTable(value) ? objectProblems(shape, value, path) : [mismatch(shape, value, path)]
    case 'record':
      return isTable(value) ? recordProblems(shape, value, path) : [mismatch(shape, value, path)]
    case 'list':
      return Array.isArray(value) ? listProblems(shape, value, path) : [mismatch(shape, value, path)]
    case 'text':
    case 'number':
    case 'boolean':
    case 'choice':
      return fits(shape, value) ? [] : [mismatch(shape, value, path)]
    default:
      return shape satisfies never
  }
}

type ShapeOf<Kind extends Shape['kind']> = Extract<Shape, { kind: Kind }>

function objectProblems(shape: ShapeOf<'object'>, value: Table, path: KeyPath): Finding[] {
  const known = [...shape.properties.keys()]
  const inside = Object.entries(value).flatMap(([key, item]) => {
    const property = shape.properties.get(key)
    return property ? findProblems(property, item, [...path, key]) : [unknownKey(key, known, path)]
  })
  const missing = [...shape.required].filter((key) => value[key] === undefined)
  return [...inside, ...missing.map((key) => missingKey(shape.properties.get(key), [...path, key]))]
}

function recordProblems(shape: ShapeOf<'record'>, value: Table, path: KeyPath): Finding[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const below = [...path, key]
    const inside = findProblems(shape.items, item, below)
    return shape.keyPattern.test(key)
      ? inside
      : [{ path: below, message: `has a name that is not allowed; ${shape.keyRule}` }, ...inside]
  })
}

function listProblems(shape: ShapeOf<'list'>, value: readonly unknown[], path: KeyPath): Finding[] {
  const inside = value.flatMap((item, index) => findProblems(shape.items, item, [...path, index]))
  if (value.length >= shape.minItems && value.length <= shape.maxItems) return inside
  return [{ path, message: `has ${value.length} items, but must be ${describeShape(shape)}` }, ...inside]
}

/** Whether a value that is no table and no list is what the shape asks for. */
function fits(shape: ShapeOf<'text' | 'number' | 'boolean' | 'choice'>, value: unknown): boolean {
  switch (shape.kind) {
    case 'text':
      return (
        typeof value === 'string' &&
        value.length >= shape.minLength &&
        value.length <= shape.maxLength &&
        (shape.pattern?.test(value) ?? true)
      )
    case 'number':
      return (
        typeof value === 'number' &&
        (shape.isInteger ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
        value >= shape.minimum &&
        value <= shape.maximum
      )
    case 'boolean':
      return typeof value === 'boolean'
    case 'choice':
      return shape.values.some((allowed) => allowed === value)
    default:
      return shape satisfies never
  }
}

function mismatch(shape: Shape, value: unknown, path: KeyPath): Finding {
  const found = shape.isSecret && typeof value === 'string' ? 'a hidden text' : describeValue(value)
  return { path, message: `is ${found}, but must be ${expected(shape, value)}${remedyOf(shape, value, path)}` }
}

/** The pattern is told only to who wrote a text of the right length: to others it says nothing. */
function expected(shape: Shape, value: unknown): string {
  if (shape.kind !== 'text' || !shape.pattern || typeof value !== 'string') return describeShape(shape)
  return `${describeShape(shape)} that matches ${shape.pattern.source}`
}

function remedyOf(shape: Shape, value: unknown, path: KeyPath): string {
  const key = path.findLast((part) => typeof part === 'string') ?? ''
  if (typeof value === 'string') {
    const meant = convertText(withoutCredentials(value), shape)
    if (shape.kind === 'list' && findProblems(shape, meant).length === 0)
      return `; write ${formatKey(key)} = ${JSON.stringify(meant)}`
    if (meant !== value && findProblems(shape, meant).length === 0)
      return `; write ${formatKey(key)} = ${JSON.stringify(meant)}, without quotes`
    const nearest = shape.kind === 'choice' ? findNearest(value, shape.values.map(String)) : undefined
    if (nearest !== undefined) return `; did you mean ${JSON.stringify(nearest)}?`
  }
  if (shape.default === undefined || shape.isSecret) return ''
  return `; leave it out for the default, ${JSON.stringify(shape.default)}`
}

function unknownKey(key: string, known: readonly string[], path: KeyPath): Finding {
  const meant = findNearest(key, known)
  const remedy = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${formatKey(meant)}?`
  return { path: [...path, key], message: `is not a known key; ${remedy}` }
}

function missingKey(shape: Shape | undefined, path: KeyPath): Finding {
  return { path, message: `is missing; it must be ${shape ? describeShape(shape) : 'set'}` }
}
