import { isDeepStrictEqual } from 'node:util'
import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { ExtentRow, LogMetadata, ObjectRow, PartitionRow, TopicRow } from '../metadata/log-metadata.ts'
import { loadObjectIndex } from './load-object-index.ts'
import type { IndexedRun } from './object-index.ts'
import { StreamCursor } from './stream-cursor.ts'
import { verifyRun } from './verify-run.ts'

/** What verification needs of the database besides the log's own reads. */
export interface ObjectExtents {
  /** The extents that lie in these objects, by object and position. */
  extentsOfObjects(objectIds: readonly string[]): Promise<ExtentRow[]>
}

type ObjectPlace = { readonly objectId: string; readonly objectKey: string }
export type VerifyFinding =
  /** Committed records are in an object that is not there. */
  | ({ readonly kind: 'missing'; readonly extents: number } & ObjectPlace)
  | ({ readonly kind: 'size'; readonly committedBytes: number; readonly storedBytes: number } & ObjectPlace)
  /** Footer or index cannot be read, or say something else than the database. */
  | ({ readonly kind: 'index'; readonly message: string } & ObjectPlace)
  /** Batches that are damaged, or not where the database says. */
  | ({
      readonly kind: 'damaged'
      readonly partitionId: number
      readonly baseOffset: number
      readonly lastOffset: number
      readonly positionBytes: number
      readonly message: string
    } & ObjectPlace)
  /** The object store failed; nothing is known of this object. */
  | ({ readonly kind: 'unreadable'; readonly message: string } & ObjectPlace)
  /** Offsets from `fromOffset` on, up to `toOffset` exclusive, are in no extent, or in two. */
  | {
      readonly kind: 'gap' | 'overlap'
      readonly topic: string
      readonly partition: number
      readonly fromOffset: number
      readonly toOffset: number
    }

export type VerifyStep =
  | { readonly kind: 'finding'; readonly finding: VerifyFinding }
  /** Everything so far. */
  | { readonly kind: 'progress'; readonly objects: number; readonly batches: number; readonly bytes: number }

type Options = {
  readonly metadata: Pick<LogMetadata, 'loadTopics' | 'findExtents' | 'listObjects'> & ObjectExtents
  readonly objects: ObjectStore
  readonly signal?: AbortSignal
}

const extentsPerPage = 1000
/** The database looks through all extents for each page of objects. */
const objectsPerPage = 500
/** As many objects in a row that the store fails to give mean that it is away. */
const maxFailuresInARow = 5

/**
 * Checks what is stored against the database and against itself: partitions without holes, every committed object there, of the right size, with an index that says
 * the same as the database, and every batch with its checksum and offsets. Changes nothing, and may run beside a log in use: one object is read at a time.
 *
 * Ends with a last `progress`. Throws `DATABASE_UNAVAILABLE`, `OBJECTS_UNAVAILABLE` when the store gives nothing any more, and the reason of `signal`.
 */
export async function* verifyLog({ metadata, objects, signal }: Options): AsyncGenerator<VerifyStep> {
  const topics = await metadata.loadTopics()
  for (const topic of topics) {
    for (const partition of topic.partitions) {
      signal?.throwIfAborted()
      for await (const finding of verifyOffsets(metadata, { topic, partition })) yield { kind: 'finding', finding }
    }
  }
  const totals = { objects: 0, batches: 0, bytes: 0 }
  const owners = new Map(topics.flatMap(({ id, partitions }) => partitions.map((one) => [one.partitionId, `${id}/${one.index}`])))
  let failuresInARow = 0
  for await (const { object, extents } of committedObjects(metadata)) {
    signal?.throwIfAborted()
    try {
      const checked = await verifyObject({ metadata, objects, owners, signal }, { object, extents })
      for (const finding of checked.findings) yield { kind: 'finding', finding }
      totals.batches += checked.batches
      totals.bytes += checked.bytes
      failuresInARow = 0
    } catch (error) {
      failuresInARow += 1
      if (!(error instanceof AppError) || error.code !== 'OBJECTS_UNAVAILABLE' || failuresInARow === maxFailuresInARow)
        throw error
      yield { kind: 'finding', finding: { kind: 'unreadable', ...placeOf(object), message: error.message } }
    }
    totals.objects += 1
    yield { kind: 'progress', ...totals }
  }
  yield { kind: 'progress', ...totals }
}

/** What was committed or deleted after the topics were loaded is left for the next time. */
async function* verifyOffsets(
  metadata: Options['metadata'],
  { topic, partition }: { topic: TopicRow; partition: PartitionRow },
): AsyncGenerator<VerifyFinding> {
  const { partitionId, index, nextOffset: endOffset } = partition
  const place = { topic: topic.name, partition: index }
  let expected = partition.logStart
  while (expected < endOffset) {
    const extents = await metadata.findExtents({ partitionId, fromOffset: expected, limit: extentsPerPage })
    for (const { baseOffset, lastOffset } of extents) {
      if (baseOffset > expected && expected < endOffset) {
        const logStart = await logStartOf(metadata, partitionId)
        const [fromOffset, toOffset] = [Math.max(expected, logStart), Math.min(baseOffset, endOffset)]
        if (fromOffset < toOffset) yield { kind: 'gap', ...place, fromOffset, toOffset }
      }
      // The first one may begin before the log start.
      if (baseOffset < expected && expected > partition.logStart) {
        yield { kind: 'overlap', ...place, fromOffset: baseOffset, toOffset: expected }
      }
      expected = lastOffset + 1
    }
    if (extents.length > 0) continue
    const fromOffset = Math.max(expected, await logStartOf(metadata, partitionId))
    if (fromOffset < endOffset) yield { kind: 'gap', ...place, fromOffset, toOffset: endOffset }
    return
  }
}

/** Where a partition begins by now; a topic that was deleted meanwhile has nothing any more. */
async function logStartOf(metadata: Options['metadata'], partitionId: number): Promise<number> {
  const partitions = (await metadata.loadTopics()).flatMap((topic) => topic.partitions)
  return partitions.find((one) => one.partitionId === partitionId)?.logStart ?? Infinity
}

type CommittedObject = { readonly object: ObjectRow; readonly extents: readonly ExtentRow[] }

async function* committedObjects(metadata: Options['metadata']): AsyncGenerator<CommittedObject> {
  for (let after = ''; ;) {
    const page = await metadata.listObjects({ after, limit: objectsPerPage })
    const extents = await metadata.extentsOfObjects(page.map(({ id }) => id))
    const byObject = Map.groupBy(extents, ({ objectId }) => objectId)
    for (const object of page) yield { object, extents: byObject.get(object.id) ?? [] }
    const last = page.at(-1)
    if (last === undefined) return
    after = last.id
  }
}

type Context = Pick<Options, 'metadata' | 'objects'> & {
  /** Topic and partition by partition id. */
  readonly owners: ReadonlyMap<number, string>
  readonly signal: AbortSignal | undefined
}
type Checked = { findings: VerifyFinding[]; batches: number; bytes: number }

async function verifyObject(context: Context, { object, extents }: CommittedObject): Promise<Checked> {
  const checked: Checked = { findings: [], batches: 0, bytes: 0 }
  const place = placeOf(object)
  try {
    const options = context.signal ? { signal: context.signal } : {}
    const { sizeBytes: storedBytes } = await context.objects.head(object.key, options)
    if (storedBytes !== object.sizeBytes) {
      checked.findings.push({ kind: 'size', ...place, committedBytes: object.sizeBytes, storedBytes })
    }
    for (const message of await indexFaults(context, { object: { ...object, sizeBytes: storedBytes }, extents })) {
      checked.findings.push({ kind: 'index', ...place, message })
    }
    await verifyBatches(context, { object, extents }, checked)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'OBJECT_NOT_FOUND') {
      // Deleted by retention since it was listed, there is nothing left in it.
      const left = await context.metadata.extentsOfObjects([object.id])
      if (left.length > 0) checked.findings.push({ kind: 'missing', ...place, extents: left.length })
    } else if (error.code !== 'TRUNCATED' && error.code !== 'RANGE_NOT_SATISFIABLE') {
      throw error
    }
    // Shorter than the database says: the sizes have told that.
  }
  return checked
}

/** An index may have more runs than the database: those that were refused, or deleted since. */
async function indexFaults({ objects, owners, signal }: Context, { object, extents }: CommittedObject): Promise<string[]> {
  try {
    const index = await loadObjectIndex(objects, { key: object.key, sizeBytes: object.sizeBytes, signal })
    if (index.objectId !== object.id) return [`the object says that it is ${index.objectId}`]
    const byPosition = new Map(index.runs.map((run) => [run.row.positionBytes, run]))
    return extents.filter((extent) => !isSameRun(extent, byPosition.get(extent.positionBytes), owners)).map(describeDifference)
  } catch (error) {
    if (error instanceof AppError && ['LOG_DAMAGED', 'UNSUPPORTED'].includes(error.code)) return [error.message]
    throw error
  }
}

/** Epochs may differ: an owner may have gained another one before the commit. So may ids of partitions after a rebuild, but not their names. */
function isSameRun(extent: ExtentRow, run: IndexedRun | undefined, owners: Context['owners']): boolean {
  if (run === undefined) return false
  const owner = owners.get(extent.partitionId)
  if (owner !== undefined && owner !== `${run.topicId}/${run.partition}`) return false
  const { baseOffset, lastOffset, lengthBytes, minTimestampMs, maxTimestampMs, batchCount, sparse } = run.row
  const indexed = { baseOffset, lastOffset, lengthBytes, minTimestampMs, maxTimestampMs, batchCount, sparse }
  return isDeepStrictEqual({ ...extent, ...indexed }, { ...extent })
}

function describeDifference({ partitionId, baseOffset, lastOffset, positionBytes }: ExtentRow): string {
  return `the index has not what the database has at byte ${positionBytes}: offsets ${baseOffset} to ${lastOffset} of partition ${partitionId}`
}

async function verifyBatches(
  { objects, signal }: Context,
  { object, extents }: CommittedObject,
  checked: Checked,
): Promise<void> {
  const [first] = extents
  if (first === undefined) return
  const range = { offsetBytes: first.positionBytes }
  const content = await objects.get(object.key, { range, ...(signal ? { signal } : {}) })
  await using cursor = new StreamCursor(content.stream)
  for (const extent of extents) {
    const { partitionId, baseOffset, lastOffset } = extent
    await cursor.pass(extent.positionBytes - first.positionBytes - cursor.pos)
    const { batches, faults } = await verifyRun(cursor, extent)
    checked.batches += batches
    checked.bytes += extent.lengthBytes
    for (const fault of faults) {
      checked.findings.push({ kind: 'damaged', ...placeOf(object), partitionId, baseOffset, lastOffset, ...fault })
    }
  }
}

function placeOf({ id: objectId, key: objectKey }: ObjectRow): ObjectPlace {
  return { objectId, objectKey }
}
