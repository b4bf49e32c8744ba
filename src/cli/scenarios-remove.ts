import { Type } from 'typebox'
import { scenarioParamsSchema } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'

export const scenariosRemove = defineCommand({
  name: 'scenarios remove',
  summary: 'Remove a scenario that was added by API',
  details: 'Jobs that were planned with it go on.',
  arguments: scenarioParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { name }, options, terminal, environment }) {
    await new JobClient(openClient(options, environment)).removeScenario(name)
    terminal.write(options.json ? `${JSON.stringify({ name, outcome: 'removed' })}\n` : `Scenario ${name} removed\n`)
  },
})
