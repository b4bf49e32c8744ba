import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { LogMetadata, OffsetRow } from '../metadata/log-metadata.ts'
import type { CommittedOffset, NewOffset, PartitionAnswer, TopicPartition } from './group-types.ts'
import { OffsetCache, offsetKey } from './offset-cache.ts'
import { OffsetCommits } from './offset-commits.ts'

/** What a client may keep with an offset. */
const maxMetadataBytes = 4096
/** Kafka's signs for the end (-1) and the beginning (-2): kafkajs commits them when it resets a group, and makes offsets of them itself. */
const lowestOffset = -2
/** About 50 MB. */
const maxCachedRows = 200_000

type Deps = {
  readonly metadata: Pick<LogMetadata, 'commitOffsets' | 'loadOffsets' | 'deleteOffsets'>
  readonly clock: Clock
  readonly topicIdOf: (name: string) => string | undefined
  readonly topicNameOf: (id: string) => string | undefined
}

/** Committed offsets of consumer groups: checked, stored, and found again. They belong to a topic's id: a new topic of the same name begins anew. */
export class GroupOffsets {
  readonly #deps: Deps
  readonly #commits: OffsetCommits
  readonly #cache: OffsetCache

  constructor(deps: Deps) {
    this.#deps = deps
    this.#cache = new OffsetCache({ metadata: deps.metadata, maxRows: maxCachedRows })
    this.#commits = new OffsetCommits({ metadata: deps.metadata, onCommitted: (rows) => this.#cache.update(rows) })
  }

  /** What is to be stored, and an answer for each offset, in order: those with an error are left out of the rows. */
  prepare(groupId: string, offsets: readonly NewOffset[]): { rows: OffsetRow[]; answers: PartitionAnswer[] } {
    const committedAtMs = this.#deps.clock.nowMs()
    const rows: OffsetRow[] = []
    const answers = offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => {
      const topicId = this.#deps.topicIdOf(topic)
      const error = topicId === undefined ? noTopic(topic) : faultOf({ topic, partition, offset, metadata })
      if (topicId === undefined || error) return { topic, partition, ...(error && { error }) }
      rows.push({ groupId, topicId, partition, offset, leaderEpoch, metadata, committedAtMs })
      return { topic, partition }
    })
    return { rows, answers }
  }

  /** Resolves when the rows are stored. */
  async commit(rows: readonly OffsetRow[]): Promise<void> {
    await this.#commits.commit(rows)
  }

  /** One answer for each partition asked for, in order; without a list, all that the group has committed. */
  async committed(groupId: string, partitions?: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    const rows = await this.#cache.load(groupId)
    if (!partitions) return [...rows.values()].flatMap((row) => this.#toCommitted(row))
    return partitions.map(({ topic, partition }) => {
      const topicId = this.#deps.topicIdOf(topic)
      const row = topicId === undefined ? undefined : rows.get(offsetKey({ topicId, partition }))
      return row
        ? { topic, partition, offset: row.offset, leaderEpoch: row.leaderEpoch, metadata: row.metadata }
        : noOffset({ topic, partition })
    })
  }

  /** Forgets what is committed, except where `refusalOf` has a reason against it. One answer for each partition, in order. */
  async remove(
    groupId: string,
    { partitions, refusalOf }: { partitions: readonly TopicPartition[]; refusalOf: (topic: string) => AppError | undefined },
  ): Promise<PartitionAnswer[]> {
    const ids: { topicId: string; partition: number }[] = []
    const answers = partitions.map(({ topic, partition }) => {
      const topicId = this.#deps.topicIdOf(topic)
      const error = topicId === undefined ? noTopic(topic) : refusalOf(topic)
      if (topicId === undefined || error) return { topic, partition, ...(error && { error }) }
      ids.push({ topicId, partition })
      return { topic, partition }
    })
    if (ids.length > 0) await this.#deps.metadata.deleteOffsets({ groupId, partitions: ids })
    this.#cache.forget(groupId)
    return answers
  }

  /** When the group last committed what is still there; undefined: there is nothing. */
  async lastCommitMs(groupId: string): Promise<number | undefined> {
    const rows = await this.#deps.metadata.loadOffsets(groupId)
    if (rows.length === 0) return undefined
    return rows.reduce((latestMs, { committedAtMs }) => Math.max(latestMs, committedAtMs), 0)
  }

  /** The database has less of this group than before. */
  forget(groupId: string): void {
    this.#cache.forget(groupId)
  }

  /** Resolves when all commits that are on their way now have arrived or failed. */
  async settled(): Promise<void> {
    await this.#commits.settled()
  }

  #toCommitted({ topicId, partition, offset, leaderEpoch, metadata }: OffsetRow): CommittedOffset[] {
    const topic = this.#deps.topicNameOf(topicId)
    return topic === undefined ? [] : [{ topic, partition, offset, leaderEpoch, metadata }]
  }
}

/** A partition of which nothing is committed. */
export function noOffset({ topic, partition }: TopicPartition): CommittedOffset {
  return { topic, partition, offset: -1, leaderEpoch: -1, metadata: '' }
}

function faultOf({ topic, partition, offset, metadata }: Omit<NewOffset, 'leaderEpoch'>): AppError | undefined {
  if (partition < 0) return new AppError('PARTITION_NOT_FOUND', `topic "${topic}" has no partition ${partition}`)
  if (offset < lowestOffset)
    return new AppError('OFFSET_OUT_OF_RANGE', `offset ${offset} of ${topic}/${partition}; commit the next offset to read`)
  const sizeBytes = Buffer.byteLength(metadata)
  if (sizeBytes <= maxMetadataBytes) return undefined
  const message = `metadata of ${sizeBytes} bytes with the offset of ${topic}/${partition}; at most ${maxMetadataBytes} bytes are kept`
  return new AppError('LIMIT_EXCEEDED', message)
}

function noTopic(topic: string): AppError {
  return new AppError('TOPIC_NOT_FOUND', `there is no topic "${topic}"`)
}
