import { Type } from 'typebox'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatBytes } from './format.ts'
import { saveProfile } from './profile-file.ts'
import { outputOptions } from './whole-file.ts'

export const profileHeap = defineCommand({
  name: 'profile heap',
  summary: 'Save the whole heap of a running server, which stands still meanwhile',
  details:
    'Not for a server that others wait for: seconds without an answer to anybody, and eight times its heap of memory for a moment; "millrace profile allocations" costs neither. The file holds every text in memory, passwords and keys among them. Needs what "millrace profile cpu" needs.',
  arguments: Type.Object({}),
  options: Type.Object({ ...apiOptions, ...outputOptions('kind and time') }),
  async run({ options, environment, ...context }) {
    const client = openClient(options, environment)
    const saved = await saveProfile(client, { ...options, kind: 'heap', query: {} }, context)
    if (options.json) return context.terminal.write(`${JSON.stringify(saved)}\n`)
    context.terminal.write(`Wrote ${saved.file}: ${formatBytes(saved.sizeBytes)}; it holds secrets, keep it private\n`)
    context.terminal.write('Open it in Chrome (DevTools, Memory, Load profile).\n')
  },
})
