import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockCache } from './block-cache.ts'

/** Blocks of ten bytes, each with its number; loads are counted. */
function counted(maxBytes: number) {
  const loads: string[] = []
  const cache = new BlockCache({
    maxBytes,
    load: async ({ objectKey, index }) => {
      loads.push(`${objectKey}${index}`)
      return Buffer.alloc(10, index)
    },
  })
  return { cache, loads }
}

test('what was not asked for longest goes first', async () => {
  const { cache, loads } = counted(30)
  for (const index of [1, 2, 3]) await cache.load('a', index)
  assert.deepEqual(cache.find('a', 1), Buffer.alloc(10, 1))
  await cache.load('b', 1)
  assert.deepEqual(
    [1, 2, 3].map((index) => cache.isMissing('a', index)),
    [false, true, false],
  )
  assert.deepEqual(loads, ['a1', 'a2', 'a3', 'b1'])
  assert.deepEqual(cache.stats, { sizeBytes: 30, hits: 1, misses: 4, loadedBytes: 40 })
})

test('a block larger than the cache is given and not kept', async () => {
  const { cache } = counted(5)
  assert.deepEqual(await cache.load('a', 7), Buffer.alloc(10, 7))
  assert.equal(cache.stats.sizeBytes, 0)
  assert(cache.isMissing('a', 7))
})

test('loads of one block at once are one load, and one that fails is not remembered', async () => {
  let loads = 0
  const answer = Promise.withResolvers<Buffer>()
  const cache = new BlockCache({
    maxBytes: 100,
    load: () => ((loads += 1), loads === 1 ? answer.promise : Promise.resolve(Buffer.alloc(1))),
  })
  const both = Promise.allSettled([cache.load('a', 0), cache.load('a', 0)])
  assert(!cache.isMissing('a', 0))
  answer.reject(new Error('away'))
  assert.deepEqual(
    (await both).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(loads, 1)
  assert.equal((await cache.load('a', 0)).length, 1)
})
