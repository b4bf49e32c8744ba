import { committedPlaces } from './committed-places.ts'
import type { ConsumeQuery } from './log-contract.ts'
import type { LogHub, LogTopic } from './log-hub.ts'
import { parseReadCursor, type ReadCursor, type ReadPosition } from './read-cursor.ts'
import { invalidPlace, offsetAt, parsePlace } from './record-place.ts'

/** Partitions read with one request: their offsets have to fit into a cursor, and that into a URL. */
const maxPartitions = 1000

/**
 * Where a request begins to read: at its cursor, whatever else it says; at an offset; where its group has committed; or at a place. Throws `REQUEST_INVALID`,
 * `PARTITION_NOT_FOUND`, and what looking up times and groups throws.
 */
export async function startOf(log: LogHub, topic: LogTopic, query: ConsumeQuery): Promise<ReadCursor> {
  const { partition, offset, at, cursor, group } = query
  if (cursor !== undefined) return withNewPartitions(topic, parseReadCursor(topic, cursor))
  if (partition !== undefined) topic.partition(partition)
  if (offset !== undefined) {
    if (partition === undefined) throw invalidPlace('query.partition', 'is required with query.offset')
    if (at !== undefined || group !== undefined)
      throw invalidPlace('query.offset', 'excludes query.at and query.group; leave it out')
    return { isAll: false, positions: [{ partition, offset }] }
  }
  const isAll = partition === undefined
  const indexes = isAll ? topic.partitions.map(({ index }) => index) : [partition]
  if (indexes.length > maxPartitions) {
    throw invalidPlace(
      'query.partition',
      `is required: the topic has ${indexes.length} partitions, ${maxPartitions} can be read at once`,
    )
  }
  const place = parsePlace(at ?? 'earliest', 'query.at')
  const committed = group === undefined ? new Map<number, number>() : await committedIn(log, { topic, group })
  const positions: ReadPosition[] = []
  for (const index of indexes) {
    const known = committed.get(index)
    const start = known === undefined ? await offsetAt(log, topic, { partition: index, place }) : { offset: known }
    positions.push({ partition: index, offset: start.offset })
  }
  return { isAll, positions }
}

/** Partitions that a topic got since a reader of all began are read, too, from their start. */
export function withNewPartitions(topic: LogTopic, { isAll, positions }: ReadCursor): ReadCursor {
  if (!isAll || positions.length === topic.partitions.length) return { isAll, positions }
  const known = new Set(positions.map(({ partition }) => partition))
  const added = topic.partitions.filter(({ index }) => !known.has(index))
  return { isAll, positions: [...positions, ...added.map(({ index, logStart }) => ({ partition: index, offset: logStart }))] }
}

async function committedIn(log: LogHub, { topic, group }: { topic: LogTopic; group: string }): Promise<Map<number, number>> {
  const committed = await committedPlaces(log, group)
  return new Map(committed.filter((one) => one.topic === topic.name).map(({ partition, offset }) => [partition, offset]))
}
