import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { projectJob, type JobNews } from './job-projection.ts'
import { jobStates, jobTransitions, type JobState } from './model.ts'

const quiet: JobNews = { leasedCount: 0, isAllDone: false, isClaimed: false, isMoving: false, isFailed: false, isReturned: false }

const cases: readonly (readonly [JobState, Partial<JobNews>, JobState])[] = [
  ['queued', {}, 'queued'],
  ['queued', { leasedCount: 1, isClaimed: true }, 'assigned'],
  ['retrying', { leasedCount: 1, isClaimed: true }, 'assigned'],
  ['assigned', { leasedCount: 1 }, 'assigned'],
  ['assigned', { leasedCount: 1, isMoving: true }, 'running'],
  ['assigned', { isMoving: true }, 'running'],
  ['assigned', { isAllDone: true, isMoving: true }, 'completed'],
  ['running', {}, 'running'],
  ['running', { leasedCount: 1, isClaimed: true }, 'running'],
  ['running', { isFailed: true }, 'retrying'],
  ['running', { isReturned: true }, 'queued'],
  ['running', { isFailed: true, isReturned: true }, 'retrying'],
  ['running', { leasedCount: 1, isFailed: true, isReturned: true }, 'running'],
  ['running', { isAllDone: true }, 'completed'],
  ['failed', { isAllDone: true, isMoving: true }, 'failed'],
]

for (const [state, news, next] of cases) {
  test(`a ${state} job after ${JSON.stringify(news)} is ${next}`, () => {
    assert.equal(projectJob(state, { ...quiet, ...news }), next)
  })
}

test('whatever happens is in the table of states', () => {
  const news = fc.record({
    leasedCount: fc.nat(2),
    isAllDone: fc.constant(false),
    isClaimed: fc.boolean(),
    isMoving: fc.boolean(),
    isFailed: fc.boolean(),
    isReturned: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.constantFrom(...jobStates), news, (state, happened) => {
      const next = projectJob(state, happened)
      const following: readonly JobState[] = jobTransitions[state]
      assert(next === state || following.includes(next), `${state} → ${next}`)
    }),
  )
})
