import { Type } from 'typebox'
import { profileOptionSchemas } from '#api/contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatDuration } from './format.ts'
import { readProfile, saveProfile, shareOf, shownFunctions } from './profile-file.ts'
import { type CpuSummary, summarizeCpu } from './profile-summary.ts'
import { formatTable } from './table.ts'
import { outputOptions } from './whole-file.ts'

export const profileCpu = defineCommand({
  name: 'profile cpu',
  summary: 'Save where a running server spends its time',
  details:
    'Needs profiling.enabled on the server, and a user with admin = true where there are users. For a worker by itself, name its metrics address with --url, on its own machine.',
  arguments: Type.Object({}),
  options: Type.Object({ ...apiOptions, ...profileOptionSchemas.cpu.properties, ...outputOptions('kind and time') }),
  async run({ options, environment, ...context }) {
    const { seconds } = options
    const client = openClient(options, environment)
    const saved = await saveProfile(client, { ...options, kind: 'cpu', query: { seconds } }, context)
    const summary = summarizeCpu(await readProfile(saved.file), shownFunctions)
    if (options.json) return context.terminal.write(`${JSON.stringify({ ...saved, seconds, ...summary })}\n`)
    context.terminal.write(`Wrote ${saved.file}: ${formatBytes(saved.sizeBytes)}\n\n${describe(summary)}`)
    context.terminal.write('\nOpen it in Chrome (DevTools, Performance, Load profile) or in VS Code.\n')
  },
})

function describe({ totalUs, idleUs, collectorUs, nativeUs, functions }: CpuSummary): string {
  const busyUs = totalUs - idleUs
  const rest = `garbage collector ${shareOf(collectorUs, busyUs)}, native code ${shareOf(nativeUs, busyUs)}`
  const rows = functions.map(({ name, place, self }) => [shareOf(self, busyUs), formatDuration(self / 1000), name, place])
  return `Busy ${shareOf(busyUs, totalUs)} of ${formatDuration(totalUs / 1000)}. Of that: ${rest}, and most in these functions:\n${formatTable(columns, rows)}`
}

const columns = [
  { title: 'SELF', align: 'right' },
  { title: 'TIME', align: 'right' },
  { title: 'FUNCTION' },
  { title: 'WHERE' },
] as const
