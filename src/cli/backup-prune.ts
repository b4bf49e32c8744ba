import { Type } from 'typebox'
import { backupJson, backupOptions, describeBackup } from './backup-options.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings } from './node-options.ts'

export const backupPrune = defineCommand({
  name: 'backup prune',
  summary: 'Delete backups that are older than backup.keepDays, but never the newest two',
  details: 'The server does the same after each backup. Copies in the object store are deleted by the server.',
  arguments: Type.Object({}),
  options: Type.Object(backupOptions),
  async run({ options, terminal, environment, clock }) {
    const loaded = await loadNodeSettings(options, environment)
    const { backupTools } = await import('#roles/backup-tools.ts')
    const pruned = await backupTools(loaded, clock).prune()
    if (options.json) return terminal.write(`${JSON.stringify(pruned.map(backupJson), null, 2)}\n`)
    if (pruned.length === 0) return terminal.write('No backup is old enough.\n')
    for (const backup of pruned) terminal.write(`Deleted ${describeBackup(backup)}\n`)
  },
})
