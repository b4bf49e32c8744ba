import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { parseSession, writeSession, type SessionHeader } from './session-header.ts'

const cases: [header: string, session: SessionHeader][] = [
  ['12345678', { id: '12345678' }],
  ['12345678;timeout=60', { id: '12345678', timeoutSeconds: 60 }],
  [' a$b ; Timeout = 30 ', { id: 'a$b', timeoutSeconds: 30 }],
  ['x;timeout=0', { id: 'x' }],
]

for (const [header, session] of cases) {
  test(`Session header "${header}"`, () => {
    assert.deepEqual(parseSession(header), session)
    assert.deepEqual(parseSession(writeSession(session)), session)
  })
}

test('a Session header without an id is refused', () => {
  assert.throws(() => parseSession(';timeout=60'), AppError)
})

fuzzText(
  'Session header',
  cases.map(([header]) => header),
  parseSession,
)
