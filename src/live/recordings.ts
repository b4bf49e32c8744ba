import { mkdir, statfs } from 'node:fs/promises'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import { ArchiveExpiry } from './archive/archive-expiry.ts'
import { Archiver } from './archive/archiver.ts'
import { segmentOpener } from './archive/open-segment.ts'
import { type ArchiveObjects, SegmentArchive } from './archive/segment-archive.ts'
import type { EventSink, StreamEvent } from './events.ts'
import { Playback } from './playback/playback.ts'
import { deleteRecording } from './recorder/delete-segment.ts'
import { healRecordings } from './recorder/heal.ts'
import { IndexWriter } from './recorder/index-writer.ts'
import { Recorder } from './recorder/recorder.ts'
import { createDirectDisk } from './recorder/direct-disk.ts'
import { nodeDisk, type RecordingDisk } from './recorder/recording-disk.ts'
import type { RecordingIndex, RecordingSegment, SegmentQuery, StreamUsage } from './recorder/recording-index.ts'
import { Retention } from './recorder/retention.ts'
import type { RecordingPolicy, RecordingsSettings } from './settings.ts'

export type RecordingsOptions = {
  readonly directory: string
  readonly settings: RecordingsSettings
  readonly index: RecordingIndex
  /** Where closed segments are archived. */
  readonly objects: ArchiveObjects
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
}

export type DiskSpace = { readonly path: string; readonly totalBytes: number; readonly freeBytes: number }

/** What is wanted of the recordings of each stream, as of now. */
export interface RecordingPolicies {
  /** Undefined for a stream that nobody declares any more. */
  find(stream: string): RecordingPolicy | undefined
  all(): Iterable<readonly [stream: string, policy: RecordingPolicy]>
}

/** What a stream has on the disk, and how much of it waits for the archive. */
export type RecordingUsage = Pick<StreamUsage, 'stream' | 'sizeBytes' | 'segmentCount'> & {
  readonly waitingCount: number
  /** How long the first of them waits; 0 when none does. */
  readonly waitingMs: number
}

/** All recordings of this process: the directory, its index, the recorders that write to it, retention, archive and playback. */
export class Recordings implements AsyncDisposable {
  readonly playback: Playback
  readonly #options: RecordingsOptions
  readonly #rows: IndexWriter
  readonly #recorders = new Set<Recorder>()
  readonly #disk: RecordingDisk
  readonly #archive: SegmentArchive
  #policies: RecordingPolicies | undefined
  #retention: Retention | undefined
  #archiver: Archiver | undefined
  #expiry: ArchiveExpiry | undefined
  #isDiskFull = false

  private constructor(options: RecordingsOptions) {
    const { index, directory, objects, log } = options
    this.#options = options
    this.#disk = options.settings.directWrites ? createDirectDisk() : nodeDisk
    this.#archive = new SegmentArchive({ objects, directory })
    this.#rows = new IndexWriter({ index, log, onClosed: () => this.#archiver?.wake() })
    this.playback = new Playback({ index, openSegment: segmentOpener({ index, directory, archive: this.#archive }), log })
  }

  /** Makes index and files agree, so that recording can begin. */
  static async open(options: RecordingsOptions): Promise<Recordings> {
    await mkdir(options.directory, { recursive: true })
    await healRecordings(options)
    return new Recordings(options)
  }

  /** A recorder for a stream; give it back with `release`. */
  recorderFor(stream: string, segmentSeconds: number): Recorder {
    const { directory, settings, clock, log } = this.#options
    const recorder = new Recorder({
      stream,
      segmentSeconds,
      settings: { ...settings, directory },
      rows: this.#rows,
      events: { emit: (event) => this.#emit(event) },
      clock,
      log,
      disk: this.#disk,
    })
    recorder.setDiskFull(this.#isDiskFull)
    this.#recorders.add(recorder)
    return recorder
  }

  /** Ends a recorder, and waits until all is on the disk. */
  async release(recorder: Recorder): Promise<void> {
    this.#recorders.delete(recorder)
    await recorder[Symbol.asyncDispose]()
  }

  /** Begins to archive what is wanted in the archive, and to delete what nobody wants kept. */
  startKeeping(policies: RecordingPolicies): void {
    this.#policies = policies
    const archiving = { ...this.#options, archive: this.#archive, policies: () => policies.all() }
    this.#archiver = new Archiver(archiving)
    this.#expiry = new ArchiveExpiry(archiving)
    this.#expiry.start()
    this.#retention = new Retention({
      ...this.#options,
      policyOf: (stream) => policies.find(stream),
      onDiskFull: (isDiskFull) => {
        this.#isDiskFull = isDiskFull
        for (const recorder of this.#recorders) recorder.setDiskFull(isDiskFull)
      },
    })
    this.#retention.start()
  }

  find(id: string): Promise<RecordingSegment | undefined> {
    return this.#options.index.find(id)
  }
  list(query: SegmentQuery): Promise<RecordingSegment[]> {
    return this.#options.index.list(query)
  }
  async usage(): Promise<RecordingUsage[]> {
    const usage = await this.#options.index.usage()
    const nowMs = this.#options.clock.nowMs()
    return usage.map(({ stream, sizeBytes, segmentCount, unarchivedCount, unarchivedSinceMs = nowMs }) => {
      const isArchived = this.#policies?.find(stream)?.archive === true
      const waitingCount = isArchived ? unarchivedCount : 0
      const waitingMs = isArchived ? Math.max(0, nowMs - unarchivedSinceMs) : 0
      return { stream, sizeBytes, segmentCount, waitingCount, waitingMs }
    })
  }
  /** Uploads to the archive that failed since the start. */
  get archiveFailures(): number {
    return this.#archiver?.failures ?? 0
  }
  /** Deletes a recorded file on request, from the archive too. Throws `RECORDING_NOT_FOUND`, `RECORDING_OPEN`, and as the object store. */
  remove(id: string): Promise<void> {
    return deleteRecording({ ...this.#options, archive: this.#archive }, id)
  }

  /** Between the runs of retention, these are the moments at which the disk may have come below its floor. */
  #emit(event: StreamEvent): void {
    this.#options.events.emit(event)
    const isFull = event.type === 'recording.failed' && event.code === 'DISK_FULL'
    if (isFull || event.type === 'recording.segment-closed') void this.#retention?.checkSpace()
  }

  /** Space on the disk of the directory; undefined when it cannot be asked. */
  async findDiskSpace(): Promise<DiskSpace | undefined> {
    const path = this.#options.directory
    const space = await statfs(path).catch(() => undefined)
    return space && { path, totalBytes: space.blocks * space.bsize, freeBytes: space.bavail * space.bsize }
  }

  /** Ends archiving and retention, waits for recorders that are still writing, and writes the last rows. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const duty of [this.#archiver, this.#expiry, this.#retention]) await duty?.[Symbol.asyncDispose]()
    await Promise.all([...this.#recorders].map((recorder) => recorder[Symbol.asyncDispose]()))
    await this.#rows[Symbol.asyncDispose]()
  }
}
