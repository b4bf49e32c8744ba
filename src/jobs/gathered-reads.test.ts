import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatheredReads } from './gathered-reads.ts'

/** Counts its queries, each of which waits until it is let go. */
function countedReads() {
  const queries: { readonly keys: readonly number[]; readonly answer: () => void; readonly fail: () => void }[] = []
  const reads = new GatheredReads<number, string>((keys) => {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>()
    const answer = () => resolve(keys.map(String))
    queries.push({ keys, answer, fail: () => reject(new Error('the database is away')) })
    return promise
  })
  return { queries, reads, asked: () => queries.map(({ keys }) => keys) }
}

test('what is asked while a query is under way goes together in the next', async () => {
  const { queries, reads, asked } = countedReads()
  const first = reads.get(1)
  const rest = [reads.get(2), reads.get(3)]
  assert.deepEqual(asked(), [[1]])
  queries[0]?.answer()
  assert.equal(await first, '1')
  assert.deepEqual(asked(), [[1], [2, 3]])
  queries[1]?.answer()
  assert.deepEqual(await Promise.all(rest), ['2', '3'])
  assert.equal(queries.length, 2)
})

test('a query that fails takes those with it who wait for it, and nobody else', async () => {
  const { queries, reads } = countedReads()
  const first = reads.get(1)
  const second = reads.get(2)
  queries[0]?.fail()
  await assert.rejects(first, /is away/)
  queries[1]?.answer()
  assert.equal(await second, '2')
})
