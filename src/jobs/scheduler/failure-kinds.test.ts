import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureKindOf, parseErrorCode } from './failure-kinds.ts'

const cases = [
  ['SOURCE_UNREACHABLE', 'transient'],
  ['SOURCE_SILENT', 'transient'],
  ['CODEC_FAILED', 'transient'],
  ['OBJECTS_UNAVAILABLE', 'transient'],
  ['DATABASE_UNAVAILABLE', 'transient'],
  ['DISK_FULL', 'transient'],
  ['TIMEOUT', 'transient'],
  ['WORKER_OVERLOADED', 'transient'],
  ['INTERNAL', 'transient'],
  ['UNSUPPORTED', 'terminal'],
  ['MALFORMED', 'terminal'],
  ['CODEC_UNSUPPORTED', 'terminal'],
  ['ENCODE_DAMAGED', 'terminal'],
  ['SOURCE_REFUSED', 'terminal'],
  ['SHUTTING_DOWN', 'released'],
] as const

for (const [code, kind] of cases) {
  test(`a task that fails with ${code} ends ${kind}`, () => {
    assert.equal(failureKindOf(code, { hasBadInputs: false }), kind)
  })
}

test('a failure that names damaged inputs has them made again, whatever its code', () => {
  assert.equal(failureKindOf('INPUT_DAMAGED', { hasBadInputs: true }), 'input')
  assert.equal(failureKindOf('ENCODE_DAMAGED', { hasBadInputs: true }), 'input')
})

test('damaged inputs without names are tried again as they are', () => {
  assert.equal(failureKindOf('INPUT_DAMAGED', { hasBadInputs: false }), 'transient')
})

test('a code that this version does not know is INTERNAL', () => {
  assert.equal(parseErrorCode('DISK_FULL'), 'DISK_FULL')
  assert.equal(parseErrorCode('FROM_THE_FUTURE'), 'INTERNAL')
  assert.equal(parseErrorCode('toString'), 'INTERNAL')
})
