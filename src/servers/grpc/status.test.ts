import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { encodeMessage, statusOf, trailersOf, type StatusName } from './status.ts'

const statuses: readonly (readonly [ErrorCode, StatusName])[] = [
  ['MALFORMED', 'INVALID_ARGUMENT'],
  ['TRUNCATED', 'INVALID_ARGUMENT'],
  ['UNSUPPORTED', 'UNIMPLEMENTED'],
  ['LIMIT_EXCEEDED', 'RESOURCE_EXHAUSTED'],
  ['TIMEOUT', 'DEADLINE_EXCEEDED'],
  ['SHUTTING_DOWN', 'UNAVAILABLE'],
  ['UNAUTHORIZED', 'UNAUTHENTICATED'],
  ['FORBIDDEN', 'PERMISSION_DENIED'],
  ['TOPIC_NOT_FOUND', 'NOT_FOUND'],
  ['TOPIC_EXISTS', 'ALREADY_EXISTS'],
  ['TOPIC_INVALID', 'INVALID_ARGUMENT'],
  ['PARTITION_NOT_FOUND', 'NOT_FOUND'],
  ['PARTITION_NOT_OWNED', 'UNAVAILABLE'],
  ['RECORD_BATCH_INVALID', 'INVALID_ARGUMENT'],
  ['RECORD_BATCH_CORRUPT', 'INVALID_ARGUMENT'],
  ['RECORD_BATCH_TOO_LARGE', 'INVALID_ARGUMENT'],
  ['OFFSET_OUT_OF_RANGE', 'OUT_OF_RANGE'],
  ['PRODUCER_SEQUENCE_GAP', 'FAILED_PRECONDITION'],
  ['PRODUCER_FENCED', 'ABORTED'],
  ['LOG_UNAVAILABLE', 'UNAVAILABLE'],
  ['LOG_FULL', 'RESOURCE_EXHAUSTED'],
  ['LOG_DAMAGED', 'DATA_LOSS'],
  ['DATABASE_UNAVAILABLE', 'UNAVAILABLE'],
  ['GROUP_NOT_EMPTY', 'FAILED_PRECONDITION'],
  ['GROUP_MEMBER_UNKNOWN', 'NOT_FOUND'],
  ['GROUP_LIMIT', 'RESOURCE_EXHAUSTED'],
  ['INTERNAL', 'INTERNAL'],
]
for (const [code, status] of statuses) {
  test(`${code} is ${status}`, () => assert.equal(statusOf(new AppError(code, '')), status))
}

const messages: readonly (readonly [text: string, encoded: string])[] = [
  ['plain: ~!"#$&', 'plain: ~!"#$&'],
  ['100 %', '100 %25'],
  ['two\nlines\t', 'two%0Alines%09'],
  ['ü€😀', '%C3%BC%E2%82%AC%F0%9F%98%80'],
  ['\ud800', '%EF%BF%BD'],
]
for (const [text, encoded] of messages) {
  test(`the message ${JSON.stringify(text)} goes as ${encoded}`, () => assert.equal(encodeMessage(text), encoded))
}

test('a long message is cut', () => {
  assert.equal(decodeURIComponent(encodeMessage('x'.repeat(5000))), `${'x'.repeat(1023)}…`)
})

test('trailers have the status, the message and our own code', () => {
  assert.deepEqual(trailersOf(undefined), { 'grpc-status': '0' })
  assert.deepEqual(trailersOf(new AppError('TOPIC_NOT_FOUND', 'no "ä"')), {
    'grpc-status': '5',
    'grpc-message': 'no "%C3%A4"',
    'millrace-error': 'TOPIC_NOT_FOUND',
  })
})
