import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Value } from 'typebox/value'
import { sqlHistoryImport } from '#eventlog/metadata/sql-import.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { sqlObjectExtents } from '#eventlog/metadata/sql-object-extents.ts'
import type { RebuildFinding } from '#eventlog/objects/history-plan.ts'
import { rebuildMetadata, type RebuildProgress, type RebuildReport } from '#eventlog/objects/rebuild.ts'
import { verifyLog, type VerifyFinding, type VerifyStep } from '#eventlog/objects/verify.ts'
import { topicConfigSchema } from '#eventlog/topic-config.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import type { Settings } from './settings.ts'

type Deps = { readonly settings: Settings; readonly clock: Clock; readonly log: Logger }

/** Something that is not as it should be, or was left out. */
export type LogFinding = VerifyFinding | RebuildFinding

/** What can be done about stored records without a server. */
export interface LogTools extends AsyncDisposable {
  /** Checks everything that is stored; changes nothing, and may run beside a server. See `verifyLog`. */
  verify(signal: AbortSignal): AsyncIterable<VerifyStep>
  /** Builds the database of the log again from the object store. See `rebuildMetadata`. */
  rebuild(options: { signal: AbortSignal; onProgress: (progress: RebuildProgress) => void }): Promise<RebuildReport>
}

/**
 * Opens database and object store of the settings. Throws `CONFIG_INVALID` when `isExisting` and there is no such database: a wrong path is not to look like a
 * log without faults. Throws what opening throws otherwise.
 */
export async function openLogTools({ settings, clock, log }: Deps, { isExisting }: { isExisting: boolean }): Promise<LogTools> {
  const { dataDirectory } = settings.server
  const url = settings.database.url ?? sqliteUrl(join(dataDirectory, 'millrace.sqlite'))
  if (isExisting) requireDatabase(url)
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await openDatabase({ url, log, clock }))
  const objects = stack.use(await openObjectStore(settings.objects, { dataDirectory, clock, log }))
  const metadata = { ...sqlLogMetadata(database), ...sqlObjectExtents(database) }
  // Until somebody says otherwise nothing of what came back is deleted.
  const config = Value.Parse(topicConfigSchema, Value.Default(topicConfigSchema, { retentionMs: -1 }))
  const opened = stack.move()
  return {
    verify: (signal) => verifyLog({ metadata, objects, signal }),
    rebuild: ({ signal, onProgress }) =>
      rebuildMetadata({ objects, history: sqlHistoryImport(database), config, signal, onProgress }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function requireDatabase(url: string): void {
  if (!url.startsWith('sqlite:///')) return
  const path = fileURLToPath(url.replace(/^sqlite:/, 'file:'))
  if (existsSync(path)) return
  throw new AppError(
    'CONFIG_INVALID',
    `there is no database ${path}; name the data directory of the server with --data, or its --config`,
  )
}
