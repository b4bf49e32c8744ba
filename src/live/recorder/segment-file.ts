import type { Part } from '#live/packager/cmaf.ts'
import { AppError } from '#lib/errors.ts'
import type { RecordingsSettings } from '#live/settings.ts'
import { diskError, type RecordingDisk, type RecordingHandle } from './recording-disk.ts'

/** What is safely in the file: whole parts only. */
export type Written = { readonly sizeBytes: number; readonly durationMs: number }

export type SegmentFileOptions = {
  readonly path: string
  /** Initialization segment and identity: written together with the first parts. */
  readonly head: readonly Buffer[]
  readonly sync: RecordingsSettings['sync']
  readonly disk: RecordingDisk
  /** After each write. */
  readonly onWritten: (written: Written) => void
  /** At once when the disk refuses: parts that were appended and are not in the file are lost. */
  readonly onFailed: (error: AppError, lostParts: number) => void
}

/** `durationMs`: of the file up to the end of this part. */
type Queued = { readonly part: Part; readonly durationMs: number }

/**
 * One file being recorded. `append` only queues; `flush` writes all that is queued with one call to the system. The buffers are shared
 * with everybody who has the part, and are let go once written.
 */
export class SegmentFile {
  readonly path: string
  /** Settles when the file is closed; never rejects. Nothing of it is left on the disk when `sizeBytes` is 0. */
  readonly done: Promise<Written>
  readonly #options: SegmentFileOptions
  #queue: Queued[] = []
  #unwrittenBytes = 0
  #unwrittenParts = 0
  #written: Written = { sizeBytes: 0, durationMs: 0 }
  #isFlushAsked = false
  #isFinished = false
  #wake: () => void = () => {}

  constructor(options: SegmentFileOptions) {
    this.#options = options
    this.path = options.path
    this.done = this.#run()
  }

  /** Queued or on the way to the disk. */
  get unwrittenBytes(): number {
    return this.#unwrittenBytes
  }
  get written(): Written {
    return this.#written
  }

  /** Queues a part; `durationMs` is that of the file up to the part's end. */
  append(part: Part, durationMs: number): void {
    if (this.#isFinished) return
    this.#queue.push({ part, durationMs })
    this.#unwrittenBytes += part.sizeBytes
    this.#unwrittenParts += 1
  }

  flush(): void {
    this.#isFlushAsked = true
    this.#wake()
  }

  /** Nothing follows: what is queued is written and the file closed. Idempotent. */
  finish(): void {
    this.#isFinished = true
    this.#wake()
  }

  async #run(): Promise<Written> {
    const { disk, sync } = this.#options
    let handle: RecordingHandle | undefined
    try {
      handle = await disk.create(this.path)
      await this.#writeAll(handle)
      if (sync !== 'none' && this.#written.sizeBytes > 0) {
        await handle.datasync()
        await disk.syncDirectory(this.path)
      }
    } catch (error) {
      this.#fail(diskError(error, this.path))
    }
    await this.#close(handle)
    return this.#written
  }

  /** Writes what is asked for until the file is finished and the queue empty. */
  async #writeAll(handle: RecordingHandle): Promise<void> {
    let isFirst = true
    for (;;) {
      while (!this.#isFlushAsked && !this.#isFinished) await this.#woken()
      this.#isFlushAsked = false
      const batch = this.#queue
      this.#queue = []
      if (batch.length > 0) {
        await this.#writeBatch(handle, batch)
        if (this.#options.sync === 'flush') {
          await handle.datasync()
          if (isFirst) await this.#options.disk.syncDirectory(this.path)
        }
        isFirst = false
        this.#options.onWritten(this.#written)
      } else if (this.#isFinished) return
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async #writeBatch(handle: RecordingHandle, batch: readonly Queued[]): Promise<void> {
    const head = this.#written.sizeBytes === 0 ? this.#options.head : []
    const start = this.#written.sizeBytes
    const headBytes = head.reduce((sum, bytes) => sum + bytes.length, 0)
    let position = start
    try {
      for (let rest: readonly Buffer[] = [...head, ...batch.flatMap(({ part }) => part.chunks)]; rest.length > 0;) {
        const writtenBytes = await handle.writev(rest, position)
        if (writtenBytes === 0) throw new AppError('DISK_FAILED', `the disk took no byte of ${this.path}; check it`)
        position += writtenBytes
        rest = behind(rest, writtenBytes)
      }
    } finally {
      this.#account(batch, { firstPartAt: start + headBytes, endAt: position })
    }
  }

  /** Counts the parts that are whole in the file, and says in each of them where it is. */
  #account(batch: readonly Queued[], { firstPartAt, endAt }: { firstPartAt: number; endAt: number }): void {
    let at = firstPartAt
    for (const { part, durationMs } of batch) {
      const { sizeBytes, stored } = part
      const offset = at
      this.#unwrittenBytes -= sizeBytes
      at += sizeBytes
      if (at > endAt) continue
      stored.range = { path: this.path, offset, sizeBytes }
      this.#unwrittenParts -= 1
      this.#written = { sizeBytes: at, durationMs }
    }
  }

  #fail(error: AppError): void {
    this.#isFinished = true
    this.#queue = []
    this.#unwrittenBytes = 0
    this.#options.onFailed(error, this.#unwrittenParts)
  }

  /** Cuts what is not a whole part. A disk that refuses this too is healed at the next start. */
  async #close(handle: RecordingHandle | undefined): Promise<void> {
    if (!handle) return
    const { sizeBytes } = this.#written
    await handle.truncate(sizeBytes).catch(() => {})
    await handle.close().catch(() => {})
    if (sizeBytes === 0) await this.#options.disk.remove(this.path).catch(() => {})
  }
}

/** What is left of the buffers behind the first `count` bytes. */
function behind(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let skipped = 0
  for (const [index, bytes] of buffers.entries()) {
    if (skipped + bytes.length > count) return [bytes.subarray(count - skipped), ...buffers.slice(index + 1)]
    skipped += bytes.length
  }
  return []
}
