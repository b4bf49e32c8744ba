import { Type } from 'typebox'
import { groupParamsSchema, type GroupOffset, type GroupView } from '#api/log-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { LogClient } from './log-client.ts'
import { formatPairs, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const groupsDescribe = defineCommand({
  name: 'groups describe',
  summary: 'Show one consumer group: members, offsets, lag',
  arguments: groupParamsSchema,
  options: Type.Object(apiOptions),
  async run({ arguments: { group: name }, options, terminal, environment }) {
    const group = await new LogClient(openClient(options, environment)).getGroup(name)
    terminal.write(options.json ? `${JSON.stringify(group, null, 2)}\n` : describeGroup(group, terminal))
  },
})

function describeGroup(group: GroupView, terminal: Terminal): string {
  const pairs = formatPairs([
    ['group', terminal.color('bold', group.group)],
    ['state', group.state],
    ['protocol', group.protocol],
    ['members', String(group.memberCount)],
    ['lag', String(group.lag)],
  ])
  if (group.offsets.length === 0) return `${pairs}\nNothing is committed.\n`
  const readers = new Map(group.members.map((member) => [member.memberId, `${member.clientId} (${member.clientHost})`]))
  return `${pairs}\n${formatTable(
    columns,
    group.offsets.map((offset) => rowOf(offset, readers)),
  )}`
}

const columns = [
  { title: 'TOPIC' },
  { title: 'PARTITION', align: 'right' },
  { title: 'COMMITTED', align: 'right' },
  { title: 'END', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'READER' },
] as const

function rowOf(offset: GroupOffset, readers: ReadonlyMap<string, string>): string[] {
  const { topic, partition, committedOffset, endOffset, lag, memberId = '' } = offset
  const committed = committedOffset === undefined ? '-' : String(committedOffset)
  return [topic, String(partition), committed, String(endOffset), String(lag), readers.get(memberId) ?? '']
}
