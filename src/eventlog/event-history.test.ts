import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { EventHistory, type EventRecord, truncatedType } from './event-history.ts'

const clock = new ManualClock(1000)
const online = (subject: string) => ({ type: 'stream.online', subject, data: { source: 'publish' } })

function historyOf(count: number, bounds: { maxCount?: number; maxBytes?: number } = {}): EventHistory {
  const history = new EventHistory({ clock, ...bounds })
  for (let i = 0; i < count; i++) history.append(online(`s${i}`))
  return history
}

async function take(records: AsyncIterable<EventRecord>, count: number): Promise<EventRecord[]> {
  const taken: EventRecord[] = []
  for await (const record of records) if (taken.push(record) === count) break
  return taken
}

test('an event gets the next sequence, counted from the wall clock, and its time', () => {
  const history = new EventHistory({ clock })
  assert.deepEqual(history.append(online('a')), { sequence: 1000, at: '1970-01-01T00:00:01.000Z', ...online('a') })
  assert.equal(history.append(online('b')).sequence, 1001)
  assert.equal(history.nextSequence, 1002)
})

test('pages follow one another without gap or overlap', async () => {
  const history = historyOf(5)
  const first = await history.read({ from: 0, limit: 2 })
  assert.deepEqual([first.items.map(({ subject }) => subject), first.next], [['s0', 's1'], 1002])
  const second = await history.read({ from: first.next, limit: 10 })
  assert.deepEqual([second.items.map(({ subject }) => subject), second.next], [['s2', 's3', 's4'], 1005])
  assert.deepEqual((await history.read({ from: second.next, limit: 10 })).items, [])
})

for (const [name, from, isTruncated, start] of [
  ['the oldest kept by 0', 0, false, 1003],
  ['a kept one', 1005, false, 1005],
  ['the next one', 1008, false, undefined],
  ['one that was discarded', 1001, true, 1003],
  ['one that was never given out', 5000, true, 1003],
] as const) {
  test(`reading from ${name} ${isTruncated ? 'says that history is lost' : 'is plain'}`, async () => {
    const page = await historyOf(8, { maxCount: 5 }).read({ from, limit: 100 })
    assert.deepEqual([page.isTruncated, page.items[0]?.sequence, page.oldestSequence], [isTruncated, start, 1003])
  })
}

test('the history is bounded by count and by bytes', () => {
  const byCount = historyOf(1000, { maxCount: 10 })
  assert.equal(byCount.nextSequence - byCount.oldestSequence, 10)
  const byBytes = historyOf(1000, { maxBytes: 5000 })
  assert.ok(byBytes.sizeBytes <= 5000 && byBytes.nextSequence - byBytes.oldestSequence > 5)
})

test('a follower gets the history from where it asks, then what happens', async () => {
  const history = historyOf(3)
  const abort = new AbortController()
  const taken = take(history.follow({ from: 1001, signal: abort.signal }), 3)
  setImmediate(() => history.append(online('later')))
  assert.deepEqual(
    (await taken).map(({ subject }) => subject),
    ['s1', 's2', 'later'],
  )
})

test('a follower without a place gets only what happens from now', async () => {
  const history = historyOf(3)
  const taken = take(history.follow({ signal: new AbortController().signal }), 1)
  setImmediate(() => history.append(online('later')))
  assert.equal((await taken)[0]?.subject, 'later')
})

test('a follower that is too slow is told what it lost and goes on with the oldest kept', async () => {
  const history = historyOf(2, { maxCount: 4 })
  const followed = history.follow({ from: 0, signal: new AbortController().signal })
  const iterator = followed[Symbol.asyncIterator]()
  assert.equal((await iterator.next()).value?.sequence, 1000)
  assert.equal((await iterator.next()).value?.sequence, 1001)
  for (let i = 0; i < 10; i++) history.append(online(`burst${i}`))
  const lost = (await iterator.next()).value
  assert.deepEqual([lost?.type, lost?.sequence, lost?.data], [truncatedType, 1007, { from: 1002, oldestSequence: 1008 }])
  assert.equal((await iterator.next()).value?.subject, 'burst6')
  await iterator.return()
})

test('a follower ends when its signal fires, waiting or not', async () => {
  const history = historyOf(1)
  const abort = new AbortController()
  const ended = take(history.follow({ from: 0, signal: abort.signal }), 100)
  setImmediate(() => {
    abort.abort()
  })
  assert.equal((await ended).length, 1)
  assert.equal((await take(history.follow({ from: 0, signal: abort.signal }), 100)).length, 0)
})
