import type { FetchedPartition } from '#eventlog/fetch.ts'
import type {
  AcquireRequest,
  AcquiredPartition,
  CommitAnswer,
  LogMetadata,
  ObjectCommit,
} from '#eventlog/metadata/log-metadata.ts'
import type { AckLevel } from '#eventlog/topic-config.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import type { SimObjects } from '../../support/sim-object-store.ts'
import { isSame, markOf, nameOf, type SentBatch } from './batches.ts'

/** Something that must never happen. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** What is known of a partition from outside: what was told to clients, and what the database has executed. */
export class PartitionModel {
  readonly id: number
  /** Acknowledged or shown: which batch an offset belongs to, for ever (I15). */
  readonly contents = new Map<number, string>()
  /** Where idempotent batches are. */
  readonly places = new Map<string, number>()
  /** Acknowledged and not committed, by base offset. */
  readonly uncommitted = new Map<number, SentBatch>()
  topicId = ''
  epoch = 0
  isDirty = false
  committedEnd = 0
  /** As the database has it. */
  logStart = 0
  /** The topic is gone, or is to go. */
  isDeleted = false
  /** Somebody has asked to delete up to here. */
  deletableEnd = 0

  constructor(id: number) {
    this.id = id
  }
}

export type Ack = {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly ack: AckLevel
}

type Options = {
  readonly objects: SimObjects
  readonly isOnDisk: (bytes: Buffer) => boolean
  /** Bits were flipped: records may be missing where the log says so. */
  readonly isDamaged: () => boolean
  readonly note: (text: string) => void
}

/**
 * What clients were told, and what the database has done, checked against each other at each step (invariants by their numbers in the design).
 * Its methods throw `Violation`.
 */
export class Model {
  readonly #options: Options
  readonly #partitions = new Map<number, PartitionModel>()
  readonly #sent = new Map<string, SentBatch>()
  readonly #commits = new Map<string, string>()
  readonly #objectKeys = new Map<string, string>()
  /** Topics that show only what is committed, and always have. */
  readonly #committedOnly = new Set<string>()
  /** Topics whose records retention may delete. */
  readonly #retained = new Set<string>()

  constructor(options: Options) {
    this.#options = options
  }

  get partitions(): readonly PartitionModel[] {
    return [...this.#partitions.values()]
  }

  partition(id: number): PartitionModel {
    const known = this.#partitions.get(id) ?? new PartitionModel(id)
    this.#partitions.set(id, known)
    return known
  }

  allowRetention(topicId: string): void {
    this.#retained.add(topicId)
  }

  deleting(topicId: string): void {
    for (const partition of this.#partitions.values()) if (partition.topicId === topicId) partition.isDeleted = true
  }

  sending(batch: SentBatch): void {
    this.#sent.set(batch.name, batch)
  }

  /** A producer was told that its batch is kept. */
  acked(partition: PartitionModel, batch: SentBatch, { baseOffset, lastOffset, ack }: Ack): void {
    const where = `${batch.name} at ${baseOffset} of partition ${partition.id}`
    if (lastOffset !== baseOffset + batch.recordCount - 1) throw new Violation(`${where} ends at ${lastOffset}`)
    if (ack === 'none') return
    this.#place(partition, batch, baseOffset)
    const isCommitted = lastOffset < partition.committedEnd
    if (partition.isDeleted || isCommitted) return
    if (ack === 'object') throw new Violation(`I1: ${where} was acknowledged before it was committed`)
    if (!this.#isOnDisk(batch)) throw new Violation(`I2: ${where} was acknowledged and is not on the disk`)
    if (!partition.isDirty) throw new Violation(`I2: ${where} was acknowledged without a dirty mark`)
    partition.uncommitted.set(baseOffset, batch)
  }

  /** A consumer was shown these, from `offset` on. */
  shown(partition: PartitionModel, offset: number, { batches, highWatermark }: FetchedPartition): number {
    let next = offset
    for (const [index, bytes] of batches.entries()) {
      const { baseOffset, lastOffsetDelta } = readBatchHeader(bytes)
      const lastOffset = baseOffset + lastOffsetDelta
      const where = `${baseOffset}-${lastOffset} of partition ${partition.id}`
      const isNext = index === 0 ? baseOffset <= next && lastOffset >= next : baseOffset === next
      if (!isNext && baseOffset > partition.logStart) throw new Violation(`I9: ${where} was shown where ${next} comes next`)
      if (lastOffset >= highWatermark) throw new Violation(`I13: ${where} was shown above the high watermark ${highWatermark}`)
      const batch = this.#sent.get(nameOf(bytes))
      if (!batch || !isSame(batch, bytes)) throw new Violation(`I16: ${where} is not what was sent`)
      this.#place(partition, batch, baseOffset)
      const isKept = lastOffset < partition.committedEnd || this.#isOnDisk(batch)
      if (!isKept && !partition.isDeleted) throw new Violation(`I13: ${where} was shown and is not kept`)
      const isTooEarly = this.#committedOnly.has(partition.topicId) && lastOffset >= partition.committedEnd
      if (isTooEarly && !partition.isDeleted) throw new Violation(`I13: ${where} was shown before it was committed`)
      next = lastOffset + 1
    }
    return next
  }

  /** The process has ended, or the machine: whatever was acknowledged must be in one place or the other (I7). */
  ended(): void {
    for (const partition of this.#partitions.values()) {
      if (partition.isDeleted) continue
      for (const [offset, batch] of partition.uncommitted) {
        if (this.#isOnDisk(batch)) continue
        throw new Violation(`I7: ${batch.name} at ${offset} of partition ${partition.id} is neither on the disk nor committed`)
      }
    }
  }

  /** Bits that were flipped may be the batch's own. */
  #isOnDisk(batch: SentBatch): boolean {
    return this.#options.isDamaged() || this.#options.isOnDisk(markOf(batch))
  }

  #place(partition: PartitionModel, { name, recordCount, producer }: SentBatch, baseOffset: number): void {
    for (let offset = baseOffset; offset < baseOffset + recordCount; offset++) {
      const other = partition.contents.get(offset)
      if (other === undefined) partition.contents.set(offset, name)
      else if (other !== name)
        throw new Violation(`I15: offset ${offset} of partition ${partition.id} was ${other} and is ${name}`)
    }
    if (!producer) return
    const place = partition.places.get(name)
    if (place !== undefined && place !== baseOffset) {
      throw new Violation(`I11: ${name} is at ${place} and at ${baseOffset} of partition ${partition.id}`)
    }
    partition.places.set(name, baseOffset)
  }

  /** The database, watched: what it has executed is known here before the answer goes out. */
  watch(real: LogMetadata): LogMetadata {
    return {
      ...real,
      createTopic: async (topic) => {
        const row = await real.createTopic(topic)
        if (row.config.durability === 'object') this.#committedOnly.add(row.id)
        for (const { partitionId } of row.partitions) this.partition(partitionId).topicId = row.id
        return row
      },
      configureTopic: async (topic) => {
        if (topic.config.durability === 'wal') this.#committedOnly.delete(topic.id)
        await real.configureTopic(topic)
      },
      addPartitions: async (topic) => {
        const rows = await real.addPartitions(topic)
        for (const { partitionId } of rows) this.partition(partitionId).topicId = topic.id
        return rows
      },
      deleteTopic: async (topic) => {
        this.deleting(topic.id)
        return await real.deleteTopic(topic)
      },
      acquirePartitions: async (request) => {
        const answer = await real.acquirePartitions(request)
        this.#acquired(request, answer)
        return answer
      },
      releasePartitions: async (request) => {
        for (const { partitionId } of request.partitions) this.#released(partitionId)
        await real.releasePartitions(request)
      },
      reserveObjects: async (request) => {
        await real.reserveObjects(request)
        for (const { id, key } of request.objects) this.#objectKeys.set(id, key)
      },
      commitObject: async (commit) => {
        const answer = await real.commitObject(commit)
        this.#committed(commit, answer)
        return answer
      },
      advanceLogStart: async (request) => {
        const answer = await real.advanceLogStart(request)
        this.#advanced(this.partition(request.partitionId), answer.logStart)
        return answer
      },
    }
  }

  #acquired({ partitions }: AcquireRequest, granted: readonly AcquiredPartition[]): void {
    const dirty = new Map(partitions.map(({ partitionId, isDirty }) => [partitionId, isDirty]))
    for (const { partitionId, epoch } of granted) {
      const partition = this.partition(partitionId)
      if (epoch <= partition.epoch)
        throw new Violation(`I4: epoch ${epoch} of partition ${partitionId} follows ${partition.epoch}`)
      partition.epoch = epoch
      partition.isDirty ||= dirty.get(partitionId) === true
    }
  }

  #released(partitionId: number): void {
    const partition = this.partition(partitionId)
    partition.isDirty = false
    const [first] = partition.uncommitted.keys()
    if (first === undefined || partition.isDeleted) return
    throw new Violation(`I5: partition ${partitionId} was given back while ${first} is only in the write-ahead log`)
  }

  #committed({ objectId, runs }: ObjectCommit, answer: CommitAnswer): void {
    const text = JSON.stringify(answer)
    const earlier = this.#commits.get(objectId)
    if (earlier !== undefined && earlier !== text && answer.kind === 'committed')
      throw new Violation(`commit of ${objectId} is answered ${earlier}, then ${text}`)
    if (answer.kind === 'refused' || earlier !== undefined) return
    this.#commits.set(objectId, text)
    const object = this.#options.objects.get(this.#objectKeys.get(objectId) ?? '')
    for (const [index, run] of runs.entries()) {
      if (answer.runs[index] !== 'committed') {
        this.#options.note(`run ${run.baseOffset}-${run.lastOffset} of partition ${run.partitionId}: ${answer.runs[index]}`)
        continue
      }
      const partition = this.partition(run.partitionId)
      const where = `run ${run.baseOffset}-${run.lastOffset} of partition ${run.partitionId}`
      if (run.baseOffset !== partition.committedEnd)
        throw new Violation(`I3: ${where} committed behind ${partition.committedEnd}`)
      if (run.epoch !== partition.epoch)
        throw new Violation(`I4: ${where} committed in epoch ${run.epoch}, it is ${partition.epoch}`)
      if (!object || object.length < run.positionBytes + run.lengthBytes)
        throw new Violation(`I1: ${where} committed, not stored`)
      partition.committedEnd = run.lastOffset + 1
      for (const offset of partition.uncommitted.keys()) if (offset < partition.committedEnd) partition.uncommitted.delete(offset)
    }
  }

  #advanced(partition: PartitionModel, logStart: number): void {
    if (logStart < partition.logStart) throw new Violation(`I13: log start of partition ${partition.id} went back to ${logStart}`)
    const isWanted = logStart <= partition.deletableEnd || this.#retained.has(partition.topicId)
    if (!isWanted) throw new Violation(`partition ${partition.id} begins at ${logStart}, nobody asked for that`)
    partition.logStart = logStart
  }
}
