import { open, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#lib/clock.ts'
import { makeDirectory, settle, type Backup } from './backup-directory.ts'
import { requireSpace } from './disk-space.ts'
import { backupStem, manifestName, type BackupManifest } from './manifest.ts'
import type { CopiedDatabase } from './sqlite-copy.ts'

/** The database that backups are made of. */
export type BackupSource =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `url` as for `openDatabase`. */
  | { readonly kind: 'postgres'; readonly url: string }

export type BackupDeps = {
  readonly source: BackupSource
  readonly directory: string
  /** Of the program. */
  readonly version: string
  /** Settings that are not at their default, without secrets. */
  readonly configuration: () => BackupManifest['configuration']
  readonly clock: Clock
}

/**
 * Makes a backup. Under its name is all of it or nothing: it is written beside it, synced and renamed, and its manifest comes last. Throws `DISK_FULL`,
 * `DATABASE_UNAVAILABLE`, `BACKUP_TOOL_MISSING`, `BACKUP_TOOL_FAILED`, and the reason of the signal; then nothing is left of it.
 */
export async function createBackup(deps: BackupDeps, signal: AbortSignal): Promise<Backup> {
  const { source, directory, version, configuration, clock } = deps
  await makeDirectory(directory)
  const atMs = clock.nowMs()
  const file = `${backupStem(atMs)}.${source.kind === 'sqlite' ? 'db' : 'dump'}`
  const partial = `${file}.part`
  const path = join(directory, partial)
  try {
    const copied = await copy(source, { directory, path }, signal)
    const manifest: BackupManifest = {
      format: 1,
      database: source.kind,
      file,
      createdAt: new Date(atMs).toISOString(),
      version,
      sizeBytes: copied.sizeBytes,
      sha256: copied.sha256,
      migrations: [...copied.migrations],
      configuration: configuration(),
    }
    await writeSynced(join(directory, `${manifestName(file)}.part`), `${JSON.stringify(manifest, null, 2)}\n`)
    await settle(directory, { from: partial, to: file })
    await settle(directory, { from: `${manifestName(file)}.part`, to: manifestName(file) })
    return { path: join(directory, file), createdAtMs: atMs, manifest }
  } catch (error) {
    const leftovers = [partial, `${partial}-journal`, `${partial}-wal`, `${partial}-shm`, `${manifestName(file)}.part`]
    for (const name of leftovers) await rm(join(directory, name), { force: true }).catch(() => {})
    throw error
  }
}

async function copy(
  source: BackupSource,
  { directory, path }: { directory: string; path: string },
  signal: AbortSignal,
): Promise<CopiedDatabase> {
  if (source.kind === 'postgres') {
    const { dumpPostgres } = await import('./postgres-tools.ts')
    return await dumpPostgres({ url: source.url, target: path }, signal)
  }
  const { size } = await stat(source.path)
  await requireSpace(directory, size)
  const { copySqlite } = await import('./sqlite-copy.ts')
  return await copySqlite({ source: source.path, target: path }, signal)
}

async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: 'wx', mode: 0o600 })
  await using file = await open(path, 'r+')
  await file.sync()
}
