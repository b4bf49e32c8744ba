import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { KeyCache } from './key-cache.ts'

/** A database of keys that can be away, and counts what it is asked. */
function world({ maxKeys = 10 } = {}) {
  const stored = new Map([['a', 1]])
  const clock = new ManualClock()
  const state = { isAway: false, asked: 0, warned: 0 }
  const load = async (id: string): Promise<number | undefined> => {
    state.asked += 1
    if (state.isAway) throw new Error('away')
    return stored.get(id)
  }
  const cache = new KeyCache({ load, clock, log: { warn: () => void (state.warned += 1) }, maxKeys })
  return { stored, clock, state, cache }
}

test('a key is read again after five seconds', async () => {
  const { stored, clock, state, cache } = world()
  assert.equal(await cache.find('a'), 1)
  stored.set('a', 2)
  clock.advance(4_999)
  assert.equal(await cache.find('a'), 1)
  clock.advance(1)
  assert.equal(await cache.find('a'), 2)
  assert.equal(state.asked, 2)
})

test('what was changed here is read again at once', async () => {
  const { stored, cache } = world()
  await cache.find('a')
  stored.set('a', 2)
  cache.forget('a')
  assert.equal(await cache.find('a'), 2)
})

test('what does not exist is asked for each time', async () => {
  const { stored, cache } = world()
  assert.equal(await cache.find('b'), undefined)
  stored.set('b', 2)
  assert.equal(await cache.find('b'), 2)
})

test('requests at the same time ask once', async () => {
  const { state, cache } = world()
  assert.deepEqual(await Promise.all([cache.find('a'), cache.find('a'), cache.find('a')]), [1, 1, 1])
  assert.equal(state.asked, 1)
})

test('while the database is away, what it said counts for ten minutes; it is asked every five seconds', async () => {
  const { clock, state, cache } = world()
  await cache.find('a')
  state.isAway = true
  for (let second = 1; second < 600; second++) {
    clock.advance(1_000)
    assert.equal(await cache.find('a'), 1)
  }
  assert.equal(state.asked, 1 + 119)
  assert.equal(state.warned, 10)
  clock.advance(1_000)
  await assert.rejects(cache.find('a'), /away/)
  await assert.rejects(cache.find('b'), /away/)
  state.isAway = false
  assert.equal(await cache.find('a'), 1)
})

test('the least recently used key goes first', async () => {
  const { stored, state, cache } = world({ maxKeys: 2 })
  for (const id of ['b', 'c']) stored.set(id, 2)
  for (const id of ['a', 'b', 'a', 'c', 'a']) await cache.find(id)
  assert.equal(state.asked, 3)
  await cache.find('b')
  assert.equal(state.asked, 4)
})
