import { Type } from 'typebox'
import { jobParamsSchema } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'
import { jobStateText } from './job-columns.ts'

export const jobsCancel = defineCommand({
  name: 'jobs cancel',
  summary: 'Cancel a job',
  details: 'Tasks that run are stopped within seconds. A job that is over stays as it is.',
  arguments: jobParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { id }, options, terminal, environment }) {
    const job = await new JobClient(openClient(options, environment)).cancelJob(id)
    if (options.json) return terminal.write(`${JSON.stringify(job, null, 2)}\n`)
    if (job.state === 'canceled') return terminal.write(`Job ${id} canceled\n`)
    terminal.write(job.isOver ? `Job ${id} was over already: ${jobStateText(job)}\n` : `Job ${id} is being canceled\n`)
  },
})
