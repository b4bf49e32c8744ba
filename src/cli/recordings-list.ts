import { Type } from 'typebox'
import { streamParamsSchema } from '#api/contract.ts'
import { apiOptions, rangeOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatDuration, formatTime } from './format.ts'
import { formatTable } from './table.ts'
import { isoRange, parseRange } from './time-argument.ts'

export const recordingsList = defineCommand({
  name: 'recordings list',
  summary: 'List recorded files',
  arguments: Type.Object({ stream: Type.Optional(streamParamsSchema.properties.name) }),
  options: Type.Object({ ...apiOptions, ...rangeOptions }),
  async run({ arguments: { stream }, options, terminal, environment, clock }) {
    const range = isoRange(parseRange(options, clock.nowMs()))
    const recordings = await openClient(options, environment).listRecordings({
      ...(stream !== undefined && { stream }),
      ...range,
    })
    if (options.json) return terminal.write(`${JSON.stringify(recordings, null, 2)}\n`)
    if (recordings.length === 0) return terminal.write('Nothing is recorded there.\n')
    const rows = recordings.map(({ id, stream: name, startedAt, durationMs, sizeBytes, state, isOnDisk, archivedAt }) => {
      const length = formatDuration(durationMs)
      return [
        name,
        formatTime(startedAt),
        length,
        formatBytes(sizeBytes),
        state === 'open' ? terminal.color('red', state) : state,
        [...(isOnDisk ? ['disk'] : []), ...(archivedAt === undefined ? [] : ['archive'])].join(', '),
        id,
      ]
    })
    terminal.write(formatTable(columns, rows))
  },
})

const columns = [
  { title: 'STREAM' },
  { title: 'STARTED' },
  { title: 'LENGTH', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'STATE' },
  { title: 'WHERE' },
  { title: 'ID' },
] as const
