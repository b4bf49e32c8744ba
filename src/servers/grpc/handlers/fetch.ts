import type { fetchedPartition, fetchRequest, fetchResponse } from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import { AppError } from '#lib/errors.ts'
import type { GrpcContext } from '../context.ts'
import type { FetchedPartition } from '../log-hub.ts'
import { pagesOf, type Format } from '../reading.ts'
import type { At } from '../route.ts'

const defaultMaxBytes = 1_048_576
const maxWaitMs = 60_000
const maxPositions = 10_000

type Request = ValueOf<typeof fetchRequest>

/** Reads one page, and waits for it when there is too little. */
export async function fetch(request: Request, { call, context }: At): Promise<InputOf<typeof fetchResponse>> {
  const { positions, format } = request
  if (positions.length === 0 || positions.length > maxPositions) {
    throw new AppError('MALFORMED', `the request has ${positions.length} positions; name 1 to ${maxPositions}`)
  }
  const maxBytes = Math.min(request.maxBytes === 0 ? defaultMaxBytes : request.maxBytes, context.settings.maxMessageBytes)
  using room = new DisposableStack()
  // Who waits for what comes holds no room meanwhile.
  const hasUnread = positions.some((position) => isUnread(position, context))
  if (hasUnread) room.use(await call.reserveAnswer(maxBytes))
  const fetched = await context.hub.fetch({
    partitions: positions.map((position) => ({ ...position, maxBytes })),
    maxBytes,
    minBytes: Math.min(Math.max(1, request.minBytes), maxBytes),
    maxWaitMs: Math.min(request.maxWaitMs, maxWaitMs),
    signal: call.signal,
  })
  if (!hasUnread && fetched.some(({ batches }) => batches.length > 0)) room.use(await call.reserveAnswer(maxBytes))
  return { partitions: readPage(fetched, { positions, format, maxBytes }) }
}

function isUnread({ topic, partition, offset }: Request['positions'][number], { hub }: GrpcContext): boolean {
  const found = hub.topics.find(topic)?.partitions[partition]
  return found !== undefined && offset < found.highWatermark
}

type Limits = { readonly positions: Request['positions']; readonly format: Format; readonly maxBytes: number }

/** What was compressed in the log may not fit into the answer; the first record always does. */
function readPage(
  fetched: readonly FetchedPartition[],
  { positions, format, maxBytes }: Limits,
): InputOf<typeof fetchedPartition>[] {
  let isFull = false
  return fetched.map(({ topic, partition, batches, highWatermark, logStartOffset, error }, index) => {
    const fromOffset = positions[index]?.offset ?? 0
    const marks = { topic, partition, highWatermark, logStartOffset, nextOffset: fromOffset }
    if (error) return { ...marks, error: { code: error.code, message: error.message } }
    if (isFull) return marks
    const limits = { format, fromOffset, endOffset: Infinity, maxRecords: Infinity, pageBytes: maxBytes }
    const pages = pagesOf(batches, limits)
    const first = pages.next()
    if (first.done) return marks
    isFull = !pages.next().done
    const { records, recordBatches, nextOffset } = first.value
    return { ...marks, records, recordBatches, nextOffset }
  })
}
