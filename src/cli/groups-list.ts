import { Type } from 'typebox'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { LogClient } from './log-client.ts'
import { formatTable } from './table.ts'

export const groupsList = defineCommand({
  name: 'groups list',
  summary: 'List the consumer groups',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    search: Type.Optional(Type.String({ placeholder: 'text', description: 'Only names with this in them' })),
  }),
  async run({ options, terminal, environment }) {
    const groups = await new LogClient(openClient(options, environment)).listGroups({ search: options.search })
    if (options.json) return terminal.write(`${JSON.stringify(groups, null, 2)}\n`)
    if (groups.length === 0) return terminal.write('No consumer groups.\n')
    const rows = groups.map(({ group, state, memberCount, protocol = '' }) => [group, state, String(memberCount), protocol])
    terminal.write(formatTable(columns, rows))
  },
})

const columns = [{ title: 'GROUP' }, { title: 'STATE' }, { title: 'MEMBERS', align: 'right' }, { title: 'PROTOCOL' }] as const
