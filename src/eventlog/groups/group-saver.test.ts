import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupRow } from '../metadata/log-metadata.ts'
import { GroupSaver } from './group-saver.ts'
import { outcomeOf, turn } from './groups.fixture.ts'

function row(generation: number): GroupRow {
  return { groupId: 'g', generation, protocolType: '', protocol: null, leader: null, members: [], updatedAtMs: 0 }
}

test('states are stored one after the other; of those that wait only the newest', async () => {
  const stored: number[] = []
  const answers: PromiseWithResolvers<void>[] = []
  const saver = new GroupSaver(async ({ generation }) => {
    stored.push(generation)
    const answer = Promise.withResolvers<void>()
    answers.push(answer)
    await answer.promise
  })
  const saves = [1, 2, 3, 4].map(async (generation) => await saver.save(row(generation)))
  const idle = saver.idle()
  assert.deepEqual(stored, [1])
  answers[0]?.resolve()
  await turn()
  assert.deepEqual(stored, [1, 4])
  assert.equal(await outcomeOf(Promise.all(saves)), 'waits')
  const last = saver.save(row(5))
  answers[1]?.reject(new Error('away'))
  assert.deepEqual(
    (await Promise.allSettled(saves)).map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'rejected'],
  )
  await turn()
  assert.deepEqual([stored, saver.isBusy], [[1, 4, 5], true])
  answers[2]?.resolve()
  await Promise.all([last, idle])
  assert.equal(saver.isBusy, false)
})
