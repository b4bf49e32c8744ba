import { Type } from 'typebox'
import { streamParamsSchema, type StreamView } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { healthCells, recordingCell, stateCell, tracksCell } from './stream-columns.ts'
import { formatPairs, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const streamsShow = defineCommand({
  name: 'streams show',
  summary: 'Show one stream: sources, tracks, health, addresses',
  arguments: streamParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { name }, options, terminal, environment }) {
    const stream = await openClient(options, environment).getStream(name)
    terminal.write(options.json ? `${JSON.stringify(stream, null, 2)}\n` : describeStream(stream, terminal))
  },
})

function describeStream(stream: StreamView, terminal: Terminal): string {
  const { health, publisher, spec, urls } = stream
  const { fps, kbps, lastFrame } = healthCells(stream)
  const since =
    stream.state === 'online' && stream.onlineSinceMs !== undefined ? ` since ${formatTime(stream.onlineSinceMs)}` : ''
  const pairs = formatPairs([
    ['name', terminal.color('bold', stream.name)],
    ['state', stateCell(stream, terminal) + since],
    ['declared in', stream.origin],
    ['tracks', tracksCell(stream)],
    ['publisher', publisher && `${publisher.protocol} from ${publisher.remoteAddress}`],
    ['health', kbps && `${fps} fps, ${kbps} kbit/s, last frame ${lastFrame} ago`],
    [
      'troubles',
      `${health.outages} outages, ${health.reconnects} reconnects, ${health.lostPackets} packets lost, ${health.droppedUnits} units dropped`,
    ],
    ['readers', String(stream.readerCount)],
    ['recording', recordingCell(stream, terminal) + (stream.recording.error === undefined ? '' : `: ${stream.recording.error}`)],
    ['HLS', spec.hls],
    ['watch', urls.rtsp],
    ['', urls.hls],
  ])
  return `${pairs}\n${formatTable(sourceColumns, stream.sources.map(sourceRow))}`
}

const sourceColumns = [{ title: 'SOURCE' }, { title: 'STATE' }, { title: 'LAST ERROR' }] as const

function sourceRow({ url, state, error }: StreamView['sources'][number]): string[] {
  return [url, state, error ? `${error.code}: ${error.message}` : '']
}
