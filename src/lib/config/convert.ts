import type { Shape } from './shape.ts'

/**
 * A text from the environment or the command line as the value that the schema wants there: numbers, `true`/`false`/`1`/`0`, choices, and lists
 * separated by commas. Text that does not fit comes back as it is, for validation to name.
 */
export function convertText(text: string, shape: Shape): unknown {
  switch (shape.kind) {
    case 'number':
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text
    case 'boolean':
      return booleans.get(text.toLowerCase()) ?? text
    case 'choice':
      return shape.values.find((value) => String(value) === text) ?? text
    case 'list':
      return text.split(',').map((item) => convertText(item.trim(), shape.items))
    case 'text':
    case 'object':
    case 'record':
      return text
    default:
      return shape satisfies never
  }
}

const booleans = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
])
