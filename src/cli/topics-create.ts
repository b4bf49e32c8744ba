import { Type } from 'typebox'
import { topicParamsSchema } from '#api/log-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { LogClient } from './log-client.ts'
import { parseDurationMs } from './time-argument.ts'

export const topicsCreate = defineCommand({
  name: 'topics create',
  summary: 'Make a topic',
  details: 'What is not said here has the default of the server.',
  arguments: topicParamsSchema,
  options: Type.Object({
    ...apiOptions,
    partitions: Type.Optional(
      Type.Integer({ short: 'p', minimum: 1, maximum: 1_000_000, description: 'How many; records keep their order within one' }),
    ),
    durability: Type.Optional(
      Type.Enum(['wal', 'object'], {
        description: 'What a record has survived when it is acknowledged: this disk, or the object store',
      }),
    ),
    retention: Type.Optional(
      Type.String({ minLength: 1, placeholder: 'duration', description: 'Keep records this long: 12h, 7d, or "unlimited"' }),
    ),
    retentionBytes: Type.Optional(
      Type.Integer({ minimum: -1, placeholder: 'bytes', description: 'Cut each partition to about this size; -1 does not' }),
    ),
    maxMessageBytes: Type.Optional(
      Type.Integer({ minimum: 1024, placeholder: 'bytes', description: 'Largest batch of records that is taken' }),
    ),
  }),
  async run({ arguments: { name }, options, terminal, environment }) {
    const { partitions, durability, retention, retentionBytes, maxMessageBytes } = options
    const config = {
      ...(durability === undefined ? {} : { durability }),
      ...(retention === undefined ? {} : { retentionMs: retention === 'unlimited' ? -1 : parseDurationMs(retention) }),
      ...(retentionBytes === undefined ? {} : { retentionBytes }),
      ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
    }
    const topic = await new LogClient(openClient(options, environment)).createTopic({
      name,
      ...(partitions === undefined ? {} : { partitions }),
      ...(Object.keys(config).length > 0 ? { config } : {}),
    })
    if (options.json) return terminal.write(`${JSON.stringify(topic, null, 2)}\n`)
    terminal.write(
      `Topic ${topic.name} made: ${topic.partitionCount} ${topic.partitionCount === 1 ? 'partition' : 'partitions'}\n`,
    )
  },
})
