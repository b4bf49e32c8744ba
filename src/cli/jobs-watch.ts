import { Type } from 'typebox'
import { jobParamsSchema } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'
import { watchJob } from './job-watch.ts'

export const watchOptions = {
  intervalSeconds: Type.Number({ default: 1, minimum: 0.1, maximum: 3600, description: 'How often to look' }),
}

export const jobsWatch = defineCommand({
  name: 'jobs watch',
  summary: 'Watch a job until it is over',
  details: 'Exit code 0 when it completes, 1 when it does not. Ctrl+C ends the watching, not the job.',
  arguments: jobParamsSchema,
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line, whenever something has changed' }),
    ...watchOptions,
  }),
  async run({ arguments: { id }, options, terminal, environment, clock, signal }) {
    const client = new JobClient(openClient(options, environment))
    await watchJob({ client, id, terminal, clock, signal, isJson: options.json, intervalMs: options.intervalSeconds * 1000 })
  },
})
