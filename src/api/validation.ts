import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Pointer, Value } from 'typebox/value'
import { AppError } from '#lib/errors.ts'
import type { RequestIssue } from './contract.ts'

/** Issues named in one answer; a thousand wrong array items need no thousand lines. */
const maxIssues = 20

const partNames: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' }

/**
 * How Fastify validates: the schemas as they are, no defaults filled in (a PATCH must not bring any), nothing removed. Only whole numbers in
 * queries and paths are converted, since a URL has nothing but text. Throws nothing; the returned error is `REQUEST_INVALID` with `details.issues`.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'body' }) => {
  const part = partNames[httpPart] ?? httpPart
  const isText = httpPart === 'querystring' || httpPart === 'params'
  return (input: unknown) => {
    const value = isText ? withNumbers(schema, input) : input
    if (Value.Check(schema, value)) return { value }
    const issues = requestIssues(schema, value, part)
    // Beyond some errors of one kind the library tells no others.
    const [first = { path: part, message: 'has fields that are not known' }] = issues
    const rest = issues.length > 1 ? ` (and ${issues.length - 1} more, see details.issues)` : ''
    return { error: new AppError('REQUEST_INVALID', `${first.path} ${first.message}${rest}`, { details: { issues } }) }
  }
}

/** What is wrong with a value, as lines for people: one entry a place, `part` in front of each path. */
function requestIssues(schema: TSchema, value: unknown, part: string): RequestIssue[] {
  const issues = new Map<string, string>()
  for (const error of Value.Errors(schema, value)) {
    const path = [part, ...error.instancePath.split('/').slice(1)].join('.')
    for (const [name, message] of describe(schema, error)) {
      const full = name === undefined ? path : `${path}.${name}`
      if (!issues.has(full) || error.keyword === 'anyOf') issues.set(full, message)
    }
  }
  return [...issues].slice(0, maxIssues).map(([path, message]) => ({ path, message }))
}

type ValidationError = ReturnType<typeof Value.Errors>[number]

/** The messages of one error, each for the place itself (`undefined`) or for a property of it. */
function describe(schema: TSchema, error: ValidationError): [name: string | undefined, message: string][] {
  if (error.keyword === 'required') return error.params.requiredProperties.map((name) => [name, 'is required'])
  if (error.keyword === 'additionalProperties') {
    return error.params.additionalProperties.map((name) => [name, 'is not a known field'])
  }
  // An unknown property once more: `additionalProperties` names it, too.
  if (error.keyword === 'boolean') return []
  return [[undefined, messageOf(schema, error)]]
}

function messageOf(schema: TSchema, error: ValidationError): string {
  if (error.keyword === 'type') return `must be ${article(String(error.params.type))}`
  if (error.keyword === 'enum') return `must be one of ${error.params.allowedValues.join(', ')}`
  const at = schemaAt(schema, error.schemaPath)
  if (error.keyword === 'anyOf') return oneOf(at) ?? error.message
  if (error.keyword === 'pattern' && typeof at['description'] === 'string') return `is not allowed: ${at['description']}`
  if (error.keyword === 'format' && error.params.format === 'date-time') return 'must be a time such as 2026-01-31T12:00:00Z'
  return error.message
}

function schemaAt(schema: TSchema, path: string): Record<string, unknown> {
  const found: unknown = Pointer.Get(schema, path.slice(1))
  return isRecord(found) ? found : {}
}

/** `must be one of a, b` for a union of constants. */
function oneOf({ anyOf }: Record<string, unknown>): string | undefined {
  if (!Array.isArray(anyOf)) return undefined
  const values = anyOf.map((variant: unknown) => (isRecord(variant) ? variant['const'] : undefined))
  return values.includes(undefined) ? undefined : `must be one of ${values.join(', ')}`
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function withNumbers(schema: TSchema, input: unknown): unknown {
  if (!isRecord(input)) return input
  const entries = Object.entries(input).map(([key, value]) => {
    const isWhole = typeof value === 'string' && /^\d{1,15}$/.test(value)
    return [key, isWhole && schemaAt(schema, `#/properties/${key}`)['type'] === 'integer' ? Number(value) : value]
  })
  return Object.fromEntries(entries)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
