import type { TSchema } from 'typebox'
import { formatKeyPath } from './key-path.ts'
import type { Loaded } from './load.ts'
import { hideSecrets } from './secrets.ts'
import { shapeOf } from './shape.ts'
import { leafPaths, valueAt } from './tree.ts'

export type ShownSetting = { readonly key: string; readonly value: unknown; readonly origin: string }

/** Every setting in force with where it comes from, secrets hidden: for `validate --show` and the API. */
export function showConfiguration(schema: TSchema, loaded: Loaded<unknown>): ShownSetting[] {
  const shown = hideSecrets(shapeOf(schema), loaded.value)
  return leafPaths(shown).map((path) => {
    const key = formatKeyPath(path)
    return { key, value: valueAt(shown, path), origin: loaded.origins[key] ?? 'default' }
  })
}
