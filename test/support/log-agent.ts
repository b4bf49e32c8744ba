import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { LogAgent, type LogAgentOptions } from '#eventlog/agent.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { logSettingsSchema, type LogSettings } from '#eventlog/settings.ts'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import { systemClock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import { systemTimers } from '#lib/timers.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'

/** Settings of the log as a fresh configuration has them, except for what tests need otherwise. */
export function logSettings(changes: Partial<LogSettings> = {}): LogSettings {
  const settings = Value.Default(logSettingsSchema, { walSegmentBytes: 4_194_304, minFreeBytes: 0, ...changes })
  if (!Value.Check(logSettingsSchema, settings)) throw new Error('these are no settings of the log')
  return settings
}

/** A log on real files and a real database in one directory; opening it again goes on where it ended. */
export type OpenedLog = AsyncDisposable & { readonly agent: LogAgent; readonly database: Database }

export async function openLog({
  directory,
  settings = {},
  options = {},
}: {
  directory: string
  settings?: Partial<LogSettings>
  options?: Partial<LogAgentOptions>
}): Promise<OpenedLog> {
  const log = pino({ level: 'silent' })
  const database = await openDatabase({ url: sqliteUrl(join(directory, 'log.sqlite')), log })
  const agent = await LogAgent.open({
    settings: logSettings(settings),
    metadata: sqlLogMetadata(database),
    objects: await DirectoryStore.open({ directory: join(directory, 'objects'), clock: systemClock }),
    walDirectory: join(directory, 'wal'),
    disk: realDisk,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    newId: () => newId(Date.now()),
    newUuid: randomUUID,
    log,
    ...options,
  })
  return {
    agent,
    database,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
