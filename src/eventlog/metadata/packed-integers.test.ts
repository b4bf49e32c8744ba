import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { packIntegers, unpackIntegers } from './packed-integers.ts'

const max = Number.MAX_SAFE_INTEGER

const cases: readonly [name: string, hex: string, values: readonly number[]][] = [
  ['nothing', '', []],
  ['one byte each', '003f417f', [0, 63, -1, -63]],
  ['two bytes', '8001c0018040', [64, -64, 4096]],
  ['the largest', 'bfffffffffffff1f', [max]],
  ['the smallest', 'ffffffffffffff1f', [-max]],
]

for (const [name, hex, values] of cases) {
  test(`packed integers: ${name}`, () => {
    assert.equal(packIntegers(values).toString('hex'), hex)
    assert.deepEqual(unpackIntegers(Buffer.from(hex, 'hex')), values)
  })
}

test('packed integers: what is beyond the largest becomes the largest', () => {
  assert.deepEqual(unpackIntegers(packIntegers([2 ** 63, -(2 ** 63)])), [max, -max])
})

for (const [name, hex] of [
  ['ends in the middle', '0180'],
  ['above 2^53', 'bfffffffffffff20'],
  ['endless', `80${'ff'.repeat(2000)}`],
  ['endless zeros', `80${'80'.repeat(2000)}00`],
] as const) {
  test(`packed integers that are refused: ${name}`, () => {
    assert.throws(() => unpackIntegers(Buffer.from(hex, 'hex')), { code: 'LOG_DAMAGED' })
  })
}

fuzzBytes(
  'packed integers',
  cases.map(([, hex]) => Buffer.from(hex, 'hex')),
  (bytes) => assert.deepEqual(unpackIntegers(packIntegers(unpackIntegers(bytes))), unpackIntegers(bytes)),
)
