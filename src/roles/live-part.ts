import { join, resolve } from 'node:path'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from '#live/events.ts'
import { StreamPackaging } from '#live/packaging.ts'
import { sqlRecordingIndex } from '#live/recorder/queries.ts'
import { Recordings } from '#live/recordings.ts'
import { StreamRegistry } from '#live/registry.ts'
import { pullRtsp } from '#live/sources/rtsp/rtsp-source.ts'
import type { ReaderStatus } from '#live/status.ts'
import { deleteStreamRow, loadStreamRows, saveStreamRow } from '#live/stream-queries.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Database } from '#store/sql/schema.ts'
import type { Settings } from './settings.ts'

type Deps = {
  readonly settings: Settings
  readonly database: Database
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
}

/** What is recorded, and the recorders of this node. */
export function openRecordings({
  settings,
  database,
  objects,
  events,
  clock,
  log,
}: Deps & { readonly objects: ObjectStore }): Promise<Recordings> {
  const directory = resolve(settings.recordings.directory ?? join(settings.server.dataDirectory, 'recordings'))
  const index = sqlRecordingIndex(database.db)
  return Recordings.open({ directory, settings: settings.recordings, index, objects, events, clock, log })
}

type StreamDeps = Deps & {
  readonly recordings: Recordings
  /** Viewers of a stream that are no readers of it. */
  readonly viewers: (stream: string) => ReaderStatus[]
}

/** The streams of this node: those that the settings declare, and those that were stored. */
export async function openStreams({
  settings,
  database: { db },
  events,
  recordings,
  viewers,
  clock,
  log,
}: StreamDeps): Promise<StreamRegistry> {
  const { live, streamDefaults } = settings
  const registry: StreamRegistry = new StreamRegistry({
    settings: live,
    store: {
      load: () => loadStreamRows(db, log),
      save: (stream) => saveStreamRow(db, stream),
      delete: (name) => deleteStreamRow(db, name),
    },
    pull: pullRtsp({ clock, log }),
    events,
    clock,
    log,
    viewers,
    packagingFor: (stream, onWatchedChange) => {
      const recorder = recordings.recorderFor(stream.name, streamDefaults.recording.segmentSeconds)
      const releaseRecorder = recordings.release.bind(recordings)
      return new StreamPackaging({ stream, settings: live, recorder, releaseRecorder, clock, log, onWatchedChange })
    },
  })
  await registry.open({ defaults: streamDefaults, streams: settings.streams })
  recordings.startKeeping({
    find: (name) => registry.all().get(name)?.declaration.spec.recording,
    *all() {
      for (const [name, { declaration }] of registry.all()) yield [name, declaration.spec.recording]
    },
  })
  return registry
}
