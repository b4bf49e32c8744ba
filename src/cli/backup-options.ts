import { Type } from 'typebox'
import type { Backup } from '#roles/backup-tools.ts'
import { formatBytes, formatTime } from './format.ts'
import { nodeOptions } from './node-options.ts'

/** Flags of commands that work on the files of a server. */
export const backupOptions = {
  config: nodeOptions.config,
  data: nodeOptions.data,
  json: Type.Boolean({ default: false, description: 'Print JSON for programs' }),
}

/** `/data/backups/millrace-….db (12 MB, 2026-01-02 10:00:05)` */
export function describeBackup({ path, createdAtMs, manifest }: Backup): string {
  return `${path} (${formatBytes(manifest.sizeBytes)}, ${formatTime(createdAtMs)})`
}

/** A backup for programs: its path and its manifest. */
export function backupJson({ path, manifest }: Backup): Record<string, unknown> {
  return { path, ...manifest }
}
