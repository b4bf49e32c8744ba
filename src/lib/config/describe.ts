import { withoutCredentials } from '../log.ts'
import { isTable } from './tree.ts'
import type { Shape } from './shape.ts'

/** What is allowed, in words: `an integer from 0 to 65535`. */
export function describeShape(shape: Shape): string {
  switch (shape.kind) {
    case 'object':
    case 'record':
      return 'a table'
    case 'list': {
      const most = shape.maxItems === Infinity ? '' : `, at most ${shape.maxItems}`
      const least = shape.minItems === 0 ? '' : `, at least ${shape.minItems}`
      return shape.items.kind === 'object'
        ? `a list of tables${least}${most}`
        : `a list, each item ${describeShape(shape.items)}${least}${most}`
    }
    case 'text':
      return `text${lengthRule(shape.minLength, shape.maxLength)}`
    case 'number':
      return `${shape.isInteger ? 'an integer' : 'a number'}${rangeRule(shape.minimum, shape.maximum)}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `${shape.values.length > 1 ? 'one of ' : ''}${shape.values.map((value) => JSON.stringify(value)).join(', ')}`
    default:
      return shape satisfies never
  }
}

/** What was found, short enough for a message, without passwords of URLs. */
export function describeValue(value: unknown): string {
  if (value instanceof Date) return 'a date'
  if (Array.isArray(value)) return 'a list'
  if (isTable(value)) return 'a table'
  if (typeof value !== 'string') return String(value)
  const shown = withoutCredentials(value)
  return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown)
}

function rangeRule(minimum: number, maximum: number): string {
  if (minimum === -Infinity && maximum === Infinity) return ''
  if (maximum === Infinity) return `, ${minimum} or more`
  if (minimum === -Infinity) return `, ${maximum} or less`
  return ` from ${minimum} to ${maximum}`
}

function lengthRule(minLength: number, maxLength: number): string {
  if (minLength <= 1 && maxLength === Infinity) return minLength === 1 ? ' that is not empty' : ''
  if (maxLength === Infinity) return ` of ${minLength} characters or more`
  return ` of ${minLength} to ${maxLength} characters`
}
