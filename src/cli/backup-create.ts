import { Type } from 'typebox'
import { backupJson, backupOptions, describeBackup } from './backup-options.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings } from './node-options.ts'

export const backupCreate = defineCommand({
  name: 'backup create',
  summary: 'Back up the database now, beside a running server or without one',
  details: 'Makes a file and its manifest in backup.directory. A PostgreSQL database is dumped with pg_dump.',
  arguments: Type.Object({}),
  options: Type.Object(backupOptions),
  async run({ options, terminal, environment, clock, signal }) {
    const loaded = await loadNodeSettings(options, environment)
    const { backupTools } = await import('#roles/backup-tools.ts')
    const backup = await backupTools(loaded, clock).create(signal)
    if (options.json) return terminal.write(`${JSON.stringify(backupJson(backup), null, 2)}\n`)
    terminal.write(`Made ${describeBackup(backup)}\n`)
  },
})
