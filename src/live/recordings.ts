import { mkdir, statfs } from 'node:fs/promises'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink, StreamEvent } from './events.ts'
import { Playback } from './playback/playback.ts'
import { deleteRecording } from './recorder/delete-segment.ts'
import { healRecordings } from './recorder/heal.ts'
import { IndexWriter } from './recorder/index-writer.ts'
import { Recorder } from './recorder/recorder.ts'
import { createDirectDisk } from './recorder/direct-disk.ts'
import { nodeDisk, type RecordingDisk } from './recorder/recording-disk.ts'
import type { RecordingIndex, RecordingSegment, SegmentQuery, StreamUsage } from './recorder/recording-index.ts'
import { Retention, type RetentionPolicy } from './recorder/retention.ts'
import type { RecordingsSettings } from './settings.ts'

export type RecordingsOptions = {
  readonly directory: string
  readonly settings: RecordingsSettings
  readonly index: RecordingIndex
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
}

export type DiskSpace = { readonly path: string; readonly totalBytes: number; readonly freeBytes: number }

/** All recordings of this process: the directory, its index, the recorders that write to it, retention and playback. */
export class Recordings implements AsyncDisposable {
  readonly playback: Playback
  readonly #options: RecordingsOptions
  readonly #rows: IndexWriter
  readonly #recorders = new Set<Recorder>()
  readonly #disk: RecordingDisk
  #retention: Retention | undefined
  #isDiskFull = false

  private constructor(options: RecordingsOptions) {
    const { index, directory, log } = options
    this.#options = options
    this.#disk = options.settings.directWrites ? createDirectDisk() : nodeDisk
    this.#rows = new IndexWriter({ index, log })
    this.playback = new Playback({ index, directory, log })
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

  /** Begins to delete what nobody wants kept; `policyOf` tells what is wanted of a stream. */
  startRetention(policyOf: (stream: string) => RetentionPolicy | undefined): void {
    this.#retention = new Retention({
      ...this.#options,
      policyOf,
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
  usage(): Promise<StreamUsage[]> {
    return this.#options.index.usage()
  }
  /** Deletes a recorded file on request. Throws `RECORDING_NOT_FOUND`, `RECORDING_OPEN`. */
  remove(id: string): Promise<void> {
    return deleteRecording(this.#options, id)
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

  /** Ends retention, waits for recorders that are still writing, and writes the last rows. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#retention?.[Symbol.asyncDispose]()
    await Promise.all([...this.#recorders].map((recorder) => recorder[Symbol.asyncDispose]()))
    await this.#rows[Symbol.asyncDispose]()
  }
}
