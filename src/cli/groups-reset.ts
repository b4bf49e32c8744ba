import { Type } from 'typebox'
import { groupParamsSchema, type GroupReset, type GroupResetAnswer } from '#api/log-contract.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { LogClient } from './log-client.ts'
import { formatTable } from './table.ts'
import { parseTimeMs } from './time-argument.ts'

export const groupsReset = defineCommand({
  name: 'groups reset',
  summary: 'Set the committed offsets of a consumer group to another place',
  details: 'Its consumers must be stopped. Offsets stay between the start and the end of their partition.',
  arguments: groupParamsSchema,
  options: Type.Object({
    ...apiOptions,
    topic: Type.String({ minLength: 1, placeholder: 'name', description: 'Offsets in this topic' }),
    to: Type.String({
      minLength: 1,
      placeholder: 'place',
      description: 'earliest, latest, an offset, +100 or -100 from where it is, or a time: "2026-01-02 10:00", "2h ago"',
    }),
    partition: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        placeholder: 'number',
        description: 'Only this one; again for more; all when absent',
      }),
    ),
    dryRun: Type.Boolean({ default: false, description: 'Only show what would be' }),
  }),
  async run({ arguments: { group }, options, terminal, environment, clock }) {
    const { topic, to, partition, dryRun } = options
    const answer = await new LogClient(openClient(options, environment)).resetGroup(group, {
      topic,
      ...parseTarget(to, clock.nowMs()),
      ...(partition ? { partitions: partition } : {}),
      dryRun,
    })
    terminal.write(options.json ? `${JSON.stringify(answer, null, 2)}\n` : describeReset(answer))
  },
})

function parseTarget(text: string, nowMs: number): Pick<GroupReset, 'to' | 'offset' | 'shift' | 'time'> {
  if (text === 'earliest' || text === 'latest') return { to: text }
  const number = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined
  if (number !== undefined) return /^[+-]/.test(text) ? { to: 'shift', shift: number } : { to: 'offset', offset: number }
  try {
    return { to: 'time', time: new Date(parseTimeMs(text, nowMs)).toISOString() }
  } catch (cause) {
    throw new AppError('USAGE', `--to "${text}" is neither earliest, latest, an offset, +/- a number, nor a time`, { cause })
  }
}

const columns = [
  { title: 'TOPIC' },
  { title: 'PARTITION', align: 'right' },
  { title: 'BEFORE', align: 'right' },
  { title: 'AFTER', align: 'right' },
  { title: 'LAG', align: 'right' },
] as const

function describeReset({ isDone, offsets }: GroupResetAnswer): string {
  const rows = offsets.map(({ topic, partition, before, after, lag }) => [
    topic,
    String(partition),
    before === undefined ? '-' : String(before),
    String(after),
    String(lag),
  ])
  return `${formatTable(columns, rows)}${isDone ? '' : '\nNothing was changed: this was a dry run.\n'}`
}
