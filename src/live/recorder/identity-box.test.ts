import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requireBox } from '#formats/mp4/read-boxes.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { readIdentityBox, type SegmentIdentity, writeIdentityBox } from './identity-box.ts'

const cases: [string, SegmentIdentity][] = [
  [
    'a plain one',
    { id: '01kga2gh033y37rpxrsq9c', stream: 'gate', sessionId: 's', startedAtMs: 1_769_864_709_123, isDiscontinuity: false },
  ],
  ['a long name', { id: 'i', stream: 'a/'.repeat(60) + 'b', sessionId: '', startedAtMs: 0, isDiscontinuity: true }],
]
const bodies = cases.map(([, identity]) => requireBox(writeIdentityBox(identity), 'uuid'))

for (const [i, [name, identity]] of cases.entries()) {
  test(`identity: ${name} comes back`, () => {
    assert.deepEqual(readIdentityBox(bodies[i] ?? Buffer.alloc(0)), identity)
  })
}

test("another program's box is none of ours, a newer version is refused, a torn one too", () => {
  assert.equal(readIdentityBox(Buffer.alloc(40, 7)), undefined)
  const body = Buffer.from(bodies[0] ?? '')
  body[16] = 2
  assert.throws(() => readIdentityBox(body), { code: 'UNSUPPORTED' })
  body[16] = 0
  assert.throws(() => readIdentityBox(body), { code: 'MALFORMED' })
  assert.throws(() => readIdentityBox((bodies[0] ?? Buffer.alloc(0)).subarray(0, 30)), { code: 'TRUNCATED' })
})

fuzzBytes('identity box', bodies, readIdentityBox)
