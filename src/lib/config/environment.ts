import { AppError } from '../errors.ts'
import { findNearest } from './nearest.ts'
import type { ObjectShape, Shape } from './shape.ts'

/** A setting that an environment variable can hold: all but free-named tables and lists of tables. */
export type EnvironmentKey = { readonly name: string; readonly path: readonly string[]; readonly shape: Shape }

/** The variable of a key path: `live.readerQueueMegabytes` is `<prefix>LIVE_READER_QUEUE_MEGABYTES`. */
export function environmentName(path: readonly string[], prefix: string): string {
  return prefix + path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_')
}

/** Every variable that the schema knows, by name. `INTERNAL` when two settings would share one. */
export function environmentKeys(root: ObjectShape, prefix: string): ReadonlyMap<string, EnvironmentKey> {
  const keys = new Map<string, EnvironmentKey>()
  const visit = (object: ObjectShape, above: readonly string[]): void => {
    for (const [key, shape] of object.properties) {
      const path = [...above, key]
      if (shape.kind === 'object') visit(shape, path)
      if (!isOneVariable(shape)) continue
      const name = environmentName(path, prefix)
      const other = keys.get(name)
      if (other)
        throw new AppError('INTERNAL', `${path.join('.')} and ${other.path.join('.')} would both be ${name}; rename one of them`)
      keys.set(name, { name, path, shape })
    }
  }
  visit(root, [])
  return keys
}

/** Names that start like ours and mean nothing, each with a remedy. */
export function findUnknownNames(
  environment: Readonly<Record<string, string | undefined>>,
  { prefix, known, ignored }: { prefix: string; known: Iterable<string>; ignored: RegExp | undefined },
): { name: string; message: string }[] {
  const names = [...known]
  const strangers = Object.keys(environment).filter(
    (name) => name.startsWith(prefix) && !names.includes(name) && !ignored?.test(name),
  )
  return strangers.toSorted().map((name) => {
    const meant = findNearest(
      name.slice(prefix.length),
      names.map((candidate) => candidate.slice(prefix.length)),
    )
    return { name, message: `is not a known setting; ${meant === undefined ? 'unset it' : `did you mean ${prefix}${meant}?`}` }
  })
}

function isOneVariable(shape: Shape): boolean {
  if (shape.kind === 'list') return isOneVariable(shape.items) && shape.items.kind !== 'list'
  return shape.kind !== 'object' && shape.kind !== 'record'
}
