import { stripVTControlCharacters } from 'node:util'
import { widthOf } from './table.ts'
import type { Terminal } from './terminal.ts'

const lineStart = '\r\u001B[2K'

/** A block of lines on an interactive terminal that is drawn over itself. It never grows beyond the screen, which could not be drawn over. */
export class LiveBlock {
  readonly #terminal: Terminal
  #drawnLines = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  draw(text: string): void {
    const all = text.trimEnd().split('\n')
    const room = Math.max(1, this.#terminal.rows - 2)
    const shown = all.length <= room ? all : [...all.slice(0, room - 1), `… and ${all.length - room + 1} more`]
    const up = this.#drawnLines > 0 ? `\u001B[${this.#drawnLines}A` : ''
    const lines = shown.map((line) => `${lineStart}${this.#cut(line)}\n`).join('')
    this.#terminal.write(`${up}${lines}\u001B[J`)
    this.#drawnLines = shown.length
  }

  /** A line that wraps would count as one and be two. Colours of a cut line are lost. */
  #cut(line: string): string {
    if (widthOf(line) <= this.#terminal.columns) return line
    return `${stripVTControlCharacters(line).slice(0, this.#terminal.columns - 1)}…`
  }
}
