import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../../test/support/fuzz.ts'
import type { RunVerdict } from './log-metadata.ts'
import { formatVerdicts, parseVerdicts } from './verdicts.ts'

const cases: readonly [text: string, verdicts: readonly RunVerdict[]][] = [
  ['', []],
  ['1c', ['committed']],
  ['2c1g1f1c', ['committed', 'committed', 'gap', 'fenced', 'committed']],
  ['10000f', Array.from({ length: 10_000 }, () => 'fenced' as const)],
]

for (const [text, verdicts] of cases) {
  test(`verdicts: "${text}"`, () => {
    assert.equal(formatVerdicts(verdicts), text)
    assert.deepEqual(parseVerdicts(text), verdicts)
  })
}

for (const text of ['c', '1', '1x', ' 1c', '1c ', '-1c', '9999999c', '600000c600000f', '99999999999c']) {
  test(`verdicts that are refused: "${text}"`, () => {
    assert.throws(() => parseVerdicts(text), { code: 'LOG_DAMAGED' })
  })
}

fuzzText(
  'verdicts',
  cases.map(([text]) => text),
  (text) => parseVerdicts(text).length,
)
