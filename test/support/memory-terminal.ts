import type { Terminal } from '#cli/terminal.ts'

/** A terminal that remembers what was written. Not interactive and without colours unless told otherwise. */
export class MemoryTerminal implements Terminal {
  readonly isInteractive: boolean
  readonly isErrorInteractive: boolean
  readonly columns: number
  readonly rows: number
  readonly #hasColor: boolean
  output = ''
  errors = ''

  constructor({ isInteractive = false, hasColor = false, columns = 200, rows = 50 } = {}) {
    this.isInteractive = isInteractive
    this.isErrorInteractive = isInteractive
    this.#hasColor = hasColor
    this.columns = columns
    this.rows = rows
  }

  write(text: string): void {
    this.output += text
  }

  writeError(text: string): void {
    this.errors += text
  }

  color(color: string, text: string): string {
    return this.#hasColor ? `<${color}>${text}</>` : text
  }
}
