import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { decodeBatch } from '#formats/kafka/records.ts'
import { systemClock } from '#lib/clock.ts'
import { systemTimers } from '#lib/timers.ts'
import { openLog, type OpenedLog } from '../../../test/support/log-agent.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { truncatedType, type EventRecord } from '../event-log.ts'
import { eventsTopic, PlatformEvents } from './platform-events.ts'

const hourMs = 3_600_000
const place = { topic: eventsTopic, partition: 0 } as const
const online = (subject: string) => ({ type: 'stream.online', subject, data: { source: 'publish' } })

function openEvents({ agent }: OpenedLog): Promise<PlatformEvents> {
  let ids = 0
  return PlatformEvents.open({
    agent,
    source: '/millrace',
    retentionMs: hourMs,
    clock: systemClock,
    timers: systemTimers,
    newId: () => String(ids++),
    random: () => 0.5,
    log: pino({ level: 'silent' }),
  })
}

async function appendAll({ agent }: OpenedLog, events: PlatformEvents, subjects: readonly string[]): Promise<void> {
  const end = () => agent.topics.get(eventsTopic).partition(0).highWatermark
  const wanted = end() + subjects.length
  for (const subject of subjects) events.append(online(subject))
  await until(() => end() === wanted)
}

async function take(records: AsyncIterable<EventRecord>, count: number): Promise<EventRecord[]> {
  const taken: EventRecord[] = []
  for await (const record of records) if (taken.push(record) === count) break
  return taken
}

test('an event is a CloudEvent under the key of its subject', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await using events = await openEvents(log)
  await appendAll(log, events, ['lobby'])
  const partitions = [{ ...place, offset: 0, maxBytes: 10_000 }]
  const [fetched] = await log.agent.fetch({ partitions, maxBytes: 10_000, minBytes: 0, maxWaitMs: 0 })
  const [record] = (fetched?.batches ?? []).flatMap((batch) => decodeBatch(batch))
  assert.equal(String(record?.key), 'lobby')
  const { time, ...event } = JSON.parse(String(record?.value))
  assert.equal(new Date(time).getTime(), record?.timestampMs)
  assert.deepEqual(event, {
    specversion: '1.0',
    id: '0',
    source: '/millrace',
    type: 'stream.online',
    subject: 'lobby',
    datacontenttype: 'application/json',
    data: { source: 'publish' },
  })
})

test('pages follow one another without gap or overlap, also over a restart', async () => {
  await using directory = await temporaryDirectory()
  {
    await using log = await openLog({ directory: directory.path })
    await using events = await openEvents(log)
    await appendAll(log, events, ['a', 'b', 'c'])
    const first = await events.read({ from: 0, limit: 2 })
    assert.deepEqual([first.items.map(({ subject }) => subject), first.next], [['a', 'b'], 2])
    const second = await events.read({ from: first.next, limit: 10 })
    assert.deepEqual([second.items.map(({ subject }) => subject), second.next], [['c'], 3])
  }
  await using log = await openLog({ directory: directory.path })
  await using events = await openEvents(log)
  await appendAll(log, events, ['d'])
  const { items, oldestSequence, nextSequence } = await events.read({ from: 0, limit: 100 })
  assert.deepEqual(
    items.map(({ sequence, subject }) => [sequence, subject]),
    [
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ],
  )
  assert.deepEqual([oldestSequence, nextSequence], [0, 4])
})

test('who asks for what is deleted, or never was, is told so', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await using events = await openEvents(log)
  await appendAll(log, events, ['a', 'b', 'c', 'd'])
  await log.agent.deleteRecords(place, 2)
  for (const [from, isTruncated] of [
    [0, false],
    [1, true],
    [2, false],
    [4, false],
    [99, true],
  ] as const) {
    assert.equal((await events.read({ from, limit: 1 })).isTruncated, isTruncated, String(from))
  }
  const followed = await take(events.follow({ from: 1, signal: new AbortController().signal }), 3)
  assert.deepEqual(
    followed.map(({ sequence, type, subject }) => [sequence, type, subject]),
    [
      [1, truncatedType, 'events'],
      [2, 'stream.online', 'c'],
      [3, 'stream.online', 'd'],
    ],
  )
})

test('a follower gets what is there and what comes, until it leaves', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await using events = await openEvents(log)
  await appendAll(log, events, ['a'])
  const leaving = new AbortController()
  const all = take(events.follow({ from: 0, signal: leaving.signal }), 3)
  const fromNow = take(events.follow({ signal: leaving.signal }), 99)
  await appendAll(log, events, ['b'])
  await appendAll(log, events, ['c'])
  assert.deepEqual(
    (await all).map(({ subject }) => subject),
    ['a', 'b', 'c'],
  )
  leaving.abort()
  assert.ok((await fromNow).every(({ subject }) => subject !== 'a'))
})

test('the topic keeps what the settings say', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await log.agent.topics.create({ name: eventsTopic, config: { retentionMs: 5 } })
  await using _events = await openEvents(log)
  assert.equal(log.agent.topics.get(eventsTopic).config.retentionMs, hourMs)
})

test('large events go in several batches, and one that no batch can hold does not stop the others', async () => {
  await using directory = await temporaryDirectory()
  await using log = await openLog({ directory: directory.path })
  await using events = await openEvents(log)
  const large = (subject: string, bytes: number) => ({ type: 'stream.online', subject, data: { text: 'x'.repeat(bytes) } })
  for (const subject of ['a', 'b', 'c', 'd', 'e']) events.append(large(subject, 400_000))
  events.append(large('too large', 2_000_000))
  events.append(online('last'))
  await until(() => log.agent.topics.get(eventsTopic).partition(0).highWatermark === 6)
  const { items } = await events.read({ from: 0, limit: 100 })
  assert.deepEqual(
    items.map(({ subject }) => subject),
    ['a', 'b', 'c', 'd', 'e', 'last'],
  )
})
