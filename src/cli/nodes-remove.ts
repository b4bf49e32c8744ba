import { Type } from 'typebox'
import { nodeParamsSchema } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'

export const nodesRemove = defineCommand({
  name: 'nodes remove',
  summary: 'Forget a worker that is lost or has nothing to do',
  arguments: nodeParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { id }, options, terminal, environment }) {
    await new JobClient(openClient(options, environment)).removeNode(id)
    terminal.write(options.json ? `${JSON.stringify({ id, outcome: 'removed' })}\n` : `Node ${id} removed\n`)
  },
})
