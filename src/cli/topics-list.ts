import { Type } from 'typebox'
import type { TopicSummary } from '#api/log-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatDuration } from './format.ts'
import { LogClient } from './log-client.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const topicsList = defineCommand({
  name: 'topics list',
  summary: 'List the topics of the event log',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only names with this in them' })),
  }),
  async run({ options, terminal, environment }) {
    const topics = await new LogClient(openClient(options, environment)).listTopics({ search: options.search })
    if (options.json) return terminal.write(`${JSON.stringify(topics, null, 2)}\n`)
    if (topics.length === 0) return terminal.write('No topics. Make one with: millrace topics create <name>\n')
    terminal.write(
      formatTable(
        columns,
        topics.map((topic) => rowOf(topic, terminal)),
      ),
    )
  },
})

const columns = [
  { title: 'NAME' },
  { title: 'PARTITIONS', align: 'right' },
  { title: 'RECORDS', align: 'right' },
  { title: 'STORED', align: 'right' },
  { title: 'DURABILITY' },
  { title: 'KEPT' },
] as const

function rowOf({ name, isInternal, partitionCount, recordCount, sizeBytes, config }: TopicSummary, terminal: Terminal): string[] {
  const shown = isInternal ? terminal.color('dim', name) : name
  return [shown, String(partitionCount), String(recordCount), formatBytes(sizeBytes), config.durability, retentionText(config)]
}

/** `7 d 00 h`, `1.0 GB a partition`, both, or `for ever`. */
export function retentionText({ retentionMs, retentionBytes }: TopicSummary['config']): string {
  const parts = [
    ...(retentionMs < 0 ? [] : [formatDuration(retentionMs)]),
    ...(retentionBytes < 0 ? [] : [`${formatBytes(retentionBytes)} a partition`]),
  ]
  return parts.length === 0 ? 'for ever' : parts.join(', ')
}
