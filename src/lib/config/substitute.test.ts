import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { substitute } from './substitute.ts'

const environment = { HOST: 'camera', EMPTY: '', NESTED: '${HOST}' }

const cases: readonly [text: string, result: string][] = [
  ['plain', 'plain'],
  ['rtsp://${HOST}/1', 'rtsp://camera/1'],
  ['${HOST}${HOST}', 'cameracamera'],
  ['${MISSING:-other}', 'other'],
  ['${EMPTY:-other}', 'other'],
  ['${HOST:-other}', 'camera'],
  ['[${EMPTY}]', '[]'],
  ['${MISSING:-}', ''],
  ['${MISSING:-a:-b}', 'a:-b'],
  ['${NESTED}', '${HOST}'],
  ['$${HOST}', '${HOST}'],
  ['$HOST $ $$', '$HOST $ $$'],
  ['$$${HOST}', '$${HOST}'],
]
for (const [text, result] of cases) {
  test(`${text} becomes ${result}`, () => {
    const { text: found, problems } = substitute(text, environment)
    assert.deepEqual([found, problems], [result, []])
  })
}

for (const [text, problem] of [
  ['${MISSING}', /MISSING, which is not set; set it or write \$\{MISSING:-otherwise\}/],
  ['${toString}', /toString, which is not set/],
  ['${HOST', /write \$\$\{/],
  ['${}', /is no \$\{NAME\}/],
  ['${a b}', /is no \$\{NAME\}/],
] as const) {
  test(`${text} is refused`, () => {
    const { problems } = substitute(text, environment)
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', problem)
  })
}

fuzzText(
  'substitution',
  cases.map(([text]) => text),
  (text) => {
    const { text: result, problems } = substitute(text, environment)
    if (!text.includes('${')) assert.equal(result, text)
    assert.ok(problems.length <= text.length)
  },
)
