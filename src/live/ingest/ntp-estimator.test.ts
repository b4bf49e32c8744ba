import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NtpEstimator } from './ntp-estimator.ts'

const startMs = Date.UTC(2026, 0, 1)

/** Media time and wall time of units, in ms since the first, and the expected estimate. */
const cases: [name: string, units: [ptsMs: number, nowMs: number, expectedMs: number][]][] = [
  [
    'arrival jitters, estimates do not',
    [
      [0, 0, 0],
      [40, 55, 40],
      [80, 81, 80],
      [120, 190, 120],
    ],
  ],
  [
    'never in the future',
    [
      [0, 0, 0],
      [40, 30, 30],
      [80, 75, 70],
    ],
  ],
  [
    'never more than 5 s behind',
    [
      [0, 0, 0],
      [40, 5040, 40],
      [80, 5081, 5081],
      [120, 5121, 5121],
    ],
  ],
  [
    'a jump of media time',
    [
      [0, 0, 0],
      [3_600_000, 40, 40],
      [3_600_040, 80, 80],
      [80, 120, 120],
    ],
  ],
]

for (const [name, units] of cases) {
  test(`wall time of units: ${name}`, () => {
    const estimator = new NtpEstimator(90_000)
    for (const [ptsMs, nowMs, expectedMs] of units) {
      assert.equal(estimator.estimateMs(ptsMs * 90, startMs + nowMs), startMs + expectedMs)
    }
  })
}
