import type { Static, TObject, TProperties, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { convertText } from '#lib/config/convert.ts'
import { fillDefaults } from '#lib/config/defaults.ts'
import { objectShapeOf, type ObjectShape, type Shape } from '#lib/config/shape.ts'
import { isTable, mapTable, type Table } from '#lib/config/tree.ts'
import { findProblems } from '#lib/config/validate.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Terminal } from './terminal.ts'

/** What a command gets from the world. */
export type CommandContext = {
  readonly terminal: Terminal
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Fires on the first Ctrl+C or SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal
}

export type CommandDeclaration<Arguments extends TObject, Options extends TObject> = {
  /** Words as they are typed: `streams list`. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Below the summary in the command's own help. */
  readonly details?: string
  /** In the order in which they are typed; an optional one may be left out. */
  readonly arguments: Arguments
  /** `fromTime` is typed as `--from-time`; keyword `short` adds a letter, `placeholder` names the value in the help. A list is a flag that may come again. */
  readonly options: Options
  run(input: { arguments: Static<Arguments>; options: Static<Options> } & CommandContext): Promise<void>
}

/** A flag or positional argument as the help shows it. */
export type ParameterHelp = {
  readonly key: string
  readonly flag: string
  readonly short: string | undefined
  readonly placeholder: string
  readonly description: string
  readonly isRequired: boolean
  /** What it is when it is not typed. */
  readonly initial: unknown
  readonly shape: Shape
}

export type Command = {
  readonly name: string
  readonly summary: string
  readonly details: string | undefined
  readonly arguments: readonly ParameterHelp[]
  readonly options: readonly ParameterHelp[]
  /** Checks what was typed and runs; `USAGE` when it does not fit. */
  execute(typed: { arguments: Table; options: Table }, context: CommandContext): Promise<void>
}

/** A command of the command line, declared in one object. What was typed is checked against the schemas before `run` sees it. */
export function defineCommand<Arguments extends TProperties, Options extends TProperties>(
  declaration: CommandDeclaration<TObject<Arguments>, TObject<Options>>,
): Command {
  return {
    name: declaration.name,
    summary: declaration.summary,
    details: declaration.details,
    arguments: parametersOf(declaration.arguments),
    options: parametersOf(declaration.options),
    execute: (typed, context) =>
      declaration.run({
        ...context,
        arguments: parseTyped(declaration.arguments, typed.arguments, (key) => key),
        options: parseTyped(declaration.options, typed.options, flagOf),
      }),
  }
}

/** `fromTime` as it is typed: `--from-time`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function parametersOf(schema: TObject): ParameterHelp[] {
  const shape = objectShapeOf(schema)
  return [...shape.properties].map(([key, property]) => ({
    key,
    flag: flagOf(key),
    short: keywordOf(schema, key, 'short'),
    placeholder:
      keywordOf(schema, key, 'placeholder') ??
      (property.kind === 'number' ? 'number' : property.kind === 'choice' ? property.values.join('|') : key),
    description: property.description ?? '',
    isRequired: shape.required.has(key) && property.default === undefined,
    initial: shape.required.has(key) ? property.default : undefined,
    shape: property,
  }))
}

function keywordOf(schema: TObject, key: string, keyword: string): string | undefined {
  const property: unknown = schema.properties[key]
  const value = isTable(property) ? property[keyword] : undefined
  return typeof value === 'string' ? value : undefined
}

/** Texts become what the schema wants, defaults are filled in, and the first thing that is wrong is told as `USAGE`. */
function parseTyped<Schema extends TSchema>(schema: Schema, typed: Table, nameOf: (key: string) => string): Static<Schema> {
  const shape = objectShapeOf(schema)
  const present = Object.fromEntries(Object.entries(typed).filter(([, value]) => value !== undefined))
  const value = fillDefaults(
    shape,
    mapTable(present, (item, key) => convertTyped(item, shape, key)),
    () => {},
  )
  const [problem] = findProblems(shape, value)
  if (problem) throw new AppError('USAGE', `${nameOf(String(problem.path[0]))} ${problem.message}`)
  if (!Check(schema, value)) throw new AppError('INTERNAL', 'a command line passed its checks but not its schema')
  return value
}

function convertTyped(value: unknown, shape: ObjectShape, key: string): unknown {
  const property = shape.properties.get(key)
  if (typeof value === 'string' && property) return convertText(value, property)
  if (Array.isArray(value) && property?.kind === 'list') {
    return value.map((item: unknown) => (typeof item === 'string' ? convertText(item, property.items) : item))
  }
  return value
}
