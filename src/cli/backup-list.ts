import { Type } from 'typebox'
import { backupJson, backupOptions } from './backup-options.ts'
import { defineCommand } from './command.ts'
import { formatBytes, formatTime } from './format.ts'
import { loadNodeSettings } from './node-options.ts'
import { formatTable } from './table.ts'

export const backupList = defineCommand({
  name: 'backup list',
  summary: 'List the backups of the database, newest first',
  arguments: Type.Object({}),
  options: Type.Object(backupOptions),
  async run({ options, terminal, environment, clock }) {
    const loaded = await loadNodeSettings(options, environment)
    const { backupTools } = await import('#roles/backup-tools.ts')
    const tools = backupTools(loaded, clock)
    const backups = await tools.list()
    if (options.json) return terminal.write(`${JSON.stringify(backups.map(backupJson), null, 2)}\n`)
    if (backups.length === 0) return terminal.write(`There are no backups in ${tools.directory}.\n`)
    const rows = backups.map(({ createdAtMs, manifest }) => [
      formatTime(createdAtMs),
      formatBytes(manifest.sizeBytes),
      manifest.database,
      String(manifest.migrations.at(-1)?.id ?? 0),
      manifest.version,
      manifest.file,
    ])
    terminal.write(formatTable(columns, rows))
  },
})

const columns = [
  { title: 'MADE' },
  { title: 'SIZE', align: 'right' },
  { title: 'DATABASE' },
  { title: 'SCHEMA', align: 'right' },
  { title: 'VERSION' },
  { title: 'FILE' },
] as const
