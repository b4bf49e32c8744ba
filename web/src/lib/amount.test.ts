import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ageUnits, amountOf, sizeUnits } from './amount.ts'

const dayMs = 86_400_000
const amounts: [string, number, readonly { factor: number }[], number, number][] = [
  ['a week', 7 * dayMs, ageUnits, 7, dayMs],
  ['ninety seconds', 90_000, ageUnits, 90, 1000],
  ['nothing', 0, ageUnits, 0, 1],
  ['a GiB', 1024 ** 3, sizeUnits, 1, 1024 ** 3],
  ['an odd size', 1_048_588, sizeUnits, 1_048_588, 1],
]
for (const [name, value, units, amount, unit] of amounts) {
  test(`an amount has the largest unit that fits: ${name}`, () => {
    assert.deepEqual(amountOf(value, units), { amount, unit })
  })
}
