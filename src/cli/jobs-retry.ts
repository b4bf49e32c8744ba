import { Type } from 'typebox'
import { jobParamsSchema } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { JobClient } from './job-client.ts'

export const jobsRetry = defineCommand({
  name: 'jobs retry',
  summary: 'Try a job again that failed, timed out or was canceled',
  details: 'What is done stays done; only the rest is tried again.',
  arguments: jobParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { id }, options, terminal, environment }) {
    const job = await new JobClient(openClient(options, environment)).retryJob(id)
    if (options.json) return terminal.write(`${JSON.stringify(job, null, 2)}\n`)
    terminal.write(
      `Job ${id} is queued again, generation ${job.generation}: ${job.doneCount} of ${job.taskCount} tasks are done\n`,
    )
  },
})
