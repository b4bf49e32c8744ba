import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { isRecoveryPoint } from './sei.ts'

const cases: [name: string, hex: string, expected: boolean][] = [
  ['recovery point at once', '060601c480', true],
  ['recovery point behind another message', '06050201020601c480', true],
  ['recovery point after some pictures', '0606012280', false],
  ['another message', '0605020102' + '80', false],
  ['longer than the unit', '0605ff10', false],
  ['empty', '', false],
]

for (const [name, hex, expected] of cases) {
  test(`SEI: ${name}`, () => assert.equal(isRecoveryPoint(Buffer.from(hex, 'hex')), expected))
}

fuzzBytes(
  'isRecoveryPoint',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  isRecoveryPoint,
)
