/** Where a value is in a configuration: table names and list positions, from the root. */
export type KeyPath = readonly (string | number)[]

/** The path as one writes it in TOML, with list positions in brackets: `streams."site-2/gate".sources[0]`. */
export function formatKeyPath(path: KeyPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += (text === '' ? '' : '.') + formatKey(part)
  }
  return text
}

/** One key, quoted when TOML asks for it. */
export function formatKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)
}
