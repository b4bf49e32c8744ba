import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes, formatDuration, formatTime } from './format.ts'
import { describeProgress } from './progress-line.ts'

for (const [bytes, text] of [
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1_234_567, '1.2 MB'],
  [999_950_000, '1.0 GB'],
  [123_456_789, '123 MB'],
  [5e15, '5000 TB'],
] as const) {
  test(`${bytes} bytes are ${text}`, () => assert.equal(formatBytes(bytes), text))
}

for (const [ms, text] of [
  [0, '0 ms'],
  [850, '850 ms'],
  [4200, '4.2 s'],
  [59_999, '1:00 min'],
  [187_000, '3:07 min'],
  [7_500_000, '2:05 h'],
  [273_600_000, '3 d 04 h'],
] as const) {
  test(`${ms} ms are ${text}`, () => assert.equal(formatDuration(ms), text))
}

test('a time is shown in the local time zone', () => {
  assert.equal(formatTime(new Date(2026, 0, 2, 9, 5, 7).getTime()), '2026-01-02 09:05:07')
})

test('progress says share, bytes, speed and time left', () => {
  const line = describeProgress({ doneBytes: 10e6, totalBytes: 40e6, elapsedMs: 2000 })
  assert.equal(line, '[######..................] 25 %  10.0 MB of 40.0 MB  5.0 MB/s  6.0 s left')
  assert.equal(describeProgress({ doneBytes: 10e6, totalBytes: undefined, elapsedMs: 2000 }), '10.0 MB  5.0 MB/s')
})
