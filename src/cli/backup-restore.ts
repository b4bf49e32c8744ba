import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import type { Backup, BackupTools } from '#roles/backup-tools.ts'
import { backupOptions, describeBackup, backupJson } from './backup-options.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings } from './node-options.ts'
import { parseTimeMs } from './time-argument.ts'

export const backupRestore = defineCommand({
  name: 'backup restore',
  summary: 'Put a backup in the place of the database',
  details:
    'Stop the server first. The backup is verified before anything changes; the old database is kept beside the new one. A time takes the newest backup at or before it; a date alone is its first moment.',
  arguments: Type.Object({
    backup: Type.String({
      minLength: 1,
      description: 'File, its name in backup.directory, or a time such as 2026-11-20 or "3h ago"',
    }),
  }),
  options: Type.Object(backupOptions),
  async run({ arguments: { backup: wanted }, options, terminal, environment, clock, signal }) {
    const loaded = await loadNodeSettings(options, environment)
    const { backupTools } = await import('#roles/backup-tools.ts')
    const tools = backupTools(loaded, clock)
    const backup = await findWanted(tools, wanted, clock.nowMs())
    const { aside } = await tools.restore(backup, signal)
    if (options.json) return terminal.write(`${JSON.stringify({ ...backupJson(backup), aside: aside ?? null }, null, 2)}\n`)
    const kept = aside === undefined ? 'There was no database before.' : `The old database is kept as ${aside}.`
    terminal.write(`Restored ${describeBackup(backup)}\n${kept}\n`)
  },
})

async function findWanted(tools: BackupTools, wanted: string, nowMs: number): Promise<Backup> {
  if (/\.(db|dump|json)$/.test(wanted)) return await tools.require(wanted)
  const untilMs = parseTimeMs(wanted, nowMs)
  const backup = (await tools.list()).find(({ createdAtMs }) => createdAtMs <= untilMs)
  if (backup) return backup
  throw new AppError(
    'BACKUP_NOT_FOUND',
    `${tools.directory} has no backup from ${new Date(untilMs).toISOString()} or before; "millrace backup list" shows what there is`,
  )
}
