import { Type } from 'typebox'
import type { KeyView } from '#api/key-contract.ts'
import { apiOptions } from './api-options.ts'
import { openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { KeyClient } from './key-client.ts'
import { formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'

export const keysList = defineCommand({
  name: 'keys list',
  summary: 'List API keys',
  arguments: Type.Object({}),
  options: Type.Object(apiOptions),
  async run({ options, terminal, environment }) {
    const keys = await new KeyClient(openClient(options, environment)).list()
    if (options.json) return terminal.write(`${JSON.stringify(keys, null, 2)}\n`)
    if (keys.length === 0) return terminal.write('No API keys. Make one with: millrace keys create <name>\n')
    terminal.write(
      formatTable(
        columns,
        keys.map((key) => rowOf(key, terminal)),
      ),
    )
  },
})

const columns = [
  { title: 'ID' },
  { title: 'NAME' },
  { title: 'RIGHTS' },
  { title: 'MADE' },
  { title: 'LAST USED' },
  { title: 'EXPIRES' },
  { title: 'OLD SECRET UNTIL' },
] as const

function rowOf({ id, name, isExpired, ...key }: KeyView, terminal: Terminal): string[] {
  return [
    id,
    name,
    rightsText(key),
    formatTime(key.createdAt),
    timeText(key.lastUsedAt, 'never'),
    isExpired ? terminal.color('red', 'expired') : timeText(key.expiresAt, 'never'),
    timeText(key.previousValidUntil, ''),
  ]
}

/** `admin`, or `read * publish site-1/*`. */
function rightsText({ admin, read, publish }: Pick<KeyView, 'admin' | 'read' | 'publish'>): string {
  if (admin) return 'admin'
  const parts = Object.entries({ read, publish }).filter(([, patterns]) => patterns.length > 0)
  return parts.map(([action, patterns]) => `${action} ${patterns.join(',')}`).join(' ') || 'none'
}

function timeText(time: string | undefined, otherwise: string): string {
  return time === undefined ? otherwise : formatTime(time)
}
