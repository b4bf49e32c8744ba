import type { consumeRequest, consumeResponse, position } from '#formats/protobuf/schemas/log-v1.ts'
import type { InputOf, ValueOf } from '#formats/protobuf/types.ts'
import { AppError } from '#lib/errors.ts'
import type { FetchedPartition, LogHub, LogPartition, LogTopic } from '../log-hub.ts'
import { pagesOf } from '../reading.ts'
import type { At } from '../route.ts'

/** Read from the log at a time, and about the size of an answer: clients refuse messages above 4 MiB unless told otherwise. */
const pageBytes = 1_048_576
/** How long one look for new records takes; then topics and partitions are looked at again. */
const followMs = 10_000
/** Where no new records are waited for: only for the case that those which are there cannot be read at once. */
const stepMs = 100

type Request = ValueOf<typeof consumeRequest>
type Position = ValueOf<typeof position>
type Send = (value: InputOf<typeof consumeResponse>) => Promise<void>

/** Where a partition is read, and where reading ends. */
type Place = { readonly partition: number; offset: number; readonly endOffset: number }

/** Sends a topic from the wanted positions on; each answer when the client has taken most of those before it. */
export async function consume(request: Request, { call, context }: At, send: Send): Promise<void> {
  const { hub } = context
  const consumption = await Consumption.start(request, hub)
  while (!consumption.isDone) {
    const request = consumption.next()
    using room = new DisposableStack()
    // Who waits for what comes holds no room meanwhile.
    const hasUnread = consumption.hasUnread()
    if (hasUnread) room.use(await call.reserveAnswer(pageBytes))
    const { signal } = call
    const fetched = await hub.fetch({ ...request, signal })
    if (!hasUnread && fetched.some(({ batches }) => batches.length > 0)) room.use(await call.reserveAnswer(pageBytes))
    for (const partition of fetched) {
      if (partition.error) throw partition.error
      for (const answer of consumption.take(partition)) await send(answer)
    }
    signal.throwIfAborted()
  }
}

class Consumption {
  readonly #request: Request
  readonly #hub: LogHub
  readonly #topic: LogTopic
  readonly #places: Place[]
  readonly #isWhole: boolean
  #leftRecords: number
  #rounds = 0

  private constructor(request: Request, { hub, topic, places }: { hub: LogHub; topic: LogTopic; places: Place[] }) {
    this.#request = request
    this.#hub = hub
    this.#topic = topic
    this.#places = places
    this.#isWhole = request.partitions.length === 0
    this.#leftRecords = request.maxRecords === 0 ? Infinity : request.maxRecords
  }

  /** Finds where to begin. Throws `TOPIC_NOT_FOUND`, `PARTITION_NOT_FOUND`, `OFFSET_OUT_OF_RANGE`, and what looking for a time throws. */
  static async start(request: Request, hub: LogHub): Promise<Consumption> {
    const topic = hub.topics.get(request.topic)
    const wanted = new Map(
      request.partitions.length === 0
        ? topic.partitions.map(({ index }) => [index, request.start])
        : request.partitions.map(({ partition, start }) => [partition, start ?? request.start]),
    )
    const places: Place[] = []
    for (const [index, start] of wanted) {
      const partition = partitionOf(topic, index)
      const endOffset = request.follow ? Infinity : partition.highWatermark
      places.push({ partition: index, offset: await offsetOf(start, { hub, topic, partition }), endOffset })
    }
    return new Consumption(request, { hub, topic, places })
  }

  get isDone(): boolean {
    return this.#leftRecords <= 0 || this.#places.every(isAtEnd)
  }

  /** Something that is wanted is there already. */
  hasUnread(): boolean {
    const { partitions } = this.#hub.topics.get(this.#topic.name)
    return this.#places.some((place) => !isAtEnd(place) && place.offset < (partitions[place.partition]?.highWatermark ?? 0))
  }

  /** What to read next: every partition in its turn comes first. Throws `TOPIC_NOT_FOUND`. */
  next(): Parameters<LogHub['fetch']>[0] {
    this.#lookAgain()
    const open = this.#places.filter((place) => !isAtEnd(place))
    const first = this.#rounds++ % open.length
    const ordered = [...open.slice(first), ...open.slice(0, first)]
    return {
      partitions: ordered.map(({ partition, offset }) => ({ topic: this.#topic.name, partition, offset, maxBytes: pageBytes })),
      maxBytes: pageBytes,
      minBytes: 1,
      maxWaitMs: this.#request.follow ? followMs : stepMs,
    }
  }

  *take({ partition, batches, highWatermark }: FetchedPartition): Generator<InputOf<typeof consumeResponse>> {
    const place = this.#places.find((one) => one.partition === partition)
    if (!place) return
    const { format } = this.#request
    const limits = { format, fromOffset: place.offset, endOffset: place.endOffset, maxRecords: this.#leftRecords, pageBytes }
    for (const { records, recordBatches, recordCount, nextOffset } of pagesOf(batches, limits)) {
      place.offset = nextOffset
      this.#leftRecords -= recordCount
      yield { partition, records, recordBatches, nextOffset, highWatermark }
    }
  }

  /** Partitions that were added belong to the topic; another topic of the same name is another one. */
  #lookAgain(): void {
    const { id, partitions } = this.#hub.topics.get(this.#topic.name)
    if (id !== this.#topic.id) throw new AppError('TOPIC_NOT_FOUND', `topic "${this.#topic.name}" was deleted, and made anew`)
    if (!this.#isWhole || !this.#request.follow) return
    for (const { index } of partitions.slice(this.#places.length))
      this.#places.push({ partition: index, offset: 0, endOffset: Infinity })
  }
}

function isAtEnd({ offset, endOffset }: Place): boolean {
  return offset >= endOffset
}

async function offsetOf(
  start: Position | undefined,
  { hub, topic, partition }: { hub: LogHub; topic: LogTopic; partition: LogPartition },
): Promise<number> {
  const { logStart, highWatermark } = partition
  switch (start?.at?.kind) {
    case undefined:
      return logStart
    case 'bound':
      return start.at.value === 'BOUND_LATEST' ? highWatermark : logStart
    case 'offset':
      return checkOffset(start.at.value, { topic, partition })
    case 'timestampMs': {
      const ref = { topic: topic.name, partition: partition.index }
      const { offset } = await hub.findOffset(ref, start.at.value)
      return offset < 0 ? highWatermark : offset
    }
  }
}

function checkOffset(offset: number, { topic, partition }: { topic: LogTopic; partition: LogPartition }): number {
  const { index, logStart, highWatermark } = partition
  if (offset >= logStart && offset <= highWatermark) return offset
  const message = `offset ${offset} of partition ${index} of topic "${topic.name}" is not between ${logStart} and ${highWatermark}`
  throw new AppError('OFFSET_OUT_OF_RANGE', message)
}

function partitionOf(topic: LogTopic, index: number): LogPartition {
  const partition = topic.partitions[index]
  if (partition) return partition
  const message = `topic "${topic.name}" has no partition ${index}; it has ${topic.partitions.length}, from 0`
  throw new AppError('PARTITION_NOT_FOUND', message)
}
