import { join } from 'node:path'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import { DiskBudget } from './disk-budget.ts'
import { isDiskFull, type Disk } from './disk.ts'
import { GroupPace, type Waiting } from './group-pace.ts'
import { findSegments, isTemporary } from './segment-files.ts'
import { SegmentPool } from './segment-pool.ts'
import { entriesStart, entryBytes, entryHeaderBytes, minBatchBytes, sealBytes, type EntryFields } from './wal-format.ts'
import { GroupLayout, type WalEntry } from './wal-group.ts'
import { loadWalId } from './wal-id.ts'
import { quarantine, recoverSegments, type FoundLog, type Unreadable } from './wal-recovery.ts'
import { walkSegment } from './wal-scan.ts'
import type { Segment, WalPosition } from './wal-segment.ts'

export type { WalEntry } from './wal-group.ts'
export type { Unreadable } from './wal-recovery.ts'
export type { WalPosition } from './wal-segment.ts'

export type WalSettings = {
  readonly segmentBytes: number
  /** All files together. */
  readonly maxBytes: number
  /** The log does not grow while the disk has less free space. */
  readonly minFreeBytes: number
  /** How long a group waits for more entries; 0: not at all. */
  readonly lingerMs: number
}

/** `isDamaged`: the header is fine, the batches do not fit it or their CRCs. */
export type RecoveredEntry = EntryFields & { readonly position: WalPosition; readonly isDamaged: boolean }

/** `segmentCount`: files with entries. `entryCount`: entries that are not settled. `appendedBytes`: of batches, since the start. */
export type WalStats = {
  readonly sizeBytes: number
  readonly segmentCount: number
  readonly entryCount: number
  readonly appendedBytes: number
  readonly syncCount: number
  readonly isFailed: boolean
}

export type WalOptions = {
  readonly directory: string
  readonly disk: Disk
  readonly settings: WalSettings
  readonly timers: Timers
  readonly log: Logger
  /** For the id of the log, and of each life of a file. */
  readonly newId: () => string
  /** Called once, when the disk has failed: nothing is taken any more, what is there can still be read. */
  readonly onFailure: (error: AppError) => void
}

/** Batches to be written, and whoever hears once what became of them. */
export interface WalTask extends WalEntry {
  kept(position: WalPosition): void
  refused(error: AppError): void
}

type Written = { readonly task: WalTask; readonly position: WalPosition }

type State = { readonly kind: 'open' } | { readonly kind: 'failed'; readonly error: AppError } | { readonly kind: 'closed' }

/** One write takes so much, or one entry that is larger. */
const maxGroupBytes = 4_194_304
/** Beyond, the disk is too slow for its producers. */
const maxPendingBytes = 268_435_456
/** A segment that grows with its entries asks for one of full size once it has so much; a log that is hardly used takes no more than it needs. */
const smallBytes = 262_144
/** The next segment is prepared when the current one is filled to this part: what was settled until then is used again. */
const prepareAt = 1 / 4

/**
 * The write-ahead log of an agent: what is appended is on the disk, synced, when `append` resolves, and is found again at the next start until it is settled.
 *
 * Group commit: one write and one sync are under way at a time, and all that comes meanwhile goes with the next. Nothing runs, and no timer is set, while nothing
 * is appended. A failed write or sync is final (what the disk then holds nobody knows); a full disk is not.
 *
 *   open ─(disk fails)─► failed ─► closed
 *     └──────────────────────────────▲
 */
export class Wal implements AsyncDisposable {
  readonly id: string
  /** Places found at the start where something cannot be read, other than the torn tail. Their segments are kept. */
  readonly unreadable: readonly Unreadable[]
  readonly #options: WalOptions
  readonly #lock: AsyncDisposable
  readonly #budget: DiskBudget
  readonly #pool: SegmentPool
  readonly #layout = new GroupLayout()
  readonly #pace: GroupPace
  /** With entries, by number; the current one is among them. */
  readonly #segments = new Map<number, Segment>()
  readonly #found: readonly Segment[]
  #state: State = { kind: 'open' }
  #current: Segment | undefined
  #nextNumber: number
  /** What the disk has now, and what goes next. */
  #writing: readonly WalTask[] = []
  #pending: WalTask[] = []
  #pendingBytes = 0
  #refusal: AppError | undefined
  #pump: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #entryCount = 0
  #appendedBytes = 0
  #syncCount = 0

  /**
   * Locks the directory, reads the id of the log (made at the first start), and finds what is there. A torn tail is cut. Damage is reported in `unreadable` and by
   * `recovered`; its segment is kept under the name `.damaged` and never recycled. Throws `LOG_UNAVAILABLE` (another process has the directory, or the disk
   * fails) and `LOG_DAMAGED` (it cannot be told what belongs to the log).
   */
  static async open(options: WalOptions): Promise<Wal> {
    const { directory, disk } = options
    try {
      await disk.makeDirectory(directory)
      const lock = await disk.lock(directory)
      try {
        return await openLocked(options, lock)
      } catch (error) {
        await lock[Symbol.asyncDispose]()
        throw error
      }
    } catch (error) {
      throw error instanceof AppError ? error : diskFault(directory, error)
    }
  }

  /** Use `open`. */
  constructor(options: WalOptions, parts: { lock: AsyncDisposable; budget: DiskBudget; id: string; found: FoundLog }) {
    const { directory, disk, newId, settings } = options
    this.#options = options
    this.#lock = parts.lock
    this.#budget = parts.budget
    this.id = parts.id
    this.unreadable = parts.found.unreadable
    this.#nextNumber = parts.found.nextNumber
    this.#found = parts.found.segments
    for (const segment of parts.found.segments) {
      this.#segments.set(segment.number, segment)
      this.#entryCount += segment.marks.count
    }
    this.#pace = new GroupPace({ timers: options.timers, lingerMs: settings.lingerMs })
    this.#pool = new SegmentPool({
      directory,
      disk,
      newId,
      walId: parts.id,
      segmentBytes: settings.segmentBytes,
      budget: parts.budget,
      onFault: (error) => this.#fail(error),
    })
  }

  get stats(): WalStats {
    return {
      sizeBytes: this.#budget.usedBytes,
      segmentCount: this.#segments.size,
      entryCount: this.#entryCount,
      appendedBytes: this.#appendedBytes,
      syncCount: this.#syncCount,
      isFailed: this.#state.kind === 'failed',
    }
  }

  /**
   * Everything found at the start, in the order of writing. Not kept in memory: it is read while it is iterated, each batch is checked, and a segment stays until all
   * of it was handed out and settled.
   */
  async *recovered(): AsyncGenerator<RecoveredEntry> {
    for (const segment of this.#found) {
      if (this.#segments.get(segment.number) !== segment) continue
      segment.readers += 1
      try {
        yield* this.#recover(segment)
      } finally {
        segment.readers -= 1
        this.#recycle(segment)
      }
    }
  }

  /**
   * Throws what an entry of this size would be refused with: `LOG_FULL`, `LOG_UNAVAILABLE`, `SHUTTING_DOWN`. An append in the same turn is then taken
   * (it fails only when the disk does).
   */
  admit(lengthBytes: number): void {
    if (this.#state.kind === 'failed') throw this.#state.error
    if (this.#refusal) throw this.#refusal
    if (this.#state.kind === 'closed' || this.#closing) throw new AppError('SHUTTING_DOWN', 'the write-ahead log is being closed')
    const bytes = this.#pendingBytes + entryBytes(lengthBytes)
    if (bytes > maxPendingBytes && this.#pendingBytes > 0) {
      const message = `${this.#pendingBytes} bytes wait for the disk of ${this.#options.directory}, which is slower than the producers; send less, or repeat later`
      throw new AppError('LOG_FULL', message)
    }
    const roomBytes = (this.#current?.roomBytes ?? 0) + this.#pool.roomBytes
    const obstacle = this.#budget.findObstacle(bytes + sealBytes - roomBytes)
    if (obstacle === undefined) return
    this.#refreshBudget()
    throw new AppError('LOG_FULL', obstacle)
  }

  /**
   * Writes the entry. Tasks hear when theirs is synced to the disk, in the order of the calls. The batches are whole record batches, one behind the
   * other, whose CRCs were checked, and must not change until then. Throws, or tells the task: `LOG_FULL`: refused, nothing of it was kept; when the disk turns out to be full only while it is written, all
   * that waits is refused with it, so that nothing is kept behind something refused. `LOG_UNAVAILABLE`: the disk has failed, for good; the entry may or may not be
   * found at the next start.
   */
  enqueue(task: WalTask): void {
    const { length } = task.batches
    if (length < minBatchBytes)
      throw new AppError('RECORD_BATCH_INVALID', `record batch of ${length} bytes; its header has ${minBatchBytes}`)
    this.admit(length)
    this.#pending.push(task)
    this.#pendingBytes += entryBytes(length)
    this.#pace.added(this.#waiting)
    this.#pump ??= this.#write()
  }

  /** The same as a promise. */
  append(entry: WalEntry): Promise<WalPosition> {
    return new Promise((kept, refused) => this.enqueue({ ...entry, kept, refused }))
  }

  /** Reads the batches of an entry back; all checksums are verified (`LOG_DAMAGED`). For entries that are not settled; the place of others may have been used again. */
  async read(position: WalPosition): Promise<Buffer> {
    const segment = this.#segments.get(position.segment)
    if (!segment || this.#state.kind === 'closed') {
      throw new AppError(
        'LOG_UNAVAILABLE',
        `segment ${position.segment} of the write-ahead log is not there any more: settled, or closed`,
      )
    }
    segment.readers += 1
    try {
      return await segment.read(position)
    } catch (error) {
      throw error instanceof AppError ? error : diskFault(this.#options.directory, error)
    } finally {
      segment.readers -= 1
      this.#recycle(segment)
    }
  }

  /** The entry is committed (or superseded) and not needed here any more. A segment of which all is settled is recycled. Settling twice does nothing. */
  settle(position: WalPosition): void {
    const segment = this.#segments.get(position.segment)
    if (!segment?.marks.remove(position.positionBytes - entryHeaderBytes)) return
    this.#entryCount -= 1
    this.#recycle(segment)
  }

  /** Writes what was appended, seals the log, and gives back what it does not need. What is not settled is found at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    await this.#pump
    const isFailed = this.#state.kind === 'failed'
    try {
      if (!isFailed) await this.#endCurrent()
      await this.#pool.close({ isFailed })
    } catch (error) {
      throw diskFault(this.#options.directory, error)
    } finally {
      this.#state = { kind: 'closed' }
      for (const { file } of this.#segments.values()) await file[Symbol.asyncDispose]()
      await this.#lock[Symbol.asyncDispose]()
    }
  }

  async #endCurrent(): Promise<void> {
    const segment = this.#current
    if (!segment) return
    await segment.seal()
    await segment.trim()
    if (!segment.isDone) return
    this.#segments.delete(segment.number)
    this.#pool.release(segment, { reserve: 0 })
  }

  async *#recover(segment: Segment): AsyncGenerator<RecoveredEntry> {
    const { number } = segment
    for await (const found of walkSegment(segment, { checksBatches: true })) {
      if (found.kind === 'seal') return
      if (found.kind === 'gap') {
        this.#checkKnown({ segment: number, positionBytes: found.position })
        continue
      }
      const { header, isIntact } = found
      if (!isIntact) await quarantine(segment, this.#options)
      const { partitionId, epoch, baseOffset, recordCount, lengthBytes } = header
      const position = { segment: number, positionBytes: found.position + entryHeaderBytes, lengthBytes }
      yield { partitionId, epoch, baseOffset, recordCount, position, isDamaged: !isIntact }
    }
  }

  #checkKnown({ segment, positionBytes }: Unreadable): void {
    if (this.unreadable.some((known) => known.segment === segment && known.positionBytes === positionBytes)) return
    throw new AppError(
      'LOG_DAMAGED',
      `segment ${segment} could be read at the start and cannot now, at ${positionBytes}; check the disk`,
    )
  }

  /** Writes groups until nothing waits. Who waited for one hears of it when the disk is at work on the next. Never rejects. */
  async #write(): Promise<void> {
    let written: readonly Written[] = []
    while (this.#state.kind === 'open' && (this.#pending.length > 0 || written.length > 0)) {
      this.#pace.observe(this.#pending.length + written.length)
      if (written.length > 0 && !this.#pace.isEnough(this.#waiting)) {
        tell(written)
        written = []
        continue
      }
      if (written.length === 0) await this.#pace.gather(() => this.#waiting)
      const writing = this.#writeNext()
      tell(written)
      written = await writing
    }
    tell(written)
    this.#pump = undefined
  }

  /** While nothing is written, all pending bytes are of entries that wait. */
  get #waiting(): Waiting {
    return { entries: this.#pending.length, bytes: this.#pendingBytes }
  }

  /** The segment that takes the next entry, when the current one is full. */
  async #nextSegment(): Promise<Segment> {
    const current = this.#current
    if (current) {
      await current.seal()
      this.#current = undefined
      this.#recycle(current)
    }
    const segment = await this.#pool.take(this.#nextNumber)
    this.#nextNumber += 1
    this.#segments.set(segment.number, segment)
    this.#current = segment
    return segment
  }

  #isFull({ endBytes, isPreallocated }: Segment): boolean {
    if (endBytes === entriesStart) return false
    if (!isPreallocated && this.#pool.isNextReady) return true
    const firstBytes = entryBytes(this.#pending[0]?.batches.length ?? 0)
    return endBytes + firstBytes + sealBytes > this.#options.settings.segmentBytes
  }

  /** The write is under way when this returns, unless a new segment is needed. */
  async #writeNext(): Promise<readonly Written[]> {
    try {
      const current = this.#current
      return await this.#writeGroup(current && !this.#isFull(current) ? current : await this.#nextSegment())
    } catch (error) {
      await this.#refuseAll(error)
      return []
    }
  }

  async #writeGroup(segment: Segment): Promise<readonly Written[]> {
    const tasks = this.#takeGroup(segment)
    this.#writing = tasks
    const positions = await segment.write(
      this.#layout.layOut(tasks, { seed: segment.seed, segment: segment.number, start: segment.endBytes }),
    )
    this.#syncCount += 1
    this.#entryCount += tasks.length
    // The log has failed elsewhere meanwhile, and they were told so.
    if (this.#writing !== tasks) return []
    this.#writing = []
    this.#prepareNext(segment)
    return tasks.map((task, index) => {
      const lengthBytes = task.batches.length
      this.#pendingBytes -= entryBytes(lengthBytes)
      this.#appendedBytes += lengthBytes
      return {
        task,
        position: { segment: segment.number, positionBytes: (positions[index] ?? 0) + entryHeaderBytes, lengthBytes },
      }
    })
  }

  /** The first of what waits: at least one entry, and no more than one write and the segment take. */
  #takeGroup({ endBytes }: Segment): readonly WalTask[] {
    const limitBytes = Math.min(maxGroupBytes, this.#options.settings.segmentBytes - sealBytes - endBytes)
    const waiting = this.#pending
    let bytes = 0
    const end = waiting.findIndex(({ batches }, index) => {
      bytes += entryBytes(batches.length)
      return bytes > limitBytes && index > 0
    })
    this.#pending = end < 0 ? [] : waiting.slice(end)
    return end < 0 ? waiting : waiting.slice(0, end)
  }

  #prepareNext({ isPreallocated, endBytes }: Segment): void {
    const { segmentBytes } = this.#options.settings
    if (!isPreallocated) this.#refreshBudget()
    const enoughBytes = isPreallocated ? segmentBytes * prepareAt : Math.min(smallBytes, segmentBytes * prepareAt)
    if (endBytes > enoughBytes) this.#pool.prepare(this.#nextNumber)
  }

  #recycle(segment: Segment): void {
    if (!segment.isDone || this.#state.kind !== 'open' || this.#closing) return
    if (!this.#segments.delete(segment.number)) return
    const unsettled = [...this.#segments.values()].filter(({ isSealed, isDamaged }) => isSealed && !isDamaged)
    this.#pool.release(segment, { reserve: 1 + unsettled.length })
  }

  #refreshBudget(): void {
    this.#budget.refresh().catch((error: unknown) => this.#fail(error))
  }

  /** A write that failed. A full disk refuses what waits; nothing of it is kept. Anything else is the end. */
  async #refuseAll(error: unknown): Promise<void> {
    if (!isDiskFull(error)) return this.#fail(error)
    try {
      await this.#current?.discardTail()
    } catch (fault) {
      return this.#fail(fault)
    }
    const { directory } = this.#options
    this.#reject(new AppError('LOG_FULL', `the disk of ${directory} is full; free some space`, { cause: error }))
    this.#refreshBudget()
  }

  #fail(cause: unknown): void {
    if (this.#state.kind !== 'open') return
    const error = diskFault(this.#options.directory, cause)
    this.#state = { kind: 'failed', error }
    this.#reject(error)
    this.#options.onFailure(error)
  }

  /** Until those who wait have all heard of it, nothing is taken: it would come behind something that they still count on. */
  #reject(error: AppError): void {
    const refused = [...this.#writing, ...this.#pending]
    this.#writing = []
    this.#pending = []
    this.#pendingBytes = 0
    this.#refusal = error
    for (const task of refused) task.refused(error)
    queueMicrotask(() => {
      this.#refusal = undefined
    })
  }
}

function tell(written: readonly Written[]): void {
  for (const { task, position } of written) task.kept(position)
}

async function openLocked(options: WalOptions, lock: AsyncDisposable): Promise<Wal> {
  const { directory, disk, settings, newId, log } = options
  const listed = await disk.list(directory)
  for (const name of listed.filter(isTemporary)) await disk.remove(join(directory, name))
  // What a process that was killed removed, and did not sync, must not come back once this one has seen that it is gone.
  await disk.syncDirectory(directory)
  const names = listed.filter((name) => !isTemporary(name))
  const hasSegments = findSegments(names).length > 0
  const id = await loadWalId({ directory, disk, names, hasSegments, newId })
  const { maxBytes, minFreeBytes } = settings
  const budget = new DiskBudget({ directory, disk, maxBytes, minFreeBytes })
  const found = await recoverSegments({ directory, disk, walId: id, names, budget, log })
  await budget.refresh()
  return new Wal(options, { lock, budget, id, found })
}

function diskFault(directory: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AppError(
    'LOG_UNAVAILABLE',
    `the write-ahead log in ${directory} fails: ${reason}; check the disk, then start again`,
    { cause },
  )
}
