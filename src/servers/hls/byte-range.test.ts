import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { parseRange, sliceChunks } from './byte-range.ts'

const cases: [header: string | undefined, answer: string][] = [
  [undefined, 'whole'],
  ['bytes=0-9', '0-10'],
  ['bytes=5-', '5-10'],
  ['bytes=-3', '7-10'],
  ['bytes=-30', '0-10'],
  ['bytes=2-100', '2-10'],
  ['bytes=3-3', '3-4'],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-3', 'whole'],
  ['bytes=0-1,3-4', 'whole'],
  ['bytes=-', 'whole'],
  ['items=0-1', 'whole'],
]
for (const [header, answer] of cases) {
  test(`range ${header ?? '(none)'} of 10 bytes is ${answer}`, () => {
    const range = parseRange(header, 10)
    assert.equal(range.kind === 'part' ? `${range.start}-${range.end}` : range.kind, answer)
  })
}

fuzzText(
  'Range header',
  cases.flatMap(([header]) => header ?? []),
  (header) => {
    const range = parseRange(header, 10)
    if (range.kind === 'part') assert.ok(range.start >= 0 && range.start < range.end && range.end <= 10)
  },
)

test('a range over several buffers is cut out of them without copying', () => {
  const chunks = [Buffer.from('abc'), Buffer.from('defg'), Buffer.from('hi')]
  for (let start = 0; start <= 9; start++) {
    for (let end = start; end <= 9; end++) {
      assert.equal(Buffer.concat(sliceChunks(chunks, start, end)).toString(), 'abcdefghi'.slice(start, end))
    }
  }
  assert.equal(sliceChunks(chunks, 1, 2)[0]?.buffer, chunks[0]?.buffer)
})
