import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from './api.ts'
import { formProblem } from './form-problem.ts'

const known = ['name', 'config.retentionMs']

function refusal(code: 'REQUEST_INVALID' | 'TOPIC_EXISTS', ...paths: readonly string[]): ApiError {
  const issues = paths.map((path) => ({ path, message: 'must be an integer' }))
  return new ApiError('it is refused', { details: { issues }, code })
}

const message = 'Must be an integer.'
const cases: [string, unknown, { message: string; fields: Record<string, string> }][] = [
  [
    'issues of known fields are told there',
    refusal('REQUEST_INVALID', 'body.name', 'body.config.retentionMs'),
    { message: '', fields: { name: message, 'config.retentionMs': message } },
  ],
  [
    'issues of others are told for the whole form',
    refusal('REQUEST_INVALID', 'body.rack'),
    { message: 'It is refused.', fields: { rack: message } },
  ],
  ['a code that is about a field', refusal('TOPIC_EXISTS'), { message: '', fields: { name: 'It is refused.' } }],
  ['a refusal without issues', refusal('REQUEST_INVALID'), { message: 'It is refused.', fields: {} }],
  ['no answer', new Error('Millrace does not answer'), { message: 'Millrace does not answer', fields: {} }],
]
for (const [name, error, expected] of cases) {
  test(`what is wrong with a form: ${name}`, () => {
    assert.deepEqual(formProblem(error, { known, fieldByCode: { TOPIC_EXISTS: 'name' } }), expected)
  })
}
