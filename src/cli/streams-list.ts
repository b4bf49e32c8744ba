import { Type } from 'typebox'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { healthCells, recordingCell, stateCell, tracksCell } from './stream-columns.ts'
import { formatTable } from './table.ts'

export const streamsList = defineCommand({
  name: 'streams list',
  summary: 'List the streams of a server',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only names with this in them' })),
  }),
  async run({ options, terminal, environment }) {
    const streams = await openClient(options, environment).listStreams({ search: options.search })
    if (options.json) return terminal.write(`${JSON.stringify(streams, null, 2)}\n`)
    if (streams.length === 0) return terminal.write('No streams. Add one with: millrace streams add <name>\n')
    const rows = streams.map((stream) => {
      const { fps, kbps } = healthCells(stream)
      const readers = String(stream.readerCount)
      return [stream.name, stateCell(stream, terminal), fps, kbps, readers, recordingCell(stream, terminal), tracksCell(stream)]
    })
    terminal.write(formatTable(columns, rows))
  },
})

const columns = [
  { title: 'NAME' },
  { title: 'STATE' },
  { title: 'FPS', align: 'right' },
  { title: 'KBPS', align: 'right' },
  { title: 'READERS', align: 'right' },
  { title: 'RECORDING' },
  { title: 'TRACKS' },
] as const
