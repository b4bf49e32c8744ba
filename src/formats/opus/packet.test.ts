import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { findOpusDurationTicks } from './packet.ts'

const cases: [name: string, hex: string, ticks: number | undefined][] = [
  ['CELT fullband, 20 ms', 'fcfffe', 960],
  ['CELT, 2.5 ms', 'e0', 120],
  ['SILK, 60 ms', '18', 2880],
  ['hybrid, 10 ms, two frames of equal size', '61', 960],
  ['CELT, 20 ms, two frames of own sizes', 'fa', 1920],
  ['CELT, 20 ms, six frames', 'fb06', 5760],
  ['more than 120 ms', 'fb07', undefined],
  ['no frame', 'fb00', undefined],
  ['count missing', 'fb', undefined],
  ['empty', '', undefined],
]

for (const [name, hex, ticks] of cases) {
  test(`Opus packet: ${name}`, () => {
    assert.equal(findOpusDurationTicks(Buffer.from(hex, 'hex')), ticks)
  })
}

fuzzBytes(
  'findOpusDurationTicks',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  findOpusDurationTicks,
)
