import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { subscribedTopics } from './subscription.ts'

const cases: [string, hex: string, string[] | undefined][] = [
  ['one topic, no user data', '0000 00000001 0006 6f7264657273 ffffffff', ['orders']],
  ['two topics, version 3 with what follows', '0003 00000002 0001 61 0002 c3a9 00000000 00000000', ['a', 'é']],
  ['no topic', '0001 00000000 ffffffff', []],
  ['a name that is cut', '0000 00000001 0006 6f72', undefined],
  ['more topics than fit', '0000 7fffffff 0001 61', undefined],
  ['a negative count', '0000 ffffffff', undefined],
  ['nothing', '', undefined],
]

for (const [name, hex, topics] of cases) {
  test(`a subscription with ${name}`, () => {
    const found = subscribedTopics(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    assert.deepEqual(found && [...found], topics)
  })
}

fuzzBytes(
  'subscription',
  cases.map(([, hex]) => Buffer.from(hex.replaceAll(' ', ''), 'hex')),
  subscribedTopics,
)
