import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted, retentionText } from './log-texts.ts'

const dayMs = 86_400_000
const retentions: [number, number, string][] = [
  [7 * dayMs, -1, '7 d'],
  [-1, -1, 'for ever'],
  [-1, 1_000_000_000, '1.0 GB'],
  [3_600_000, 50_000_000, '60 min, 50.0 MB'],
]
for (const [retentionMs, retentionBytes, text] of retentions) {
  test(`what is kept: ${text}`, () => {
    assert.equal(retentionText({ retentionMs, retentionBytes }), text)
  })
}

test('one is singular', () => {
  assert.deepEqual(
    [0, 1, 2000].map((value) => counted(value, 'record')),
    ['0 records', '1 record', '2,000 records'],
  )
})
