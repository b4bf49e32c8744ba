import { AppError } from '../errors.ts'
import { isTable, type Table } from './tree.ts'

type Scalar = string | number | boolean

type ShapeNotes = {
  readonly description?: string
  readonly default?: unknown
  /** A value for the sample file where there is no default. */
  readonly example?: unknown
  /** Shown nowhere: dumps, messages. Keyword `secret: true`. */
  readonly isSecret: boolean
}

/**
 * What a configuration value may be. A schema in the vocabulary that configuration needs, read once from TypeBox, so that validation, defaults,
 * environment names, documents and the command line all walk the same small union.
 */
export type Shape = ShapeNotes &
  (
    | { readonly kind: 'object'; readonly properties: ReadonlyMap<string, Shape>; readonly required: ReadonlySet<string> }
    /** A table with free names: keyword `keys` says in words which names are allowed. */
    | { readonly kind: 'record'; readonly keyPattern: RegExp; readonly keyRule: string; readonly items: Shape }
    | { readonly kind: 'list'; readonly items: Shape; readonly minItems: number; readonly maxItems: number }
    | { readonly kind: 'text'; readonly minLength: number; readonly maxLength: number; readonly pattern: RegExp | undefined }
    | { readonly kind: 'number'; readonly isInteger: boolean; readonly minimum: number; readonly maximum: number }
    | { readonly kind: 'boolean' }
    | { readonly kind: 'choice'; readonly values: readonly Scalar[] }
  )

export type ObjectShape = Extract<Shape, { kind: 'object' }>

/** Reads a schema; `INTERNAL` when it uses something a configuration has no words for. */
export function shapeOf(schema: unknown): Shape {
  if (!isTable(schema)) throw unknownSchema(schema)
  const notes = notesOf(schema)
  const choice = choiceOf(schema)
  if (choice) return { ...notes, kind: 'choice', values: choice }
  switch (schema['type']) {
    case 'object':
      return { ...notes, ...tableShape(schema) }
    case 'array':
      return {
        ...notes,
        kind: 'list',
        items: shapeOf(schema['items']),
        minItems: numberOf(schema['minItems'], 0),
        maxItems: numberOf(schema['maxItems'], Infinity),
      }
    case 'string':
      return { ...notes, ...textShape(schema) }
    case 'number':
    case 'integer':
      return {
        ...notes,
        kind: 'number',
        isInteger: schema['type'] === 'integer',
        minimum: numberOf(schema['minimum'], -Infinity),
        maximum: numberOf(schema['maximum'], Infinity),
      }
    case 'boolean':
      return { ...notes, kind: 'boolean' }
    default:
      throw unknownSchema(schema)
  }
}

/** The root of a configuration: an object. */
export function objectShapeOf(schema: unknown): ObjectShape {
  const shape = shapeOf(schema)
  if (shape.kind !== 'object') throw unknownSchema(schema)
  return shape
}

/** The shape at a path of names, if the schema has one there. List positions and record names count as steps. */
export function findShape(shape: Shape, path: readonly (string | number)[]): Shape | undefined {
  const [key, ...rest] = path
  if (key === undefined) return shape
  switch (shape.kind) {
    case 'object': {
      const next = shape.properties.get(String(key))
      return next && findShape(next, rest)
    }
    case 'record':
    case 'list':
      return findShape(shape.items, rest)
    case 'text':
    case 'number':
    case 'boolean':
    case 'choice':
      return undefined
    default:
      return shape satisfies never
  }
}

function notesOf(schema: Table): ShapeNotes {
  const { description, default: initial, examples } = schema
  return {
    ...(typeof description === 'string' && { description }),
    ...(initial !== undefined && { default: initial }),
    ...(Array.isArray(examples) && { example: examples[0] }),
    isSecret: schema['secret'] === true,
  }
}

/** The values of a literal, an enum, or a union of literals. */
function choiceOf(schema: Table): Scalar[] | undefined {
  if (schema['const'] !== undefined) return scalars([schema['const']])
  if (Array.isArray(schema['enum'])) return scalars(schema['enum'])
  if (!Array.isArray(schema['anyOf'])) return undefined
  return scalars(schema['anyOf'].map((option: unknown) => (isTable(option) ? option['const'] : undefined)))
}

function scalars(values: unknown[]): Scalar[] | undefined {
  const found = values.filter((value) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
  return found.length === values.length ? found : undefined
}

function tableShape(schema: Table) {
  const [record] = isTable(schema['patternProperties']) ? Object.entries(schema['patternProperties']) : []
  if (record) {
    const [pattern, items] = record
    const keyRule = typeof schema['keys'] === 'string' ? schema['keys'] : `must match ${pattern}`
    return { kind: 'record' as const, keyPattern: new RegExp(pattern), keyRule, items: shapeOf(items) }
  }
  if (!isTable(schema['properties'])) throw unknownSchema(schema)
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : []
  const properties = new Map(Object.entries(schema['properties']).map(([key, value]) => [key, shapeOf(value)] as const))
  return { kind: 'object' as const, properties, required: new Set(required) }
}

function textShape(schema: Table) {
  const pattern = schema['pattern']
  return {
    kind: 'text' as const,
    minLength: numberOf(schema['minLength'], 0),
    maxLength: numberOf(schema['maxLength'], Infinity),
    pattern: typeof pattern === 'string' || pattern instanceof RegExp ? new RegExp(pattern) : undefined,
  }
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}

function unknownSchema(schema: unknown): AppError {
  return new AppError(
    'INTERNAL',
    `a configuration schema has a form that is not known here: ${String(JSON.stringify(schema)).slice(0, 200)}`,
  )
}
