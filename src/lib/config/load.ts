import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { AppError } from '../errors.ts'
import { convertText } from './convert.ts'
import { Draft } from './draft.ts'
import { environmentKeys, findUnknownNames } from './environment.ts'
import { loadConfigurationFile } from './file.ts'
import { findShape, objectShapeOf, type ObjectShape } from './shape.ts'
import type { Finding } from './validate.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Another name for the variable of a setting: `{ name: 'DATABASE_URL', key: 'database.url' }`. Our own name wins, then the first in the table. */
export type EnvironmentAlias = { readonly name: string; readonly key: string }

/** A command line flag that sets a key; `undefined` is a flag that was not given. */
export type FlagSetting = { readonly flag: string; readonly key: string; readonly value: string | number | boolean | undefined }

export type LoadOptions<Schema extends TSchema> = {
  readonly schema: Schema
  readonly file?: string | undefined
  readonly environment: Environment
  /** What names of environment variables begin with, such as `MILLRACE_`. */
  readonly environmentPrefix: string
  /** Names with the prefix that are no settings and no mistakes. */
  readonly ignoredVariables?: RegExp
  readonly aliases?: readonly EnvironmentAlias[]
  readonly flags?: readonly FlagSetting[]
  /** Rules between settings, which a schema cannot say; asked only when each setting is right. */
  readonly rules?: (value: Static<Schema>) => readonly Finding[]
}

export type Loaded<Value> = {
  readonly value: Value
  readonly file: string | undefined
  /** Where each setting comes from: `default`, `<file>:<line>`, `environment NAME` or `flag --name`, by key path. */
  readonly origins: Readonly<Record<string, string>>
}

/**
 * The configuration: defaults, then the file, then the environment, then flags, later ones over earlier ones.
 * Throws `CONFIG_NOT_FOUND`, or `CONFIG_INVALID` with every problem at once (`details.problems`).
 */
export async function loadConfiguration<Schema extends TSchema>(options: LoadOptions<Schema>): Promise<Loaded<Static<Schema>>> {
  const shape = objectShapeOf(options.schema)
  const file = options.file === undefined ? undefined : await loadConfigurationFile(options.file)
  const draft = new Draft(shape, file)
  draft.addFile(options.environment)
  addEnvironment(draft, shape, options)
  addFlags(draft, shape, options.flags ?? [])
  const value = draft.finish()
  if (!Check(options.schema, value)) throw new AppError('INTERNAL', 'the configuration passed its checks but not its schema')
  draft.refuse(options.rules?.(value) ?? [])
  return { value, file: options.file, origins: draft.origins(value) }
}

function addEnvironment<Schema extends TSchema>(draft: Draft, shape: ObjectShape, options: LoadOptions<Schema>): void {
  const { environment, environmentPrefix: prefix, ignoredVariables, aliases = [] } = options
  const known = environmentKeys(shape, prefix)
  const own = [...known.values()].map(({ name, path }) => ({ name, path }))
  const others = aliases.map(({ name, key }) => ({ name, path: key.split('.') }))
  // From the weakest to the strongest: each overwrites the one before.
  for (const { name, path } of [...others.toReversed(), ...own]) {
    const text = environment[name]
    if (text === undefined || text === '') continue
    draft.set(path, convertText(text, requireShape(shape, path)), `environment ${name}`)
  }
  for (const { name, message } of findUnknownNames(environment, { prefix, known: known.keys(), ignored: ignoredVariables })) {
    draft.addProblem({ origin: 'environment', key: name, message })
  }
}

function addFlags(draft: Draft, shape: ObjectShape, flags: readonly FlagSetting[]): void {
  for (const { flag, key, value } of flags) {
    if (value === undefined) continue
    const path = key.split('.')
    draft.set(path, typeof value === 'string' ? convertText(value, requireShape(shape, path)) : value, `flag ${flag}`)
  }
}

function requireShape(root: ObjectShape, path: readonly string[]) {
  const shape = findShape(root, path)
  if (!shape) throw new AppError('INTERNAL', `the configuration has no setting ${path.join('.')}`)
  return shape
}
