import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '#lib/errors.ts'
import { manifestName, parseManifest, type BackupManifest } from './manifest.ts'

/** A finished backup. */
export type Backup = { readonly path: string; readonly createdAtMs: number; readonly manifest: BackupManifest }

const manifestPattern = /^millrace-\d{8}T\d{6}\.\d{3}Z\.json$/
const filePattern = /^millrace-\d{8}T\d{6}\.\d{3}Z\.(db|dump|json)(\.part(-journal|-wal|-shm)?)?$/
/** What nobody has written to for so long was left behind by a process that died. */
const abandonedMs = 3_600_000
/** Kept whatever their age. */
const keptCount = 2

/** Backups in a directory, newest first; one whose manifest cannot be read is left out. A directory that is not there has none. */
export async function listBackups(directory: string): Promise<Backup[]> {
  const names = (await namesIn(directory)).filter((name) => manifestPattern.test(name)).sort()
  const found: Backup[] = []
  for (const name of names.reverse()) {
    const backup = await loadBackup(directory, name).catch(() => undefined)
    if (backup) found.push(backup)
  }
  return found
}

/** The newest backup, without reading the others. */
export async function findNewest(directory: string): Promise<Backup | undefined> {
  const names = (await namesIn(directory)).filter((name) => manifestPattern.test(name)).sort()
  for (const name of names.reverse()) {
    const backup = await loadBackup(directory, name).catch(() => undefined)
    if (backup) return backup
  }
  return undefined
}

/** The backup of a file that its user named. Throws `BACKUP_NOT_FOUND`, and `BACKUP_DAMAGED` for a manifest that cannot be read. */
export async function requireBackup(directory: string, file: string): Promise<Backup> {
  try {
    return await loadBackup(directory, manifestName(file))
  } catch (error) {
    if (error instanceof AppError) throw error
    const path = join(directory, manifestName(file))
    throw new AppError('BACKUP_NOT_FOUND', `there is no ${path}; "millrace backup list" shows what there is`, { cause: error })
  }
}

/** Deletes backups from before `beforeMs`, except the newest two, and what unfinished ones left behind. Gives back what it deleted. */
export async function pruneBackups(
  directory: string,
  { beforeMs, nowMs }: { beforeMs: number; nowMs: number },
): Promise<Backup[]> {
  const backups = await listBackups(directory)
  const expired = backups.slice(keptCount).filter(({ createdAtMs }) => createdAtMs < beforeMs)
  for (const { path } of expired) {
    // The manifest first: what is left of it is no backup.
    await rm(join(directory, manifestName(path.slice(directory.length + 1))), { force: true })
    await rm(path, { force: true })
  }
  await removeAbandoned(directory, nowMs)
  return expired
}

/** Gives a finished file its name, in one step that survives a power cut. */
export async function settle(directory: string, { from, to }: { from: string; to: string }): Promise<void> {
  await rename(join(directory, from), join(directory, to))
  await using handle = await open(directory, 'r')
  await handle.sync()
}

/** Backups hold what the database holds, passwords of cameras among it: they are for the owner only. */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
}

async function loadBackup(directory: string, name: string): Promise<Backup> {
  const path = join(directory, name)
  const manifest = parseManifest(await readFile(path, 'utf8'), path)
  return { path: join(directory, manifest.file), createdAtMs: Date.parse(manifest.createdAt), manifest }
}

async function removeAbandoned(directory: string, nowMs: number): Promise<void> {
  const names = await namesIn(directory)
  for (const name of names) {
    const isFinished = manifestPattern.test(name) || names.includes(manifestName(name))
    if (!filePattern.test(name) || isFinished) continue
    const path = join(directory, name)
    const touched = await stat(path).catch(() => undefined)
    if (touched && touched.mtimeMs < nowMs - abandonedMs) await rm(path, { force: true })
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
