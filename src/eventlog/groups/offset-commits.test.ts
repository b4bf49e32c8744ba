import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import type { OffsetRow } from '../metadata/log-metadata.ts'
import { outcomeOf, turn } from './groups.fixture.ts'
import { OffsetCommits } from './offset-commits.ts'

function rows(groupId: string, count = 1): OffsetRow[] {
  return Array.from({ length: count }, (_, partition) => {
    return { groupId, topicId: 't', partition, offset: 1, leaderEpoch: -1, metadata: '', committedAtMs: 0 }
  })
}

/** A database that answers each transaction when the test says so. */
function slowDatabase(): {
  commits: OffsetCommits
  asked: OffsetRow[][]
  committed: string[]
  answer: (error?: AppError) => Promise<void>
} {
  const asked: OffsetRow[][] = []
  const waiting: PromiseWithResolvers<void>[] = []
  const committed: string[] = []
  const commitOffsets = async (commit: readonly OffsetRow[]): Promise<void> => {
    asked.push([...commit])
    const answer = Promise.withResolvers<void>()
    waiting.push(answer)
    await answer.promise
  }
  const onCommitted = (done: readonly OffsetRow[]): void => {
    for (const { groupId } of done) committed.push(groupId)
  }
  const commits = new OffsetCommits({ metadata: { commitOffsets }, onCommitted })
  const answer = async (error?: AppError): Promise<void> => {
    const next = waiting.shift()
    if (error) next?.reject(error)
    else next?.resolve()
    await turn()
  }
  return { commits, asked, committed, answer }
}

test('the first commit goes at once, those that come meanwhile go together in order', async () => {
  const { commits, asked, committed, answer } = slowDatabase()
  const a = commits.commit(rows('a'))
  assert.equal(asked.length, 1)
  const b = commits.commit(rows('b', 2))
  const c = commits.commit(rows('c'))
  assert.equal(asked.length, 1)
  await answer()
  await a
  assert.deepEqual(
    asked[1]?.map(({ groupId }) => groupId),
    ['b', 'b', 'c'],
  )
  assert.deepEqual([await outcomeOf(b), await outcomeOf(c)], ['waits', 'waits'])
  await answer()
  await Promise.all([b, c])
  assert.deepEqual(committed, ['a', 'b', 'b', 'c'])
  void commits.commit(rows('d'))
  assert.equal(asked.length, 3)
  await answer()
})

test('a transaction that fails fails its own commits, and the next ones go on', async () => {
  const { commits, committed, answer } = slowDatabase()
  const a = commits.commit(rows('a'))
  const b = commits.commit(rows('b'))
  const c = commits.commit(rows('c'))
  await answer()
  const d = commits.commit(rows('d'))
  const failing = Promise.allSettled([b, c])
  await answer(new AppError('DATABASE_UNAVAILABLE', 'away'))
  assert.deepEqual(
    (await failing).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await answer()
  await Promise.all([a, d])
  assert.deepEqual(committed, ['a', 'd'])
})

test('a transaction takes whole commits up to a number of rows, or one that is larger', async () => {
  const { commits, asked, answer } = slowDatabase()
  const all = [1, 3_000, 2_000, 1, 9_000, 1].map(async (count) => await commits.commit(rows('g', count)))
  for (let index = 0; index < 5; index++) await answer()
  await Promise.all(all)
  assert.deepEqual(
    asked.map(({ length }) => length),
    [1, 5_000, 1, 9_000, 1],
  )
})

test('commits are refused while too many wait', async () => {
  const { commits, answer } = slowDatabase()
  const waiting = [commits.commit(rows('a')), commits.commit(rows('b', 200_000))]
  await assert.rejects(commits.commit(rows('c')), { code: 'LOG_UNAVAILABLE' })
  await answer()
  await answer()
  await Promise.all(waiting)
  void commits.commit(rows('d'))
  const settled = commits.settled()
  assert.equal(await outcomeOf(settled), 'waits')
  await answer()
  await settled
})
