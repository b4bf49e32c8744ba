import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseTasks, costLimits, slotsFor } from './claim-choice.ts'

const empty = { slots: 8, usedSlots: 0, liveSlots: 0, liveReserve: 0, max: 64 }
const live = 0
const batch = 8

const cases = [
  [
    'all that fits, in order',
    empty,
    [
      [batch, 2],
      [batch, 4],
      [batch, 2],
    ],
    [0, 1, 2],
  ],
  [
    'no more than asked for',
    { ...empty, max: 2 },
    [
      [batch, 1],
      [batch, 1],
      [batch, 1],
    ],
    [0, 1],
  ],
  [
    'what does not fit yet holds up the rest',
    { ...empty, usedSlots: 5 },
    [
      [batch, 2],
      [batch, 4],
      [batch, 1],
    ],
    [0],
  ],
  ['nothing on a full worker', { ...empty, usedSlots: 8 }, [[live, 1]], []],
  [
    'the reserve is kept',
    { ...empty, liveReserve: 3 },
    [
      [batch, 4],
      [batch, 1],
      [batch, 1],
    ],
    [0, 1],
  ],
  [
    'live jobs take the reserve',
    { ...empty, usedSlots: 5, liveReserve: 3 },
    [
      [live, 2],
      [live, 1],
      [live, 1],
    ],
    [0, 1],
  ],
  [
    'live jobs in the reserve leave the rest as it was',
    { ...empty, usedSlots: 3, liveSlots: 3, liveReserve: 3 },
    [[batch, 5]],
    [0],
  ],
  [
    'live jobs beyond the reserve take from the rest',
    { ...empty, usedSlots: 4, liveSlots: 4, liveReserve: 3 },
    [
      [batch, 4],
      [batch, 1],
    ],
    [0],
  ],
  [
    'a task above all slots takes all',
    empty,
    [
      [batch, 99],
      [batch, 1],
    ],
    [0],
  ],
  ['a worker of the reserve alone takes live jobs only', { ...empty, liveReserve: 8 }, [[batch, 1]], []],
] as const

for (const [name, worker, tasks, chosen] of cases) {
  test(`claimed is: ${name}`, () => {
    const candidates = tasks.map(([rank, cost], id) => ({ id, rank, cost }))
    assert.deepEqual(
      chooseTasks(candidates, worker).map(({ id }) => id),
      chosen,
    )
  })
}

test('a task takes its cost, and no more than its kind can ever have here', () => {
  assert.equal(slotsFor({ rank: batch, cost: 3 }, empty), 3)
  assert.equal(slotsFor({ rank: batch, cost: 99 }, { ...empty, liveReserve: 3 }), 5)
  assert.equal(slotsFor({ rank: live, cost: 99 }, { ...empty, liveReserve: 3 }), 8)
  assert.equal(slotsFor({ rank: batch, cost: 99 }, { ...empty, liveReserve: 8 }), 1)
})

test('costs are limited only by live jobs', () => {
  assert.deepEqual(costLimits({ ...empty, usedSlots: 7 }), { liveCost: Infinity, otherCost: Infinity })
  assert.deepEqual(costLimits({ ...empty, liveReserve: 3 }), { liveCost: Infinity, otherCost: Infinity })
  assert.deepEqual(costLimits({ ...empty, liveReserve: 3, liveSlots: 2 }), { liveCost: 6, otherCost: Infinity })
  assert.deepEqual(costLimits({ ...empty, liveReserve: 3, liveSlots: 5 }), { liveCost: 3, otherCost: 3 })
  assert.deepEqual(costLimits({ ...empty, liveReserve: 8 }), { liveCost: Infinity, otherCost: 0 })
})
