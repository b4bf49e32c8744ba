import { Type } from 'typebox'
import { jobParamsSchema, logLevels, type LogLineView } from '#api/job-contract.ts'
import { sleep } from '#lib/abort.ts'
import { apiOptions } from './api-options.ts'
import { isAbort, openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { JobClient } from './job-client.ts'
import type { Color, Terminal } from './terminal.ts'

const pageSize = 500
const followMs = 1000

export const jobsLogs = defineCommand({
  name: 'jobs logs',
  summary: "Print what a job's tasks logged",
  arguments: jobParamsSchema,
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line' }),
    follow: Type.Boolean({ short: 'f', default: false, description: 'Go on with what comes, until the job is over or Ctrl+C' }),
    task: Type.Optional(Type.Integer({ minimum: 0, placeholder: 'id', description: 'Only lines of this task' })),
    level: Type.Optional(Type.Enum([...logLevels], { description: 'The least important kind that is wanted' })),
    tail: Type.Optional(
      Type.Integer({
        short: 'n',
        minimum: 1,
        maximum: 1000,
        placeholder: 'lines',
        description: 'Begin so many lines before the end',
      }),
    ),
  }),
  async run({ arguments: { id }, options, terminal, environment, signal }) {
    const { follow, task, level, tail, json } = options
    const client = new JobClient(openClient(options, environment))
    const filter = { ...(task === undefined ? {} : { task }), ...(level === undefined ? {} : { level }) }
    const print = (line: LogLineView): void =>
      terminal.write(json ? `${JSON.stringify(line)}\n` : `${describeLine(line, terminal)}\n`)
    let cursor: string | undefined
    try {
      for (;;) {
        // Asked before the lines: what it logged last is not missed.
        const isLast = !follow || (await client.getJob(id, { signal })).isOver
        for (;;) {
          const start = cursor === undefined ? (tail === undefined ? {} : { tail }) : { cursor }
          const page = await client.readLog(id, { ...filter, ...start, limit: pageSize }, { signal })
          page.items.forEach(print)
          cursor = page.nextCursor
          if (page.items.length < pageSize) break
        }
        if (isLast || !(await sleep(followMs, signal))) return
      }
    } catch (error) {
      if (!follow || !isAbort(error)) throw error
    }
  },
})

const levelColors: Record<LogLineView['level'], Color> = { debug: 'dim', info: 'cyan', warn: 'yellow', error: 'red' }

function describeLine({ at, taskId, level, text }: LogLineView, terminal: Terminal): string {
  return `${terminal.color('dim', formatTime(at))}  ${terminal.color(levelColors[level], level.padEnd(5))}  task ${taskId}  ${text}`
}
