import { toAppError, type AppError } from '#lib/errors.ts'
import type { Timers } from '#lib/timers.ts'
import type { LogReader } from './log-reader.ts'
import type { Partition } from './partition.ts'
import type { Topics } from './topics.ts'

/** Where to read on in a partition, and how much at most. */
export type FetchPosition = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly maxBytes: number
}

/** What to read, and how long to wait for at least `minBytes` of it. */
export type FetchRequest = {
  readonly partitions: readonly FetchPosition[]
  readonly maxBytes: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly signal?: AbortSignal
}

/** Whole record batches of a partition, in order; the first may begin before the offset asked for. A fault of one partition is its own. */
export type FetchedPartition = {
  readonly topic: string
  readonly partition: number
  readonly batches: readonly Buffer[]
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly error?: AppError
}

type Deps = { readonly topics: Topics; readonly reader: LogReader; readonly timers: Timers }

/** Reads many partitions at once; when there is too little it waits until there is more, the time is over, or the signal fires (a long poll). */
export async function fetchPartitions(deps: Deps, request: FetchRequest): Promise<FetchedPartition[]> {
  using arrivals = new Arrivals(deps.topics, request)
  const found = await collect(deps, request)
  const foundBytes = found.reduce((sum, { batches }) => sum + sizeOf(batches), 0)
  const missingBytes = Math.max(1, request.minBytes) - foundBytes
  const hasError = found.some(({ error }) => error)
  if (hasError || request.minBytes <= foundBytes || request.maxWaitMs <= 0 || request.signal?.aborted) return found
  await arrivals.wait(deps.timers, { missingBytes, request })
  return await collect(deps, request)
}

async function collect({ topics, reader }: Deps, request: FetchRequest): Promise<FetchedPartition[]> {
  const { partitions, maxBytes, signal } = request
  const found: FetchedPartition[] = []
  let leftBytes = maxBytes
  for (const position of partitions) {
    const fetched = await readOne({ topics, reader }, { ...position, maxBytes: Math.min(position.maxBytes, leftBytes) }, signal)
    // Only the first batch of the whole answer may be above the limit, or else a consumer with a small one would never get on.
    const isTooMuch = leftBytes < maxBytes && sizeOf(fetched.batches) > leftBytes
    found.push(isTooMuch ? { ...fetched, batches: [] } : fetched)
    if (!isTooMuch) leftBytes -= sizeOf(fetched.batches)
  }
  return found
}

async function readOne(
  { topics, reader }: Omit<Deps, 'timers'>,
  { topic: topicName, partition: index, offset, maxBytes }: FetchPosition,
  signal: AbortSignal | undefined,
): Promise<FetchedPartition> {
  const place = { topic: topicName, partition: index }
  let partition: Partition | undefined
  try {
    partition = topics.get(topicName).partition(index)
    const batches = maxBytes > 0 ? await reader.read(partition, { offset, maxBytes, signal }) : []
    partition.countFetched(batches)
    return { ...place, batches, ...marksOf(partition) }
  } catch (thrown) {
    return { ...place, batches: [], ...marksOf(partition), error: toAppError(thrown) }
  }
}

function marksOf(partition: Partition | undefined): { highWatermark: number; logStartOffset: number } {
  return { highWatermark: partition?.highWatermark ?? -1, logStartOffset: partition?.logStart ?? -1 }
}

/** Counts what becomes readable, from before the first look on: what comes between that and the wait is not slept through. */
class Arrivals implements Disposable {
  readonly #stack = new DisposableStack()
  #bytes = 0
  #hasFault = false
  #onChange: () => void = () => undefined

  constructor(topics: Topics, { partitions }: FetchRequest) {
    for (const { topic, partition } of partitions) {
      const watched = topics.find(topic)?.partitions[partition]
      if (watched) this.#stack.use(watched.watch((bytes) => this.#add(bytes)))
    }
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }

  /** Until so much has come, something has failed, the time is over, or the signal has fired. */
  async wait(timers: Timers, { missingBytes, request }: { missingBytes: number; request: FetchRequest }): Promise<void> {
    using stack = new DisposableStack()
    await new Promise<void>((resolve) => {
      this.#onChange = () => {
        if (this.#hasFault || this.#bytes >= missingBytes) resolve()
      }
      this.#onChange()
      stack.use(timers.after(request.maxWaitMs, resolve))
      const onAbort = (): void => resolve()
      request.signal?.addEventListener('abort', onAbort)
      stack.defer(() => request.signal?.removeEventListener('abort', onAbort))
    })
  }

  #add(bytes: number): void {
    this.#hasFault ||= bytes === 0
    this.#bytes += bytes
    this.#onChange()
  }
}

function sizeOf(batches: readonly Buffer[]): number {
  return batches.reduce((sum, { length }) => sum + length, 0)
}
