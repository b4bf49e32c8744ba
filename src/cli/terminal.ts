import { styleText } from 'node:util'
import type { WriteStream } from 'node:tty'

export type Color = 'green' | 'red' | 'yellow' | 'dim' | 'bold' | 'cyan'

/** Where a command writes: results on the one channel, everything else on the other. */
export interface Terminal {
  /** Results, for people or programs: standard output. Text comes with its line ends. */
  write(text: string): void
  /** Progress and errors: standard error. */
  writeError(text: string): void
  /** Somebody looks at the results. */
  readonly isInteractive: boolean
  /** Somebody looks at progress and errors. */
  readonly isErrorInteractive: boolean
  /** Characters in a line and lines on the screen. */
  readonly columns: number
  readonly rows: number
  /** The text in a colour, or as it is where there are no colours. */
  color(color: Color, text: string): string
}

/** The terminal, pipe or file that this process was started with. */
export class ProcessTerminal implements Terminal {
  readonly isInteractive = process.stdout.isTTY
  readonly isErrorInteractive = process.stderr.isTTY
  readonly #hasColor: boolean

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    const isUnwanted = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb'
    this.#hasColor = this.isInteractive && !isUnwanted
    endQuietlyWhenNobodyReads(process.stdout)
    endQuietlyWhenNobodyReads(process.stderr)
  }

  // A terminal that does not know its size says 0.
  get columns(): number {
    return this.isInteractive ? process.stdout.columns || 80 : 200
  }

  get rows(): number {
    return this.isInteractive ? process.stdout.rows || 24 : 50
  }

  write(text: string): void {
    process.stdout.write(text)
  }

  writeError(text: string): void {
    process.stderr.write(text)
  }

  color(color: Color, text: string): string {
    return this.#hasColor ? styleText(color, text, { validateStream: false }) : text
  }
}

/** `millrace streams list | head -1` closes the pipe: that is no error. */
function endQuietlyWhenNobodyReads(stream: WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}
