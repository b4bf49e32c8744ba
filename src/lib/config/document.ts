import { stringify } from 'smol-toml'
import { describeShape } from './describe.ts'
import { environmentName } from './environment.ts'
import { formatKey, formatKeyPath } from './key-path.ts'
import { objectShapeOf, type ObjectShape, type Shape } from './shape.ts'

export type DocumentOptions = {
  readonly schema: unknown
  readonly environmentPrefix: string
  /** What stands before the first section: text for TOML comments, or Markdown. */
  readonly introduction: string
}

/**
 * The sample file: every setting with its meaning, commented out at its default, so that the file as it stands changes nothing.
 * A line that begins with `#` and a space is text; one that begins with `#` alone is a setting to take in.
 */
export function exampleToml({ schema, environmentPrefix, introduction }: DocumentOptions): string {
  const blocks = [comment(introduction)]
  for (const { path, shape } of sectionsOf(objectShapeOf(schema))) {
    const about = comment(shape.description ?? '')
    if (shape.kind !== 'object') {
      blocks.push(joinLines(about, sampleOf(path, shape).replace(/^(?=.)/gm, '#')))
      continue
    }
    blocks.push(joinLines(about, `[${formatKeyPath(path)}]`))
    for (const [key, property] of settingsOf(shape)) {
      const text = [
        property.description,
        `${capital(describeShape(property))}.`,
        `Environment: ${environmentName([...path, key], environmentPrefix)}`,
      ]
      blocks.push(
        joinLines(comment(text.filter(Boolean).join('\n')), `#${formatKey(key)} = ${tomlValue(sampleValue(key, property))}`),
      )
    }
  }
  return `${blocks.join('\n\n')}\n`
}

/** The reference page: a table a section, with default, unit, what is allowed, and the environment variable. */
export function configurationPage({ schema, environmentPrefix, introduction }: DocumentOptions): string {
  const blocks = [introduction.trim()]
  for (const { path, shape } of sectionsOf(objectShapeOf(schema))) {
    const name = formatKeyPath(path)
    blocks.push(`## ${shape.kind === 'object' ? name : shape.kind === 'list' ? `${name} (list)` : `${name}.<name>`}`)
    if (shape.description !== undefined) blocks.push(shape.description)
    if (shape.kind === 'object') blocks.push(settingsTable(shape, environmentName(path, environmentPrefix)))
    else blocks.push(...itemTable(shape), `\`\`\`toml\n${sampleOf(path, shape)}\n\`\`\``)
  }
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`
}

type Section = { readonly path: readonly string[]; readonly shape: Shape }

/** The tables of a file in order: each object, and after it those inside. */
function sectionsOf(object: ObjectShape, above: readonly string[] = []): Section[] {
  return [...object.properties].flatMap(([key, shape]): Section[] => {
    const path = [...above, key]
    if (shape.kind === 'object') return [{ path, shape }, ...sectionsOf(shape, path)]
    return isSingle(shape) ? [] : [{ path, shape }]
  })
}

/** The single values of a table, without the tables in it. */
function settingsOf(object: ObjectShape): [string, Shape][] {
  return [...object.properties].filter(([, shape]) => isSingle(shape))
}

function isSingle(shape: Shape): boolean {
  return shape.kind === 'list' ? isSingle(shape.items) : shape.kind !== 'object' && shape.kind !== 'record'
}

const columns = ['key', 'default', 'unit', 'allowed', 'environment', 'meaning']

type Row = { readonly key: string; readonly shape: Shape; readonly isRequired: boolean; readonly variable?: string }

function settingsTable(object: ObjectShape, variablePrefix: string): string {
  return markdownTable(
    settingsOf(object).map(([key, shape]) => ({
      key,
      shape,
      isRequired: object.required.has(key),
      variable: `${variablePrefix}_${environmentName([key], '')}`,
    })),
  )
}

/** The keys of each item of a list of tables or a table with free names; inner tables with dotted keys. */
function itemTable(shape: Shape): string[] {
  if ((shape.kind !== 'list' && shape.kind !== 'record') || shape.items.kind !== 'object') return []
  return [markdownTable(itemRows(shape.items, ''))]
}

function itemRows(object: ObjectShape, prefix: string): Row[] {
  return [...object.properties].flatMap(([key, shape]): Row[] => {
    if (shape.kind === 'object') return itemRows(shape, `${prefix}${key}.`)
    return [{ key: prefix + key, shape, isRequired: object.required.has(key) }]
  })
}

function markdownTable(rows: readonly Row[]): string {
  const cells = rows.map(({ key, shape, isRequired, variable }) => [
    `\`${key}\``,
    isRequired && shape.default !== undefined ? `\`${tomlValue(shape.default)}\`` : '',
    unitOf(key),
    describeShape(shape),
    variable === undefined ? '' : `\`${variable}\``,
    shape.description ?? '',
  ])
  if (cells.length === 0) return ''
  const isUsed = columns.map((_, index) => cells.some((row) => row[index] !== ''))
  const line = (row: readonly string[]): string =>
    `| ${row
      .filter((_, index) => isUsed[index])
      .map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' '))
      .join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...cells.map(line)].join('\n')
}

/** Units are in the names of settings; the page has them in a column of their own. */
const units: readonly (readonly [suffix: string, unit: string])[] = [
  ['Milliseconds', 'ms'],
  ['Seconds', 's'],
  ['Minutes', 'min'],
  ['Hours', 'h'],
  ['Days', 'd'],
  ['Megabytes', 'MB'],
  ['Kilobytes', 'kB'],
  ['Bytes', 'B'],
  ['Kbps', 'kbit/s'],
  ['Percent', '%'],
]

function unitOf(key: string): string {
  return units.find(([suffix]) => key.toLowerCase().endsWith(suffix.toLowerCase()))?.[1] ?? ''
}

/** A table with free names or a list of tables, filled with the schema's example. */
function sampleOf(path: readonly string[], shape: Shape): string {
  const tree = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), shape.example ?? (shape.kind === 'list' ? [] : {}))
  return stringify(tree).trim()
}

/** The default; where there is none, an example, a variable for a secret, or something that shows what kind of value it takes. */
function sampleValue(key: string, shape: Shape): unknown {
  if (shape.default !== undefined) return shape.default
  if (shape.example !== undefined) return shape.example
  switch (shape.kind) {
    case 'text':
      if (shape.isSecret) return `\${${environmentName([key], '')}}`
      return shape.minLength === 0 ? '' : '…'
    case 'number':
      return Number.isFinite(shape.minimum) ? shape.minimum : 0
    case 'boolean':
      return false
    case 'choice':
      return shape.values[0]
    case 'list':
      return []
    case 'object':
    case 'record':
      return {}
    default:
      return shape satisfies never
  }
}

/** A value on one line. JSON's texts, numbers, booleans and lists of them are TOML too. */
function tomlValue(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(tomlValue).join(', ')}]` : JSON.stringify(value)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function joinLines(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n')
}

const lineWidth = 110

/** Text as TOML comment lines of bounded width; its own line breaks stay. */
function comment(text: string): string {
  const wrapped = text.trim().split('\n').flatMap(wrap)
  return wrapped.map((line) => `# ${line}`.trimEnd()).join('\n')
}

function wrap(line: string): string[] {
  const lines: string[] = []
  let rest = line
  while (rest.length > lineWidth) {
    const at = rest.lastIndexOf(' ', lineWidth)
    if (at <= 0) break
    lines.push(rest.slice(0, at))
    rest = rest.slice(at + 1)
  }
  return [...lines, rest]
}
