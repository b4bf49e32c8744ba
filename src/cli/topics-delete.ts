import { Type } from 'typebox'
import { topicParamsSchema } from '#api/log-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { LogClient } from './log-client.ts'

export const topicsDelete = defineCommand({
  name: 'topics delete',
  summary: 'Delete a topic with all its records',
  arguments: topicParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { name }, options, terminal, environment }) {
    await new LogClient(openClient(options, environment)).deleteTopic(name)
    terminal.write(options.json ? `${JSON.stringify({ name, outcome: 'deleted' })}\n` : `Topic ${name} deleted\n`)
  },
})
