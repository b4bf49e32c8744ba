/** Recorded files and an archive for them, for tests: real files, a real index, a real object store. */
import { rm } from 'node:fs/promises'
import { systemClock } from '#lib/clock.ts'
import { type StoreRequest, observeObjectStore } from '#store/objects/observed-store.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { DirectoryStore } from '#store/objects/directory-store.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import type { RecordedMedia } from '../playback/media-stretch.ts'
import { Playback } from '../playback/playback.ts'
import { freeSegment } from '../recorder/delete-segment.ts'
import { IndexWriter } from '../recorder/index-writer.ts'
import { Recorder } from '../recorder/recorder.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import { eventList, type MediaOptions, openIndex, packageInto, silentLog } from '../recorder/recording.fixture.ts'
import { Archiver, type ArchiverOptions } from './archiver.ts'
import { segmentOpener } from './open-segment.ts'
import { SegmentArchive } from './segment-archive.ts'

export const wanted = { archive: true, archiveRetentionHours: 0 }

/** `openStore`: of the test; else a directory. */
export async function archiveBench({ openStore }: { openStore?: () => Promise<ObjectStore> } = {}) {
  await using stack = new AsyncDisposableStack()
  const { path: directory } = stack.use(await temporaryDirectory())
  const { path: objectsDirectory } = stack.use(await temporaryDirectory())
  const { index } = stack.use(await openIndex())
  const requests: StoreRequest[] = []
  const open = openStore ?? (() => DirectoryStore.open({ directory: objectsDirectory, clock: systemClock }))
  const store = observeObjectStore(await open(), { clock: systemClock, onRequest: (request) => void requests.push(request) })
  const objects = stack.use(store)
  const archive = new SegmentArchive({ objects, directory })
  const openSegment = segmentOpener({ directory, index, archive })
  const events = eventList()
  const owned = stack.move()
  const segments = (): Promise<RecordingSegment[]> => index.list({ limit: 1000 })
  const common = { index, archive, events, clock: systemClock, log: silentLog }
  return {
    ...common,
    directory,
    objects,
    objectsDirectory,
    requests,
    openSegment,
    segments,
    /** A player that knows nothing yet. */
    newPlayback: () => new Playback({ index, openSegment, log: silentLog }),
    /** An archiver that wants every stream archived and tries again soon. */
    archiver: (options: Partial<ArchiverOptions> = {}) =>
      new Archiver({
        ...common,
        policies: () => [['site/gate', wanted]],
        backoff: { firstMs: 20, maxMs: 50 },
        ...options,
      }),
    /** Closed files of `segmentSeconds`. */
    async record({ segmentSeconds = 4, stream = 'site/gate', ...options }: MediaOptions & Recorded = {}): Promise<void> {
      await using rows = new IndexWriter({ index, log: silentLog })
      const settings = { directory, flushMilliseconds: 50, sync: 'none' } as const
      const recorder = new Recorder({ ...common, stream, segmentSeconds, settings, rows, maxQueuedBytes: 2 ** 30 })
      recorder.start()
      packageInto([recorder], options)
      await recorder[Symbol.asyncDispose]()
    },
    untilArchived: (count: number): Promise<unknown> =>
      until(async () => (await segments()).filter(({ archivedAtMs }) => archivedAtMs !== undefined).length === count),
    /** Deletes the files of segments that the archive has. */
    async free(some?: readonly RecordingSegment[]): Promise<void> {
      for (const segment of some ?? (await segments())) await freeSegment({ directory, index, events }, segment, 'age')
    },
    types: () => events.events.map(({ type }) => type),
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync()
      await rm(objectsDirectory, { recursive: true, force: true })
    },
  }
}

type Recorded = { readonly segmentSeconds?: number; readonly stream?: string }

export async function bytesOf(recorded: RecordedMedia, start = 0, end = recorded.sizeBytes): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(recorded.read({ start, end })))
}

/** All that playback makes of a stream: the playlist, each file, an export. */
export async function playedBytes(playback: Playback, segments: readonly RecordingSegment[]): Promise<Record<string, unknown>> {
  const stream = 'site/gate'
  const played: Record<string, unknown> = { playlist: await playback.playlist({ stream }, { mediaUrl: (id) => id }) }
  for (const { id } of segments) {
    await using media = await playback.openMedia(id)
    played[id] = [media.etag, await bytesOf(media), await bytesOf(media, 1000, 5000)]
  }
  await using whole = await playback.openExport({ stream })
  played['export'] = [whole.etag, await bytesOf(whole), await bytesOf(whole, 2000, whole.sizeBytes - 777)]
  return played
}
