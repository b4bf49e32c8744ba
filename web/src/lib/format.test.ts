import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bitrate,
  count,
  duration,
  messageOf,
  moment,
  perSecond,
  preciseMoment,
  size,
  timeOfDay,
  timeOfDayShort,
} from './format.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

const bitrates: [number, string][] = [
  [0, '0 kbit/s'],
  [639.6, '640 kbit/s'],
  [999.4, '999 kbit/s'],
  [999.5, '1.0 Mbit/s'],
  [3940, '3.9 Mbit/s'],
]
const sizes: [number, string][] = [
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [99_940, '99.9 kB'],
  [99_950, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [1_400_000_000, '1.4 GB'],
  [5e15, '5000 TB'],
]
const durations: [number, string][] = [
  [-5, '0 s'],
  [499, '0 s'],
  [12_000, '12 s'],
  [89_400, '89 s'],
  [90_000, '2 min'],
  [89 * minuteMs, '89 min'],
  [90 * minuteMs, '2 h'],
  [35 * hourMs, '35 h'],
  [36 * hourMs, '2 d'],
]
const counts: [number, string][] = [
  [0, '0'],
  [999, '999'],
  [1_234_567, '1,234,567'],
]
const speeds: [number, string][] = [
  [0, '0'],
  [0.42, '0.4'],
  [9.96, '10'],
  [999.4, '999'],
  [999.5, '1.0 k'],
  [99_960, '100 k'],
  [1_250_000, '1.3 M'],
]
const tables: [string, (value: number) => string, [number, string][]][] = [
  ['bitrate', bitrate, bitrates],
  ['size', size, sizes],
  ['duration', duration, durations],
  ['count', count, counts],
  ['perSecond', perSecond, speeds],
]
for (const [name, format, cases] of tables) {
  test(`${name} is short, and rounds into the next unit`, () => {
    for (const [value, text] of cases) assert.equal(format(value), text)
  })
}

test('times of day have two digits each, also at midnight', () => {
  assert.equal(timeOfDay(new Date(2026, 10, 21, 0, 5, 9)), '00:05:09')
  assert.equal(timeOfDayShort(new Date(2026, 10, 21, 14, 3, 7)), '14:03')
})

test('a moment of another day says which', () => {
  const now = new Date(2026, 10, 21, 14, 0, 0)
  assert.equal(moment(new Date(2026, 10, 21, 13, 59, 58), now), '13:59:58')
  assert.match(moment(new Date(2026, 10, 20, 13, 59, 58), now), /20.*, 13:59:58$/)
})

test('a precise moment has milliseconds', () => {
  const now = new Date(2026, 10, 21, 14, 0, 0)
  assert.equal(preciseMoment(new Date(2026, 10, 21, 13, 59, 58, 7), now), '13:59:58.007')
})

test('whatever was thrown becomes a text', () => {
  assert.equal(messageOf(new Error('no disk')), 'no disk')
  assert.equal(messageOf('no disk'), 'no disk')
})
