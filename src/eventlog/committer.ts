import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Gathered } from './accumulator.ts'
import type { Backlog } from './backlog.ts'
import type { LogSpan } from './log-span.ts'
import type { LogMetadata, ProducerRow, RunRow, RunVerdict } from './metadata/log-metadata.ts'
import { encodeObject, objectKeyFor, type ObjectRun, type ObjectSpan } from './objects/object-format.ts'
import type { Partition } from './partition.ts'
import type { TailCache } from './tail-cache.ts'
import type { Wal } from './wal/wal.ts'

/** Objects on their way into the store at once: more do not make a disk quicker, and S3 takes some hundred milliseconds for each. */
const maxUploads = 4
/** Object ids taken from the database at once. */
const idsPerReservation = 64
/** Reserved ids are given up by the collector after a day; older ones than this are left to it. */
const idLifetimeMs = 3_600_000
const firstRetryMs = 100
const maxRetryMs = 10_000

/** Spans of one partition in one object. */
type Run = { readonly partition: Partition; readonly spans: readonly LogSpan[] }
/** An object that is in the store and not yet committed. `rows` belong to `runs`. */
type Stored = { readonly id: string; readonly sizeBytes: number; readonly runs: readonly Run[]; readonly rows: readonly RunRow[] }
/** A gathered object on its way. `over` resolves when it is committed, or given up. */
type Upload = { readonly gathered: Gathered; readonly over: PromiseWithResolvers<void>; stored?: Promise<Stored | undefined> }

type Deps = {
  readonly agentId: string
  readonly metadata: LogMetadata
  readonly objects: ObjectStore
  /** Absent: nothing can be read back. */
  readonly wal: Wal | undefined
  readonly backlog: Backlog
  readonly tailCache: TailCache
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  readonly newId: () => string
  readonly log: Logger
}

/**
 * Brings gathered batches into the object store, some objects at once, and commits them in the database, one after the other in the order in which they
 * were closed (invariants I1, I3, I4). Whatever is away is tried again for as long as it takes; nothing is given up.
 */
export class Committer {
  readonly #deps: Deps
  readonly #queue: Upload[] = []
  readonly #closing = new AbortController()
  #ids: string[] = []
  #idsReservedAtMs = 0
  #isRunning = false
  #trouble: AppError | undefined
  #objectCount = 0
  #committedBytes = 0

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Why the last try failed; undefined while all is well. */
  get trouble(): AppError | undefined {
    return this.#trouble
  }
  get stats(): { readonly objectCount: number; readonly committedBytes: number; readonly waitingObjects: number } {
    return { objectCount: this.#objectCount, committedBytes: this.#committedBytes, waitingObjects: this.#queue.length }
  }

  enqueue(gathered: Gathered): void {
    this.#queue.push({ gathered, over: Promise.withResolvers() })
    this.#relieveMemory()
    if (this.#isRunning) this.#startUploads()
    else void this.#run()
  }

  /** Resolves when everything enqueued so far is committed, or the committer was closed. */
  async settled(): Promise<void> {
    await this.#queue.at(-1)?.over.promise
  }

  /** Gives up what is not committed yet: the write-ahead log keeps it. */
  close(): void {
    this.#closing.abort()
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (;;) {
      const [next] = this.#queue
      if (next === undefined || this.#isClosed()) break
      this.#startUploads()
      const stored = await next.stored
      const isDone = stored !== undefined && (await this.#commit(stored))
      // Given up: it still waits, in the write-ahead log only.
      if (!isDone) break
      for (const spans of next.gathered.runs.values()) for (const span of spans) this.#deps.backlog.remove(span)
      this.#queue.shift()
      next.over.resolve()
    }
    this.#isRunning = false
    for (const { over } of this.#queue) over.resolve()
  }

  #startUploads(): void {
    for (const upload of this.#queue.slice(0, maxUploads)) upload.stored ??= this.#store(upload.gathered)
  }

  /** While memory is short, the spans that will be uploaded last give their bytes back to the disk. */
  #relieveMemory(): void {
    const { backlog } = this.#deps
    for (const { gathered, stored } of this.#queue.toReversed()) {
      if (!backlog.isOverBudget || stored) return
      for (const spans of gathered.runs.values()) for (const span of spans) backlog.spill(span)
    }
  }

  /** Puts an object into the store. Undefined: closed before that was done. */
  async #store(gathered: Gathered): Promise<Stored | undefined> {
    return await this.#untilDone('object could not be stored', async () => {
      const runs: Run[] = []
      const contents: ObjectRun[] = []
      for (const [partition, spans] of gathered.runs) {
        const loaded = await this.#load(partition, spans)
        if (loaded.length === 0) continue
        runs.push({ partition, spans: spans.slice(0, loaded.length) })
        const { id: topicId, name: topicName } = partition.topic
        const { id: partitionId, index, epoch } = partition
        contents.push({ partitionId, topicId, topicName, partition: index, epoch, spans: loaded })
      }
      if (runs.length === 0) return { id: '', sizeBytes: 0, runs, rows: [] }
      const id = await this.#takeId()
      const { chunks, sizeBytes, runs: rows } = encodeObject(id, contents)
      await this.#put(id, { chunks, sizeBytes })
      return { id, sizeBytes, runs, rows }
    })
  }

  /** Spans with their bytes, up to the first that cannot be had; its partition is then closed to producers. Nothing of a topic that is gone. */
  async #load(partition: Partition, spans: readonly LogSpan[]): Promise<ObjectSpan[]> {
    const loaded: ObjectSpan[] = []
    for (const span of spans) {
      const { bytes, position } = span
      try {
        if (partition.isDeleted) return []
        const found = bytes ?? (position && (await this.#deps.wal?.read(position)))
        if (found === undefined) throw new AppError('INTERNAL', 'records are neither in memory nor in the write-ahead log')
        loaded.push({ place: span, bytes: found })
      } catch (thrown) {
        const error = toAppError(thrown)
        // Deleted while it was read: its place in the write-ahead log was given up.
        if (partition.isDeleted) return []
        if (error.code !== 'LOG_DAMAGED') throw error
        this.#deps.log.error({ code: error.code, partition: partition.label }, error.message)
        partition.fail(error)
        break
      }
    }
    return loaded
  }

  /** An answer that was lost may stand for an object that is there: the id is ours alone, so what is there under it is ours (invariant I6). */
  async #put(id: string, { chunks, sizeBytes }: { chunks: Iterable<Buffer>; sizeBytes: number }): Promise<void> {
    const { objects, agentId } = this.#deps
    const key = objectKeyFor(id, agentId)
    const { signal } = this.#closing
    for (let attempt = 1; ; attempt++) {
      try {
        await objects.put(key, { chunks, sizeBytes }, { ifNoneMatch: '*', signal })
        return
      } catch (thrown) {
        const error = toAppError(thrown)
        if (error.code === 'OBJECT_EXISTS' && (await objects.head(key)).sizeBytes === sizeBytes) return
        if (attempt === 3 || error.code !== 'OBJECTS_UNAVAILABLE') throw error
      }
    }
  }

  async #takeId(): Promise<string> {
    const { metadata, agentId, clock, newId } = this.#deps
    const nowMs = clock.nowMs()
    if (Math.abs(nowMs - this.#idsReservedAtMs) > idLifetimeMs) this.#ids = []
    const id = this.#ids.shift()
    if (id !== undefined) return id
    const ids = Array.from({ length: idsPerReservation }, newId)
    const objects = ids.map((one) => ({ id: one, key: objectKeyFor(one, agentId) }))
    await metadata.reserveObjects({ agentId, objects, nowMs })
    this.#idsReservedAtMs = nowMs
    this.#ids.push(...ids)
    return await this.#takeId()
  }

  /** False: closed before it was committed. */
  async #commit(first: Stored): Promise<boolean> {
    const { metadata, agentId, clock } = this.#deps
    let stored = first
    const verdicts = await this.#untilDone('object could not be committed', async () => {
      const { id, sizeBytes, runs, rows } = stored
      if (runs.length === 0) return []
      const producers = runs.flatMap((run, index) => producerRows(run, rows[index]))
      // An epoch that this agent has gained since the upload is its own all the same.
      const current = rows.map((row, index) => ({ ...row, epoch: runs[index]?.partition.epoch ?? row.epoch }))
      const commit = { agentId, objectId: id, sizeBytes, runs: current, producers, nowMs: clock.nowMs() }
      const answer = await metadata.commitObject(commit)
      if (answer.kind === 'committed') return answer.runs
      this.#ids = []
      stored = await this.#storeAgain(stored)
      throw new AppError('OBJECTS_UNAVAILABLE', `object ${id} was given up while it was uploaded; it goes again under another id`)
    })
    if (verdicts) this.#settle(stored, verdicts)
    return verdicts !== undefined
  }

  async #storeAgain({ runs, sizeBytes, ...rest }: Stored): Promise<Stored> {
    const gathered = { runs: new Map(runs.map(({ partition, spans }) => [partition, [...spans]])), sizeBytes }
    return (await this.#store(gathered)) ?? { ...rest, runs, sizeBytes }
  }

  #settle({ sizeBytes, runs }: Stored, verdicts: readonly RunVerdict[]): void {
    this.#objectCount += 1
    this.#committedBytes += sizeBytes
    for (const [index, { partition, spans }] of runs.entries()) {
      const verdict = verdicts[index]
      if (verdict === 'committed') this.#keep(partition, spans)
      else this.#refuse(partition, verdict)
    }
  }

  #keep(partition: Partition, spans: readonly LogSpan[]): void {
    partition.markCommitted(spans)
    // Those of a deleted topic were settled when it was deleted.
    if (partition.isDeleted) return
    for (const { position } of spans) if (position) this.#deps.wal?.settle(position)
    this.#deps.tailCache.add(partition, spans)
  }

  /** The write-ahead log keeps what the database refused: it was acknowledged. */
  #refuse(partition: Partition, verdict: RunVerdict | undefined): void {
    if (partition.isDeleted) return
    const why = verdict === 'gap' ? 'does not continue what is committed' : 'belongs to another agent now'
    const error = new AppError(
      'PARTITION_NOT_OWNED',
      `${partition.label} ${why}; its records since then stay in the write-ahead log`,
    )
    this.#deps.log.error({ code: error.code, verdict }, error.message)
    partition.fail(error)
  }

  /** Tries until it works. Undefined: closed before. */
  async #untilDone<T>(message: string, step: () => Promise<T>): Promise<T | undefined> {
    const { log, random } = this.#deps
    const backoff = new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs, random })
    while (!this.#isClosed()) {
      try {
        const result = await step()
        this.#trouble = undefined
        return result
      } catch (thrown) {
        const error = toAppError(thrown)
        if (this.#isClosed()) break
        if (this.#trouble?.message !== error.message) log.warn({ code: error.code, err: error }, `${message}; trying again`)
        this.#trouble = error
        await this.#pause(backoff.nextMs())
      }
    }
    return undefined
  }

  async #pause(delayMs: number): Promise<void> {
    const { signal } = this.#closing
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.#deps.timers.after(delayMs, done)
      signal.addEventListener('abort', done)
    })
  }
}

/** What is stored of the idempotent producers that have batches in a run. */
function producerRows({ partition, spans }: Run, row: RunRow | undefined): ProducerRow[] {
  const ids = new Set(spans.map(({ producerId }) => producerId).filter((id) => id >= 0))
  const endOffset = (row?.lastOffset ?? -1) + 1
  return [...ids].flatMap((producerId) => partition.producers.rowAt(endOffset, { partitionId: partition.id, producerId }) ?? [])
}
