import { Type } from 'typebox'
import { topicParamsSchema, type PartitionView, type TopicView } from '#api/log-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatTime } from './format.ts'
import { LogClient } from './log-client.ts'
import { formatPairs, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'
import { retentionText } from './topics-list.ts'

export const topicsDescribe = defineCommand({
  name: 'topics describe',
  summary: 'Show one topic: settings, partitions, offsets',
  arguments: topicParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { name }, options, terminal, environment }) {
    const topic = await new LogClient(openClient(options, environment)).getTopic(name)
    terminal.write(options.json ? `${JSON.stringify(topic, null, 2)}\n` : describeTopic(topic, terminal))
  },
})

/** A topic with its partitions, for people. */
export function describeTopic(topic: TopicView, terminal: Terminal): string {
  const { config } = topic
  const pairs = formatPairs([
    ['name', terminal.color('bold', topic.name)],
    ['id', topic.id],
    ['made', formatTime(topic.createdAt) + (topic.isInternal ? ', by Millrace itself' : '')],
    ['durability', config.durability],
    ['kept', retentionText(config)],
    ['largest batch', formatBytes(config.maxMessageBytes)],
    ['times', config.timestampType],
    ['records', String(topic.recordCount)],
    ['stored', formatBytes(topic.sizeBytes)],
  ])
  return `${pairs}\n${formatTable(
    columns,
    topic.partitions.map((partition) => rowOf(partition, terminal)),
  )}`
}

const columns = [
  { title: 'PARTITION', align: 'right' },
  { title: 'STATE' },
  { title: 'START', align: 'right' },
  { title: 'END', align: 'right' },
  { title: 'STORED', align: 'right' },
  { title: 'EPOCH', align: 'right' },
  { title: '' },
] as const

function rowOf(partition: PartitionView, terminal: Terminal): string[] {
  const { state, error, logStartOffset, highWatermark, sizeBytes, epoch } = partition
  const colour = { online: 'green', failed: 'red', unowned: 'yellow' } as const
  return [
    String(partition.partition),
    terminal.color(colour[state], state),
    String(logStartOffset),
    String(highWatermark),
    formatBytes(sizeBytes),
    String(epoch),
    error ? `${error.code}: ${error.message}` : '',
  ]
}
