import { Type } from 'typebox'
import { topicParamsSchema, type RecordPage, type RecordView } from '#api/log-contract.ts'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { AppError } from '#lib/errors.ts'
import { apiOptions } from './api-options.ts'
import { isAbort, openClient } from './client.ts'
import { defineCommand } from './command.ts'
import { formatTime } from './format.ts'
import { LogClient, type RecordQuery } from './log-client.ts'
import type { Terminal } from './terminal.ts'
import { parseTimeMs } from './time-argument.ts'

/** Records asked for at once. */
const pageSize = 1000
/** How long the server may wait for a record before it answers that there is none. */
const followWaitMs = 20_000

export const consume = defineCommand({
  name: 'consume',
  summary: 'Print the records of a topic',
  details:
    'Ends at the end of the topic, or with --follow at Ctrl+C. With --group it begins where the group has committed, and commits what was printed; --from is for partitions where nothing is committed.',
  arguments: Type.Object({ topic: topicParamsSchema.properties.name }),
  options: Type.Object({
    ...apiOptions,
    json: Type.Boolean({ default: false, description: 'Print one JSON object a line' }),
    follow: Type.Boolean({ default: false, short: 'f', description: 'Go on with what comes' }),
    from: Type.String({
      default: 'earliest',
      minLength: 1,
      placeholder: 'place',
      description: 'earliest, latest, an offset (with --partition), or a time: "2026-01-02 10:00", "2h ago"',
    }),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, short: 'n', placeholder: 'count', description: 'Stop after so many records' }),
    ),
    partition: Type.Optional(Type.Integer({ minimum: 0, short: 'p', placeholder: 'number', description: 'Only this one' })),
    group: Type.Optional(
      Type.String({ minLength: 1, short: 'g', placeholder: 'name', description: 'Read as this consumer group' }),
    ),
  }),
  async run({ arguments: { topic }, options, terminal, environment, clock, signal }) {
    const { partition, group, limit = Infinity, follow, json } = options
    const query = {
      ...placeOf(options.from, { partition, nowMs: clock.nowMs() }),
      ...(partition === undefined ? {} : { partition }),
      ...(group === undefined ? {} : { group }),
    }
    const client = new LogClient(openClient(options, environment))
    const onTrouble = (message: string): void => terminal.writeError(`${message}\n`)
    const committed = new Map<number, number>()
    for await (const page of pages({ client, topic, query, limit, isFollowing: follow, signal, onTrouble })) {
      terminal.write(page.records.map((record) => lineOf(record, { json, terminal })).join(''))
      if (group !== undefined) await commit(client, { topic, group, page, committed })
    }
  },
})

/** Where to begin, as the API wants it. */
function placeOf(from: string, { partition, nowMs }: { partition: number | undefined; nowMs: number }): RecordQuery {
  if (from === 'earliest' || from === 'latest') return { at: from }
  if (/^\d{1,15}$/.test(from)) {
    if (partition === undefined)
      throw new AppError('USAGE', `--from ${from} is an offset, and each partition has its own; name one with --partition`)
    return { offset: Number(from) }
  }
  return { at: new Date(parseTimeMs(from, nowMs)).toISOString() }
}

type Reading = {
  readonly client: LogClient
  readonly topic: string
  readonly query: RecordQuery
  readonly limit: number
  readonly isFollowing: boolean
  readonly signal: AbortSignal
  readonly onTrouble: (message: string) => void
}

/** Page after page up to where the topic ended at the start, or, following, until the signal fires. A follower asks again when the server is away. */
async function* pages({
  client,
  topic,
  query,
  limit,
  isFollowing,
  signal,
  onTrouble,
}: Reading): AsyncGenerator<RecordPage, void> {
  const backoff = new Backoff({ firstMs: 500, maxMs: 15_000 })
  let next = query
  let left = limit
  let ends: ReadonlyMap<number, number> | undefined
  while (left > 0) {
    const wanted = { ...next, limit: Math.min(left, pageSize), waitMs: isFollowing ? followWaitMs : 0 }
    try {
      const page = await client.readRecords(topic, wanted, signal)
      backoff.reset()
      yield page
      left -= page.records.length
      ends ??= new Map(page.partitions.map(({ partition, highWatermark }) => [partition, highWatermark]))
      if (!isFollowing && isAtEnd(page, ends)) return
      next = { cursor: page.nextCursor }
    } catch (error) {
      if (isFollowing && isAbort(error)) return
      const isAway = error instanceof AppError && error.code === 'API_UNREACHABLE'
      // What cannot be reached from the start is a mistake.
      if (!isFollowing || !isAway || next === query) throw error
      if (backoff.attempts === 0) onTrouble(error.message)
      if (!(await sleep(backoff.nextMs(), signal))) return
    }
  }
}

function isAtEnd({ partitions }: RecordPage, ends: ReadonlyMap<number, number>): boolean {
  return partitions.every(({ partition, nextOffset }) => nextOffset >= (ends.get(partition) ?? 0))
}

type Commit = {
  readonly topic: string
  readonly group: string
  readonly page: RecordPage
  readonly committed: Map<number, number>
}

/** Commits where the printed records end, for the partitions that had any. */
async function commit(client: LogClient, { topic, group, page, committed }: Commit): Promise<void> {
  const printed = new Set(page.records.map(({ partition }) => partition))
  const offsets = page.partitions
    .filter(({ partition, nextOffset }) => printed.has(partition) && committed.get(partition) !== nextOffset)
    .map(({ partition, nextOffset }) => ({ partition, offset: nextOffset }))
  if (offsets.length === 0) return
  await client.commitOffsets(group, { topic, offsets })
  for (const { partition, offset } of offsets) committed.set(partition, offset)
}

function lineOf(record: RecordView, { json, terminal }: { json: boolean; terminal: Terminal }): string {
  if (json) return `${JSON.stringify(record)}\n`
  const { partition, offset, timestamp, key, value } = record
  const time = timestamp === undefined ? '-' : formatTime(timestamp)
  const place = terminal.color('dim', `${time}  ${partition}:${offset}`)
  return `${place}  ${terminal.color('bold', shown(key, '-'))}  ${shown(value, terminal.color('dim', '(deleted)'))}\n`
}

/** One line, whatever is in it. */
function shown(item: unknown, otherwise: string): string {
  if (item === null) return otherwise
  const text = typeof item === 'string' ? item : JSON.stringify(item)
  return text.replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}
