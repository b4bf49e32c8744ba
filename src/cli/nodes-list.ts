import { Type } from 'typebox'
import type { NodeView } from '#api/job-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatDuration } from './format.ts'
import { JobClient } from './job-client.ts'
import { nodeStateCell } from './job-columns.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const nodesList = defineCommand({
  name: 'nodes list',
  summary: 'List the workers of the fleet',
  arguments: Type.Object({}),
  options: Type.Object({
    ...apiOptions,
    capabilities: Type.Boolean({ default: false, description: 'Show what each can do' }),
  }),
  async run({ options, terminal, environment, clock }) {
    const client = new JobClient(openClient(options, environment))
    const nodes = await client.listNodes()
    if (options.json) return terminal.write(`${JSON.stringify(nodes, null, 2)}\n`)
    if (nodes.length === 0)
      return terminal.write(`No workers. Start one with: MILLRACE_WORKER_URLS=${client.serverUrl} millrace serve --role worker\n`)
    const rows = nodes.map((node) => rowOf(node, terminal, clock.nowMs()))
    const abilities = nodes.map(({ capabilities }) => capabilities.join(' '))
    terminal.write(
      options.capabilities
        ? formatTable(
            [...columns, { title: 'CAPABILITIES' }],
            rows.map((row, index) => [...row, abilities[index] ?? '']),
          )
        : formatTable(columns, rows),
    )
  },
})

const columns = [
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'SLOTS', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'DISK FREE', align: 'right' },
  { title: 'SEEN', align: 'right' },
  { title: 'VERSION' },
] as const

function rowOf(node: NodeView, terminal: Terminal, nowMs: number): string[] {
  const { load } = node
  return [
    node.id,
    nodeStateCell(node, terminal),
    `${node.usedSlots}/${node.slots}`,
    load ? `${Math.round(load.cpuPercent)} %` : '',
    load ? formatBytes(load.memoryBytes) : '',
    load ? formatBytes(load.freeDiskBytes) : '',
    `${formatDuration(Math.max(0, nowMs - Date.parse(node.seenAt)))} ago`,
    node.version,
  ]
}
