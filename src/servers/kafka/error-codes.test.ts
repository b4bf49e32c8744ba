import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, errorTable, type ErrorCode } from '#lib/errors.ts'
import { errorCodeOf, groupErrorCodeOf } from './error-codes.ts'

const codes: readonly ErrorCode[] = Object.keys(errorTable).filter((code): code is ErrorCode => code in errorTable)

/** Only an operator can meet them, on the command line. */
const notForClients: readonly ErrorCode[] = ['LOG_NOT_EMPTY']

for (const code of codes.filter((name) => /^(TOPIC|PARTITION|RECORD_BATCH|OFFSET|PRODUCER|LOG|GROUP)_/.test(name))) {
  if (notForClients.includes(code)) continue
  test(`${code} has a Kafka error code of its own`, () => {
    assert.ok(errorCodeOf(new AppError(code, 'x')) > 0)
    assert.ok(groupErrorCodeOf(new AppError(code, 'x')) > 0)
  })
}

const cases: [code: ErrorCode, expected: number, inGroups: number][] = [
  ['LOG_UNAVAILABLE', 56, 15],
  ['LOG_FULL', 56, 56],
  ['PARTITION_NOT_OWNED', 6, 6],
  ['TOPIC_NOT_FOUND', 3, 3],
  ['PARTITION_NOT_FOUND', 3, 3],
  ['OFFSET_OUT_OF_RANGE', 1, 1],
  ['RECORD_BATCH_CORRUPT', 2, 2],
  ['RECORD_BATCH_INVALID', 87, 87],
  ['RECORD_BATCH_TOO_LARGE', 10, 10],
  ['PRODUCER_SEQUENCE_GAP', 45, 45],
  ['PRODUCER_FENCED', 47, 47],
  ['TIMEOUT', 7, 7],
  ['SHUTTING_DOWN', 6, 15],
  ['DATABASE_UNAVAILABLE', 7, 15],
  ['GROUP_REBALANCING', 27, 27],
  ['INTERNAL', -1, -1],
  ['STREAM_BUSY', -1, -1],
]
for (const [code, expected, inGroups] of cases) {
  test(`${code} is told as ${expected}, and in groups as ${inGroups}`, () => {
    const error = new AppError(code, 'x')
    assert.deepEqual([errorCodeOf(error), groupErrorCodeOf(error)], [expected, inGroups])
  })
}

test('a session timeout that cannot be has its own code', () => {
  assert.equal(groupErrorCodeOf(new AppError('GROUP_INVALID', 'x', { details: { sessionTimeoutMs: 1 } })), 26)
  assert.equal(groupErrorCodeOf(new AppError('GROUP_INVALID', 'x')), 24)
})
