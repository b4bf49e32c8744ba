import type { Clock } from '#lib/clock.ts'
import { formatBytes, formatDuration } from './format.ts'
import type { Terminal } from './terminal.ts'

const barWidth = 24
const redrawMs = 200

/** One line that says how far a transfer is: bar, bytes, speed, time left. Nothing where nobody looks. */
export class ProgressLine {
  readonly #terminal: Terminal
  readonly #clock: Clock
  readonly #startedMs: number
  #drawnMs = -Infinity

  constructor({ terminal, clock }: { terminal: Terminal; clock: Clock }) {
    this.#terminal = terminal
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  /** `totalBytes` is absent while nobody knows. */
  update(doneBytes: number, totalBytes: number | undefined): void {
    this.show((elapsedMs) => describeProgress({ doneBytes, totalBytes, elapsedMs }))
  }

  /** Any text, when it is time to draw again. */
  show(describe: (elapsedMs: number) => string): void {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#terminal.isErrorInteractive || nowMs - this.#drawnMs < redrawMs) return
    this.#drawnMs = nowMs
    this.#terminal.writeError(`\r\u001B[2K${describe(nowMs - this.#startedMs)}`)
  }

  /** Takes the line away, for what is printed next. */
  clear(): void {
    if (this.#drawnMs > -Infinity) this.#terminal.writeError('\r\u001B[2K')
  }
}

/** `[######............] 25 %  10 MB of 40 MB  5.0 MB/s  6.0 s left`. */
export function describeProgress({
  doneBytes,
  totalBytes,
  elapsedMs,
}: {
  doneBytes: number
  totalBytes: number | undefined
  elapsedMs: number
}): string {
  const bytesPerMs = elapsedMs > 0 ? doneBytes / elapsedMs : 0
  const speed = `${formatBytes(bytesPerMs * 1000)}/s`
  if (totalBytes === undefined || totalBytes <= 0) return `${formatBytes(doneBytes)}  ${speed}`
  const share = Math.min(1, doneBytes / totalBytes)
  const left = bytesPerMs > 0 ? `  ${formatDuration((totalBytes - doneBytes) / bytesPerMs)} left` : ''
  return `${progressBar(share)} ${Math.floor(share * 100)} %  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}  ${speed}${left}`
}

/** `[######............]` for a share from 0 to 1. */
export function progressBar(share: number, width = barWidth): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`
}
