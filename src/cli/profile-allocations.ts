import { Type } from 'typebox'
import { profileOptionSchemas } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes } from './format.ts'
import { readProfile, saveProfile, shareOf, shownFunctions } from './profile-file.ts'
import { type AllocationSummary, summarizeAllocations } from './profile-summary.ts'
import { formatTable } from './table.ts'
import { outputOptions } from './whole-file.ts'

export const profileAllocations = defineCommand({
  name: 'profile allocations',
  summary: 'Save what allocates memory in a running server, by samples',
  details:
    'Safe on a server at work. With --objects alive only what is still there at the end counts: what grows. Memory outside the heap, such as media, is not in it. Needs what "millrace profile cpu" needs.',
  arguments: Type.Object({}),
  options: Type.Object({ ...apiOptions, ...profileOptionSchemas.allocations.properties, ...outputOptions('kind and time') }),
  async run({ options, environment, ...context }) {
    const { seconds, intervalBytes, objects } = options
    const client = openClient(options, environment)
    const query = { seconds, intervalBytes, objects }
    const saved = await saveProfile(client, { ...options, kind: 'allocations', query }, context)
    const summary = summarizeAllocations(await readProfile(saved.file), shownFunctions)
    if (options.json) return context.terminal.write(`${JSON.stringify({ ...saved, ...query, ...summary })}\n`)
    context.terminal.write(`Wrote ${saved.file}: ${formatBytes(saved.sizeBytes)}\n\n${describe(summary, query)}`)
    context.terminal.write('\nOpen it in Chrome (DevTools, Memory, Load profile) or in VS Code.\n')
  },
})

function describe(
  { totalBytes, functions }: AllocationSummary,
  { seconds, objects }: { seconds: number; objects: 'all' | 'alive' },
): string {
  const rows = functions.map(({ name, place, self }) => [shareOf(self, totalBytes), formatBytes(self), name, place])
  const what = objects === 'all' ? 'allocated' : 'allocated and kept'
  const total = `About ${formatBytes(totalBytes)} ${what} in ${seconds} s`
  return rows.length === 0 ? `${total}\n` : `${total}, most by these functions:\n${formatTable(columns, rows)}`
}

const columns = [
  { title: 'SELF', align: 'right' },
  { title: 'BYTES', align: 'right' },
  { title: 'FUNCTION' },
  { title: 'WHERE' },
] as const
