import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { until } from '../../../../test/support/until.ts'
import { ApiError } from '../api.ts'
import type { RecordPage, RecordsQuery } from './log-api.ts'
import { RecordTail, type TailPlace, type TailView } from './record-tail.ts'

const newest: TailPlace = { start: { kind: 'newest' }, partition: undefined }
const earliest: TailPlace = { start: { kind: 'earliest' }, partition: undefined }

/** A topic in memory that answers as the API does; a cursor is the offsets in JSON. */
class MemoryTopic {
  readonly queries: RecordsQuery[] = []
  readonly #partitions: string[][]
  readonly #logStart: number
  readonly #waiting = new Set<() => void>()
  failWith: Error | undefined

  constructor(partitionCount: number, { logStart = 0 } = {}) {
    this.#partitions = Array.from({ length: partitionCount }, () => [])
    this.#logStart = logStart
  }

  add(partition: number, ...values: readonly string[]): void {
    for (const value of values) this.#partitions[partition]?.push(value)
    for (const wake of this.#waiting) wake()
  }

  async load(query: RecordsQuery, signal: AbortSignal): Promise<RecordPage> {
    this.queries.push(query)
    if (this.failWith) throw this.failWith
    const offsets = this.#offsetsOf(query)
    if (query.waitMs !== undefined && this.#isAtEnd(offsets)) await this.#untilMore(signal)
    signal.throwIfAborted()
    return this.#page(offsets, query.limit)
  }

  #offsetsOf({ cursor, partition, offset, at }: RecordsQuery): Map<number, number> {
    if (cursor !== undefined) {
      const pairs: [number, number][] = JSON.parse(cursor)
      return new Map(pairs)
    }
    const indexes = partition === undefined ? this.#partitions.keys() : [partition]
    const first = offset ?? (at === 'latest' ? Infinity : this.#logStart)
    if (first < this.#logStart) {
      const partitions = [{ partition, offset: first, logStartOffset: this.#logStart }]
      const details = { partitions, nextCursor: JSON.stringify([[partition, this.#logStart]]) }
      throw new ApiError('too old', { code: 'OFFSET_OUT_OF_RANGE', details })
    }
    return new Map([...indexes].map((index) => [index, Math.min(first, this.#partitions[index]?.length ?? 0)]))
  }

  #page(offsets: Map<number, number>, limit: number): RecordPage {
    const records: RecordPage['records'] = []
    const marks = [...offsets].map(([partition, from]) => {
      const values = this.#partitions[partition] ?? []
      const taken = values.slice(from, from + limit - records.length)
      const timestamp = '2026-11-21T12:00:00.000Z'
      records.push(...taken.map((value, at) => ({ partition, offset: from + at, timestamp, key: null, value, headers: [] })))
      const nextOffset = from + taken.length
      return { partition, nextOffset, highWatermark: values.length, logStartOffset: this.#logStart }
    })
    const nextCursor = JSON.stringify(marks.map(({ partition, nextOffset }) => [partition, nextOffset]))
    return { records, nextCursor, partitions: marks }
  }

  #isAtEnd(offsets: Map<number, number>): boolean {
    return [...offsets].every(([partition, offset]) => offset >= (this.#partitions[partition]?.length ?? 0))
  }

  async #untilMore(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.add(resolve)
      signal.addEventListener('abort', () => resolve())
    })
    this.#waiting.clear()
  }
}

/** A tail of the topic that runs, and what it shows. Its waits last as long as the test does. */
function openTail(topic: MemoryTopic, place: TailPlace): { tail: RecordTail; view: () => TailView; values: () => string[] } {
  let view: TailView | undefined
  const tail = new RecordTail({
    load: (query, signal) => topic.load(query, signal),
    wait: () => turn(),
    onChange: (next) => (view = next),
  })
  tail.open(place)
  tail.setWanted(true)
  const shown = (): TailView => {
    assert.ok(view)
    return view
  }
  return { tail, view: shown, values: () => shown().rows.map(({ value }) => (value.kind === 'text' ? value.text : '')) }
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `r${from + index}`)
}

test('a live tail begins with the newest records and shows what comes', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, ...numbered(0, 200))
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  assert.deepEqual(values(), numbered(150, 200))
  topic.add(0, 'r200')
  await until(() => values().length === 51)
  assert.equal(values().at(-1), 'r200')
  tail.setWanted(false)
})

test('the newest records of several partitions are all there once', async () => {
  const topic = new MemoryTopic(3)
  topic.add(0, 'a')
  topic.add(2, 'b', 'c')
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  assert.deepEqual(values().toSorted(), ['a', 'b', 'c'])
  tail.setWanted(false)
})

test('no more than 500 rows are kept; the oldest go', async () => {
  const topic = new MemoryTopic(1)
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  for (let from = 0; from < 1000; from += 100) {
    topic.add(0, ...numbered(from, from + 100))
    await until(() => view().readCount === from + 100)
  }
  assert.deepEqual(values(), numbered(500, 1000))
  tail.setWanted(false)
})

test('large records are fewer rows', async () => {
  const topic = new MemoryTopic(1)
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  for (let index = 0; index < 8; index++) {
    topic.add(0, `${index}`.repeat(5_000_000))
    await until(() => view().readCount === index + 1)
  }
  assert.deepEqual(
    values().map((value) => value[0]),
    ['5', '6', '7'],
  )
  tail.setWanted(false)
})

test('reading from the beginning stops when the list is full, and goes on when asked, up to the end', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, ...numbered(0, 1100))
  const { tail, view, values } = openTail(topic, earliest)
  await until(() => view().phase === 'full')
  assert.deepEqual(values(), numbered(0, 500))
  assert.equal(view().behindCount, 600)
  tail.goOn()
  await until(() => view().phase === 'full')
  assert.deepEqual(values(), numbered(500, 1000))
  tail.goOn()
  await until(() => view().phase === 'following')
  assert.deepEqual(values(), numbered(1000, 1100))
  topic.add(0, 'new')
  await until(() => values().at(-1) === 'new')
  tail.setWanted(false)
})

test('a filter from the beginning searches all there is', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, ...numbered(0, 3000))
  const { tail, view, values } = openTail(topic, earliest)
  tail.filter({ text: 'R29', key: '' })
  await until(() => view().phase === 'following')
  assert.equal(values().length, 111)
  assert.equal(view().readCount, 3000)
  tail.setWanted(false)
})

test('a filter sifts the live tail, which has all again without it', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, 'apple', 'pear')
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  tail.filter({ text: 'pea', key: '' })
  assert.deepEqual(values(), ['pear'])
  topic.add(0, 'plum', 'peach')
  await until(() => view().readCount === 4)
  assert.deepEqual(values(), ['pear', 'peach'])
  tail.filter({ text: '', key: '' })
  assert.deepEqual(values(), ['apple', 'pear', 'peach'])
  tail.setWanted(false)
})

test('at rest nothing is asked for, and it goes on where it was', async () => {
  const topic = new MemoryTopic(1)
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  tail.setWanted(false)
  await turn()
  const asked = topic.queries.length
  topic.add(0, 'a', 'b')
  await turn()
  assert.equal(topic.queries.length, asked)
  tail.setWanted(true)
  await until(() => values().length === 2)
  tail.setWanted(false)
})

test('a live tail that falls far behind begins again at the end, and says so', async () => {
  const topic = new MemoryTopic(1)
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().phase === 'following')
  topic.add(0, ...numbered(0, 5000))
  await until(() => values().at(-1) === 'r4999')
  assert.deepEqual(values(), numbered(4950, 5000))
  assert.match(view().note, /^4,950 passed over/)
  tail.setWanted(false)
})

test('what was deleted meanwhile is told, and reading goes on behind it', async () => {
  const topic = new MemoryTopic(1, { logStart: 5 })
  topic.add(0, ...numbered(0, 10))
  const { tail, view, values } = openTail(topic, { start: { kind: 'offset', offset: 2 }, partition: 0 })
  await until(() => view().phase === 'following')
  assert.deepEqual(values(), numbered(5, 10))
  assert.equal(view().note, '3 were deleted before they were read.')
  tail.setWanted(false)
})

test('it comes back when the server does, and gives up when the topic is gone', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, 'a')
  topic.failWith = new Error('Millrace does not answer')
  const { tail, view, values } = openTail(topic, newest)
  await until(() => view().problem === 'Millrace does not answer')
  topic.failWith = undefined
  await until(() => values().length === 1)
  assert.equal(view().problem, '')
  topic.failWith = new ApiError('there is no topic "t"', { code: 'TOPIC_NOT_FOUND' })
  topic.add(0, 'b')
  tail.open(newest)
  await until(() => view().phase === 'failed')
  const asked = topic.queries.length
  await turn()
  assert.equal(topic.queries.length, asked)
  tail.setWanted(false)
})

test('what fits is shown without a stop', async () => {
  const topic = new MemoryTopic(1)
  topic.add(0, ...numbered(0, 500))
  const { tail, view, values } = openTail(topic, earliest)
  await until(() => view().phase === 'following')
  assert.equal(values().length, 500)
  tail.setWanted(false)
})
