import { Type } from 'typebox'
import type { StreamView } from '#api/contract.ts'
import { sleep } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { LiveBlock } from './live-block.ts'
import { healthCells, recordingCell, stateCell } from './stream-columns.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const streamsWatch = defineCommand({
  name: 'streams watch',
  summary: 'Watch streams until Ctrl+C: a live table, or a line for each change when there is no terminal',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line: a stream, whenever it changes' }),
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only names with this in them' })),
    intervalSeconds: Type.Number({ default: 1, minimum: 0.1, maximum: 3600, description: 'How often to look' }),
  }),
  async run({ options, terminal, environment, clock, signal }) {
    const client = openClient(options, environment)
    const view = viewFor(terminal, options.json)
    let hasAnswered = false
    do {
      try {
        view.show(await client.listStreams({ search: options.search, signal }), clock.nowMs())
        hasAnswered = true
      } catch (error) {
        if (signal.aborted) return
        // A server that restarts is waited for; one that was never there is an error.
        if (!hasAnswered || !(error instanceof AppError) || error.code !== 'API_UNREACHABLE') throw error
        view.showTrouble(error.message, clock.nowMs())
      }
    } while (await sleep(options.intervalSeconds * 1000, signal))
  },
})

interface WatchView {
  show(streams: readonly StreamView[], nowMs: number): void
  showTrouble(message: string, nowMs: number): void
}

function viewFor(terminal: Terminal, isJson: boolean): WatchView {
  return terminal.isInteractive && !isJson ? new LiveView(terminal) : new ChangeView(terminal, isJson)
}

const columns = [
  { title: 'NAME' },
  { title: 'STATE' },
  { title: 'FPS', align: 'right' },
  { title: 'KBPS', align: 'right' },
  { title: 'READERS', align: 'right' },
  { title: 'LAST FRAME', align: 'right' },
  { title: 'RECORDING' },
] as const

/** The same table again and again, in place. */
class LiveView implements WatchView {
  readonly #terminal: Terminal
  readonly #block: LiveBlock
  #table = ''

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#block = new LiveBlock(terminal)
  }

  show(streams: readonly StreamView[], nowMs: number): void {
    const rows = streams.map((stream) => {
      const { fps, kbps, lastFrame } = healthCells(stream)
      const readers = String(stream.readerCount)
      return [
        stream.name,
        stateCell(stream, this.#terminal),
        fps,
        kbps,
        readers,
        lastFrame,
        recordingCell(stream, this.#terminal),
      ]
    })
    const online = streams.filter(({ state }) => state === 'online').length
    this.#table = formatTable(columns, rows)
    this.#block.draw(`${formatTime(nowMs)}  ${online} of ${streams.length} online\n\n${this.#table}`)
  }

  showTrouble(message: string, nowMs: number): void {
    this.#block.draw(`${formatTime(nowMs)}  ${this.#terminal.color('red', message)}\n\n${this.#table}`)
  }
}

/** A line for each stream whose state, readers or recording changed. */
class ChangeView implements WatchView {
  readonly #terminal: Terminal
  readonly #isJson: boolean
  #lastByName = new Map<string, string>()
  #isInTrouble = false

  constructor(terminal: Terminal, isJson: boolean) {
    this.#terminal = terminal
    this.#isJson = isJson
  }

  show(streams: readonly StreamView[], nowMs: number): void {
    this.#isInTrouble = false
    const summaries = new Map(streams.map((stream) => [stream.name, summaryOf(stream)]))
    for (const stream of streams) {
      const summary = summaries.get(stream.name)
      if (summary === this.#lastByName.get(stream.name)) continue
      this.#terminal.write(this.#isJson ? `${JSON.stringify(stream)}\n` : `${formatTime(nowMs)}  ${stream.name}  ${summary}\n`)
    }
    for (const name of this.#lastByName.keys()) {
      if (summaries.has(name)) continue
      this.#terminal.write(
        this.#isJson ? `${JSON.stringify({ name, state: 'removed' })}\n` : `${formatTime(nowMs)}  ${name}  removed\n`,
      )
    }
    this.#lastByName = summaries
  }

  showTrouble(message: string, nowMs: number): void {
    if (!this.#isInTrouble) this.#terminal.writeError(`${formatTime(nowMs)}  ${message}\n`)
    this.#isInTrouble = true
  }
}

function summaryOf({ state, readerCount, recording }: StreamView): string {
  return `${state}  ${readerCount} readers  recording ${recording.state}`
}
