import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../test/support/fuzz.ts'
import { parseDurationMs, parseRange, parseTimeMs } from './time-argument.ts'

const nowMs = new Date(2026, 5, 15, 12, 30, 0).getTime()

const durations: readonly [text: string, ms: number][] = [
  ['90s', 90_000],
  ['15m', 900_000],
  ['15min', 900_000],
  ['1h30m', 5_400_000],
  ['1h 30m', 5_400_000],
  ['2 d', 172_800_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
]
for (const [text, ms] of durations) test(`${text} lasts ${ms} ms`, () => assert.equal(parseDurationMs(text), ms))

const times: readonly [text: string, ms: number][] = [
  ['now', nowMs],
  ['15m ago', nowMs - 900_000],
  ['2026-01-02', new Date(2026, 0, 2).getTime()],
  ['2026-01-02 10:00', new Date(2026, 0, 2, 10).getTime()],
  ['2026-01-02T10:00:05', new Date(2026, 0, 2, 10, 0, 5).getTime()],
  ['2026-01-02T10:00:05.250Z', Date.UTC(2026, 0, 2, 10, 0, 5, 250)],
  ['2026-01-02T10:00+02:00', Date.UTC(2026, 0, 2, 8)],
  ['9:05', new Date(2026, 5, 15, 9, 5).getTime()],
  ['23:59:59', new Date(2026, 5, 15, 23, 59, 59).getTime()],
]
for (const [text, ms] of times) test(`${text} is a time`, () => assert.equal(parseTimeMs(text, nowMs), ms))

for (const text of ['', '15', 'm', '15x', '15m!', '-15m', 'ago']) {
  test(`"${text}" is no length of time`, () => assert.throws(() => parseDurationMs(text), { code: 'USAGE' }))
}
for (const text of ['', 'yesterday', '25:00', '2026-13-01', '2026-01-02 10', '15m', ' ago']) {
  test(`"${text}" is no time`, () => assert.throws(() => parseTimeMs(text, nowMs), { code: 'USAGE' }))
}

test('ranges', () => {
  assert.deepEqual(parseRange({}, nowMs), {})
  assert.deepEqual(parseRange({ last: '15m' }, nowMs), { fromMs: nowMs - 900_000 })
  assert.deepEqual(parseRange({ last: '15m', to: '12:00' }, nowMs), { fromMs: nowMs - 2_700_000, toMs: nowMs - 1_800_000 })
  assert.throws(() => parseRange({ last: '15m', from: '12:00' }, nowMs), { code: 'USAGE' })
  assert.throws(() => parseRange({ from: '12:00', to: '11:00' }, nowMs), { code: 'USAGE' })
})

fuzzText(
  'times',
  times.map(([text]) => text),
  (text) => parseTimeMs(text, nowMs),
)
fuzzText(
  'durations',
  durations.map(([text]) => text),
  parseDurationMs,
)
