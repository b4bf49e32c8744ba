import { join } from 'node:path'
import type { ShownSetting } from '#lib/config/show.ts'
import { takeDuty } from '#jobs/sql/sql-duties.ts'
import { Duties } from '#jobs/scheduler/duties.ts'
import type { Clock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import { readVersion } from '#lib/version.ts'
import { BackupKeeper } from '#ops/backup/backup-keeper.ts'
import type { BackupDeps, BackupSource } from '#ops/backup/create-backup.ts'
import { objectCopies } from '#ops/backup/object-copies.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { sqlitePath } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { databaseUrl, type Settings } from './settings.ts'

/** A start is to be quick, and what starts again and again is not to make a backup each time. */
const firstLookMs = 60_000
const lookEveryMs = 30_000

type Deps = {
  readonly settings: Settings
  readonly showConfiguration: () => readonly ShownSetting[]
  readonly database: Database
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly log: Logger
}

/** Backups of the database of this node, by schedule. */
export type BackupPart = AsyncDisposable & { readonly keeper: BackupKeeper }

/** Undefined: they are switched off, or the database has tools of its own for them, which the log then says. */
export function startBackups({ database, objects, ...deps }: Deps): BackupPart | undefined {
  const { settings, clock, log } = deps
  const { enabled, everyHours, keepDays, toObjects } = settings.backup
  if (!enabled) return undefined
  const from = backupDeps(deps)
  if (from.source.kind === 'postgres') {
    log.info('no backups by schedule: PostgreSQL has its own tools, and "millrace backup create" uses them')
    return undefined
  }
  if (from.source.path === ':memory:') return undefined
  const closing = new AbortController()
  const keeper = new BackupKeeper({
    directory: from.directory,
    everyMs: everyHours * 3_600_000,
    keepMs: keepDays * 86_400_000,
    create: async (signal) => (await import('#ops/backup/create-backup.ts')).createBackup(from, signal),
    copies: toObjects ? objectCopies(objects) : undefined,
    clock,
    log,
  })
  const duties = new Duties({
    duties: [{ name: 'backup', everyMs: lookEveryMs, run: () => keeper.run(closing.signal) }],
    store: { takeDuty: (request) => takeDuty({ database }, request) },
    holder: newId(clock.nowMs()),
    timers: systemTimers,
    clock,
    log,
  })
  const timer = systemTimers.after(firstLookMs, () => duties.start())
  return {
    keeper,
    async [Symbol.asyncDispose]() {
      timer[Symbol.dispose]()
      closing.abort()
      await duties[Symbol.asyncDispose]()
    },
  }
}

/** What a backup is made of, and where it goes. */
export function backupDeps({
  settings,
  showConfiguration,
  clock,
}: Pick<Deps, 'settings' | 'showConfiguration' | 'clock'>): BackupDeps {
  return {
    source: backupSource(settings),
    directory: settings.backup.directory ?? join(settings.server.dataDirectory, 'backups'),
    version: readVersion(),
    configuration: () => showConfiguration().filter(({ origin }) => origin !== 'default'),
    clock,
  }
}

function backupSource(settings: Settings): BackupSource {
  const url = databaseUrl(settings)
  const path = sqlitePath(url)
  return path === undefined ? { kind: 'postgres', url } : { kind: 'sqlite', path }
}
