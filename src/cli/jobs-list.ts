import { Type } from 'typebox'
import { jobListQuerySchema, type JobSummary } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { JobClient } from './job-client.ts'
import { jobStateCell, progressCell, sourceText } from './job-columns.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

const { queue } = jobListQuerySchema.properties

export const jobsList = defineCommand({
  name: 'jobs list',
  summary: 'List jobs, newest first',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    state: Type.Optional(
      Type.String({ minLength: 1, placeholder: 'states', description: 'Only these, separated by commas: queued,running,failed' }),
    ),
    queue: Type.Optional(Type.Enum(queue.enum, { description: 'Only this queue' })),
    scenario: Type.Optional(Type.String({ minLength: 1, placeholder: 'name', description: 'Only with this scenario' })),
    tenant: Type.Optional(Type.String({ minLength: 1, placeholder: 'name', description: 'Only of this tenant' })),
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only ids and labels with this in them' })),
    limit: Type.Integer({ short: 'n', default: 50, minimum: 1, maximum: 100_000, description: 'So many at most' }),
  }),
  async run({ options, terminal, environment }) {
    const { state, limit, json } = options
    const query = { queue: options.queue, scenario: options.scenario, tenant: options.tenant, search: options.search, state }
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))
    const jobs = await new JobClient(openClient(options, environment)).listJobs(given, { limit })
    if (json) return terminal.write(`${JSON.stringify(jobs, null, 2)}\n`)
    if (jobs.length === 0)
      return terminal.write('No jobs. Submit one with: millrace jobs submit <file> --scenario 1080p30-h264\n')
    terminal.write(
      formatTable(
        columns,
        jobs.map((job) => rowOf(job, terminal)),
      ),
    )
  },
})

const columns = [
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'DONE', align: 'right' },
  { title: 'SCENARIO' },
  { title: 'QUEUE' },
  { title: 'SUBMITTED' },
  { title: 'LABEL' },
] as const

function rowOf(job: JobSummary, terminal: Terminal): string[] {
  const { id, scenario, queue, priority, createdAt, label, input } = job
  const rank = priority === 'medium' ? queue : `${queue}/${priority}`
  return [id, jobStateCell(job, terminal), progressCell(job), scenario, rank, formatTime(createdAt), label ?? sourceText(input)]
}
