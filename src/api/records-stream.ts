import { AppError, toAppError } from '#lib/errors.ts'
import type { LogHub, LogTopic } from './log-hub.ts'
import type { ReadCursor } from './read-cursor.ts'
import { recordText, type ValueForm } from './records-output.ts'
import { readPage, type ReadMark, type RecordsPage } from './records-read.ts'
import { withNewPartitions } from './records-start.ts'

export type LineOptions = {
  /** Absent: no bound. */
  readonly limit: number | undefined
  readonly maxBytes: number
  readonly isFollowing: boolean
  readonly form: ValueForm
  readonly signal: AbortSignal
  /** A fault of ours that the client is told without its cause. */
  readonly onFault: (error: unknown) => void
}

/** Records read at once; a stream has about twice as much in memory. */
const recordsPerPage = 1000
/** A follower gets an empty line after this time without records: proxies close what is silent, and a client that is gone is found out. */
export const heartbeatMs = 15_000

/**
 * Records as lines of JSON: up to where the partitions ended at the start, or, following, until the client goes. Reads on only as fast as lines are taken.
 * Throws what reading throws as long as nothing was given; later it is told on a last line, `{ "error": { "code", "message", "details" } }`.
 */
export async function openLines(
  log: LogHub,
  topic: LogTopic,
  start: ReadCursor,
  options: LineOptions,
): Promise<AsyncIterable<string>> {
  const first = await readPage(log, topic, start, { ...limitsOf(options, options.limit), waitMs: 0 })
  return lines(log, topic, { first, isAll: start.isAll, options })
}

type Begun = { readonly first: RecordsPage; readonly isAll: boolean; readonly options: LineOptions }

async function* lines(log: LogHub, topic: LogTopic, begun: Begun): AsyncGenerator<string, void, undefined> {
  try {
    for await (const { records } of pages(log, topic, begun)) {
      yield records.map((record) => `${recordText(record, begun.options.form)}\n`).join('') || '\n'
    }
  } catch (thrown) {
    if (begun.options.signal.aborted) return
    const { code, message, details } = toAppError(thrown)
    if (code === 'INTERNAL') begun.options.onFault(thrown)
    const error = code === 'INTERNAL' ? { code, message: 'the server failed; its log says why' } : { code, message, details }
    yield `${JSON.stringify({ error })}\n`
  }
}

/** A page without records says that a follower waits. */
async function* pages(
  log: LogHub,
  topic: LogTopic,
  { first, isAll, options }: Begun,
): AsyncGenerator<RecordsPage, void, undefined> {
  const { isFollowing, signal } = options
  const ends = new Map(first.marks.map(({ partition, highWatermark }) => [partition, highWatermark]))
  let left = options.limit ?? Infinity
  for (let page = first; ;) {
    if (page.records.length > 0 || isFollowing) yield page
    left -= page.records.length
    if (signal.aborted || left <= 0 || (!isFollowing && page.marks.every((mark) => isAtEnd(mark, ends)))) return
    if (log.topics.get(topic.name).id !== topic.id) {
      throw new AppError('TOPIC_NOT_FOUND', `topic "${topic.name}" was deleted; another one has its name now`)
    }
    const positions = page.marks.map(({ partition, nextOffset }) => ({ partition, offset: nextOffset }))
    const cursor = isFollowing ? withNewPartitions(topic, { isAll, positions }) : { isAll, positions }
    page = await readPage(log, topic, cursor, { ...limitsOf(options, left), waitMs: isFollowing ? heartbeatMs : 0 })
  }
}

function limitsOf(
  { maxBytes, signal }: LineOptions,
  left: number | undefined,
): { limit: number; maxBytes: number; signal: AbortSignal } {
  return { limit: Math.min(left ?? recordsPerPage, recordsPerPage), maxBytes, signal }
}

function isAtEnd({ partition, nextOffset }: ReadMark, ends: ReadonlyMap<number, number>): boolean {
  return nextOffset >= (ends.get(partition) ?? 0)
}
