import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { LogAgent } from '#eventlog/agent.ts'
import type { LogObserver } from '#eventlog/appender.ts'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { PlatformEvents } from '#eventlog/platform/platform-events.ts'
import { realDisk } from '#eventlog/wal/real-disk.ts'
import type { Clock } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import { observeObjectStore, type StoreRequest } from '#store/objects/observed-store.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import type { Settings } from './settings.ts'

/** Hears of what metrics count. */
export interface LogPartObserver extends LogObserver {
  storeAnswered(request: StoreRequest): void
}

type Deps = {
  readonly settings: Settings
  readonly database: Database
  readonly observer: LogPartObserver
  readonly clock: Clock
  readonly log: Logger
}

/** The event log of this node, and the object store below it. */
export type LogPart = AsyncDisposable & { readonly agent: LogAgent }

export async function openLogPart({ settings, database, observer, clock, log }: Deps): Promise<LogPart> {
  const { dataDirectory } = settings.server
  await using stack = new AsyncDisposableStack()
  const store = stack.use(await openObjectStore(settings.objects, { dataDirectory, clock, log }))
  const objects = observeObjectStore(store, { clock, onRequest: (request) => observer.storeAnswered(request) })
  const walDirectory = settings.log.walDirectory ?? join(dataDirectory, 'wal')
  const agent = stack.use(
    await LogAgent.open({
      settings: settings.log,
      metadata: sqlLogMetadata(database),
      objects,
      walDirectory: settings.log.walEnabled ? walDirectory : undefined,
      disk: realDisk,
      clock,
      timers: systemTimers,
      random: Math.random,
      newId: () => newId(clock.nowMs()),
      newUuid: randomUUID,
      observer,
      log,
    }),
  )
  const opened = stack.move()
  return { agent, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** What happens here goes into the log. */
export function openPlatformEvents(
  agent: LogAgent,
  { settings, clock, log }: Omit<Deps, 'database' | 'observer'>,
): Promise<PlatformEvents> {
  return PlatformEvents.open({
    agent,
    source: '/millrace',
    retentionMs: Math.round(settings.log.eventRetentionHours * 3_600_000),
    clock,
    timers: systemTimers,
    newId: () => newId(clock.nowMs()),
    random: Math.random,
    log,
  })
}
