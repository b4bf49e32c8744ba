import { Type } from 'typebox'
import { AppError, toAppError } from '#lib/errors.ts'
import { backupOptions } from './backup-options.ts'
import { defineCommand } from './command.ts'
import { loadNodeSettings } from './node-options.ts'

export const backupVerify = defineCommand({
  name: 'backup verify',
  summary: 'Check backups: their digest, the integrity of the database in them, and that this program knows its schema',
  details: 'Exit code 1 when one of them cannot be restored.',
  arguments: Type.Object({
    file: Type.Optional(
      Type.String({ minLength: 1, description: 'File, or its name in backup.directory; otherwise all of them' }),
    ),
  }),
  options: Type.Object(backupOptions),
  async run({ arguments: { file }, options, terminal, environment, clock, signal }) {
    const loaded = await loadNodeSettings(options, environment)
    const { backupTools } = await import('#roles/backup-tools.ts')
    const tools = backupTools(loaded, clock)
    const backups = file === undefined ? await tools.list() : [await tools.require(file)]
    const results: { path: string; isSound: boolean; code?: string; message?: string }[] = []
    for (const backup of backups) {
      signal.throwIfAborted()
      const fault = await tools.verify(backup, signal).then(() => undefined, toAppError)
      results.push({ path: backup.path, isSound: !fault, ...(fault && { code: fault.code, message: fault.message }) })
      if (!options.json) terminal.write(fault ? `${fault.code} ${fault.message}\n` : `ok ${backup.path}\n`)
    }
    if (options.json) terminal.write(`${JSON.stringify(results, null, 2)}\n`)
    const faulty = results.filter(({ isSound }) => !isSound).length
    if (faulty > 0) throw new AppError('BACKUP_DAMAGED', `${faulty} of ${results.length} backups cannot be restored; see above`)
    if (results.length === 0) throw new AppError('BACKUP_NOT_FOUND', `there are no backups in ${tools.directory}`)
  },
})
