import assert from 'node:assert/strict'
import { test } from 'node:test'
import { momentAt, playableMoment, shareOf, ticksOf } from './timeline.ts'

const noonMs = Date.UTC(2026, 10, 21, 12)
const minuteMs = 60_000
const window = { fromMs: noonMs, toMs: noonMs + 10 * minuteMs }

/** Minutes after noon. */
function range(from: number, to: number) {
  const [startedAt, endedAt] = [from, to].map((minute) => new Date(noonMs + minute * minuteMs).toISOString())
  return { startedAt: startedAt ?? '', endedAt: endedAt ?? '', sizeBytes: 1, segmentCount: 1 }
}

test('a moment and its place in the window are each other’s inverse, and stay inside', () => {
  assert.equal(shareOf(window, noonMs + 2.5 * minuteMs), 0.25)
  assert.equal(momentAt(window, 0.25), noonMs + 2.5 * minuteMs)
  assert.equal(shareOf(window, noonMs - 1), 0)
  assert.equal(momentAt(window, 1.2), window.toMs)
})

const tickCases: [string, number, number, number[]][] = [
  ['ten minutes', 10, 0, [0, 2, 4, 6, 8, 10]],
  ['an hour', 60, 0, [0, 10, 20, 30, 40, 50, 60]],
  ['a day, in a zone half an hour off', 1440, 330, [30, 390, 750, 1110]],
]
for (const [name, spanMinutes, zoneMinutes, minutes] of tickCases) {
  test(`ticks are round local times: ${name}`, () => {
    const ticks = ticksOf(
      { fromMs: noonMs, toMs: noonMs + spanMinutes * minuteMs },
      { maxCount: 6, zoneOffsetMs: zoneMinutes * minuteMs },
    )
    assert.deepEqual(
      ticks.map((atMs) => (atMs - noonMs) / minuteMs),
      minutes,
    )
  })
}

const ranges = [range(1, 2), range(4, 6)]
const picks: [string, number, number][] = [
  ['before all: the first range', 0, 1],
  ['inside of a range: itself', 1.5, 1.5],
  ['in a gap: the next range', 3, 4],
  ['in the last seconds of a range: the next one', 1.99, 4],
  ['after all: the end of the last', 9, 5.95],
]
for (const [name, wanted, expected] of picks) {
  test(`what is touched and what plays, ${name}`, () => {
    assert.equal(playableMoment(ranges, noonMs + wanted * minuteMs), noonMs + expected * minuteMs)
  })
}

test('nothing plays where nothing is recorded', () => {
  assert.equal(playableMoment([], noonMs), undefined)
})
