import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { readAssignment } from './member-assignment.ts'

const cases = [
  ['two topics', '0001 00000002 0001 61 00000002 00000000 00000002 0002 6262 00000001 00000005 00000000', 'a/0 a/2 bb/5'],
  ['no topics and no user data', '0000 00000000 ffffffff', ''],
  ['nothing at all', '', ''],
  ['user data of any kind behind it', '0003 00000001 0001 61 00000001 00000001 00000003 010203', 'a/1'],
  ['another protocol', '7b22 706172746974696f6e73', ''],
  ['more topics than bytes', '0000 7fffffff 0001 61', ''],
  ['more partitions than bytes', '0000 00000001 0001 61 7fffffff 00000001', ''],
  ['a negative count', '0000 ffffffff', ''],
] as const

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

for (const [name, hex, expected] of cases) {
  test(`an assignment with ${name}`, () => {
    const partitions = readAssignment(bytesOf(hex)).map(({ topic, partition }) => `${topic}/${partition}`)
    assert.equal(partitions.join(' '), expected)
  })
}

fuzzBytes(
  'readAssignment',
  cases.map(([, hex]) => bytesOf(hex)),
  readAssignment,
)
