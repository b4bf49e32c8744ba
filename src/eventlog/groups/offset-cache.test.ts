import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import type { OffsetRow } from '../metadata/log-metadata.ts'
import { OffsetCache, offsetKey } from './offset-cache.ts'

function row(groupId: string, { partition = 0, offset = 1 } = {}): OffsetRow {
  return { groupId, topicId: 't', partition, offset, leaderEpoch: -1, metadata: '', committedAtMs: 0 }
}

const key = offsetKey(row(''))

/** A database that has these rows and notes what it was asked for. */
function open(stored: readonly OffsetRow[], maxRows = 100): { cache: OffsetCache; asked: string[] } {
  const asked: string[] = []
  const loadOffsets = async (groupId: string): Promise<OffsetRow[]> => {
    asked.push(groupId)
    await Promise.resolve()
    return stored.filter((candidate) => candidate.groupId === groupId)
  }
  return { cache: new OffsetCache({ metadata: { loadOffsets }, maxRows }), asked }
}

test('a group is loaded once, by all who ask, and kept in step with commits', async () => {
  const { cache, asked } = open([row('a')])
  const [first, second] = await Promise.all([cache.load('a'), cache.load('a')])
  assert.equal(first, second)
  cache.update([row('a', { offset: 2 }), row('a', { partition: 1 }), row('b')])
  const rows = await cache.load('a')
  assert.deepEqual([rows.get(key)?.offset, rows.size, cache.rowCount], [2, 2, 2])
  assert.deepEqual(asked, ['a'])
})

test('what is committed while a group is loaded is not lost', async () => {
  const { cache } = open([row('a'), row('a', { partition: 1 })])
  const loading = cache.load('a')
  cache.update([row('a', { offset: 2 })])
  const rows = await loading
  assert.deepEqual([rows.get(key)?.offset, rows.size, cache.rowCount], [2, 2, 2])
})

test('the group that was not used for the longest time goes when there are too many rows', async () => {
  const { cache, asked } = open([row('a'), row('b'), row('c'), row('d', { partition: 1 })], 2)
  for (const groupId of ['a', 'b', 'a', 'c', 'a', 'b']) await cache.load(groupId)
  assert.deepEqual(asked, ['a', 'b', 'c', 'b'])
  cache.update([row('a', { partition: 1 }), row('a', { partition: 2 })])
  assert.ok(cache.rowCount <= 2)
})

test('a group that is larger than all the room is loaded each time', async () => {
  const { cache, asked } = open([row('a'), row('a', { partition: 1 })], 1)
  assert.equal((await cache.load('a')).size, 2)
  assert.equal(cache.rowCount, 0)
  await cache.load('a')
  assert.equal(asked.length, 2)
})

test('a group that was forgotten is loaded again, also when that was while it was loaded', async () => {
  const { cache, asked } = open([row('a')])
  const loading = cache.load('a')
  cache.forget('a')
  await loading
  assert.equal(cache.rowCount, 0)
  await cache.load('a')
  cache.forget('a')
  cache.forget('a')
  assert.equal(cache.rowCount, 0)
  assert.equal(asked.length, 2)
})

test('a load that failed is tried again by the next who asks', async () => {
  let isAway = true
  const loadOffsets = async (): Promise<OffsetRow[]> => {
    await Promise.resolve()
    if (isAway) throw new AppError('DATABASE_UNAVAILABLE', 'away')
    return [row('a')]
  }
  const cache = new OffsetCache({ metadata: { loadOffsets }, maxRows: 10 })
  await assert.rejects(cache.load('a'), { code: 'DATABASE_UNAVAILABLE' })
  isAway = false
  assert.equal((await cache.load('a')).size, 1)
})
