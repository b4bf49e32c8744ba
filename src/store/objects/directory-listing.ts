import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { compareKeys, isObjectKey } from './object-key.ts'

type Bounds = { readonly prefix: string; readonly after: string }

/** Keys of the files below `root`, in key order, that begin with `prefix` and are above `after`. Folders outside these bounds are not read. */
export async function* listKeys(root: string, bounds: Bounds, folder = ''): AsyncGenerator<string> {
  for (const name of await readFolder(join(root, folder))) {
    const path = folder + name
    if (path.endsWith('/')) {
      if (mayHold(path, bounds)) yield* listKeys(root, bounds, path)
    } else if (path.startsWith(bounds.prefix) && compareKeys(path, bounds.after) > 0) {
      yield path
    }
  }
}

/** Names with `/` behind those of folders, so that `a.b` comes before what is in `a/`. A folder that was just pruned is empty. */
async function readFolder(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  const names = entries.flatMap((entry) => {
    if (!isObjectKey(entry.name)) return []
    if (entry.isDirectory()) return [`${entry.name}/`]
    return entry.isFile() ? [entry.name] : []
  })
  return names.sort(compareKeys)
}

function mayHold(folder: string, { prefix, after }: Bounds): boolean {
  const mayHavePrefix = folder.startsWith(prefix) || prefix.startsWith(folder)
  return mayHavePrefix && (after.startsWith(folder) || compareKeys(folder, after) > 0)
}
