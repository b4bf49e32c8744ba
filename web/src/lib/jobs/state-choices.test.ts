import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobStates } from '#jobs/model.ts'
import { stateChoices } from './state-choices.ts'

test('every state of a job belongs to one choice', () => {
  const [, ...choices] = stateChoices(undefined)
  assert.deepEqual(choices.flatMap(({ states }) => states.split(',')).toSorted(), jobStates.toSorted())
})

test('choices count their jobs, and all of them together', () => {
  const jobs = {
    queued: 1,
    assigned: 2,
    running: 3,
    retrying: 4,
    completed: 5,
    failed: 6,
    timed_out: 7,
    canceled: 8,
    rejected: 9,
  }
  assert.deepEqual(
    stateChoices(jobs).map(({ label, count }) => [label, count]),
    [
      ['All', 45],
      ['Running', 9],
      ['Waiting', 1],
      ['Completed', 5],
      ['Failed', 22],
      ['Canceled', 8],
    ],
  )
})
