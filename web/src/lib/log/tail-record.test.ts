import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFiltering, matcherOf } from './record-filter.ts'
import { mergeByTime, tailRecord } from './tail-record.ts'

function record(fields: {
  partition?: number
  offset?: number
  seconds?: number
  key?: unknown
  value?: unknown
  headers?: { key: string; value: unknown }[]
}) {
  const { partition = 0, offset = 0, seconds = 0, key = null, value = null, headers = [] } = fields
  return tailRecord({ partition, offset, timestamp: new Date(seconds * 1000).toISOString(), key, value, headers })
}

test('partitions are merged by time, and each stays in order of offset', () => {
  const records = [
    record({ partition: 0, offset: 0, seconds: 1 }),
    record({ partition: 0, offset: 1, seconds: 5 }),
    record({ partition: 0, offset: 2, seconds: 2 }),
    record({ partition: 1, offset: 7, seconds: 3 }),
    record({ partition: 1, offset: 8, seconds: 6 }),
  ]
  assert.deepEqual(
    mergeByTime(records).map(({ id }) => id),
    ['0:0', '1:7', '0:1', '0:2', '1:8'],
  )
})

const order = record({ key: 'Order-17', value: '{"city":"Graz"}', headers: [{ key: 'trace', value: 'abc' }] })
const blob = record({ key: { base64: 'AP8=' }, value: { base64: 'AP8=' } })
const filters: [string, { text?: string; key?: string }, boolean, boolean][] = [
  ['nothing', {}, true, true],
  ['spaces', { text: '  ' }, true, true],
  ['text of the value', { text: 'graz' }, true, false],
  ['text of the key', { text: 'order' }, true, false],
  ['name of a header', { text: 'TRACE' }, true, false],
  ['value of a header', { text: 'abc' }, true, false],
  ['another text', { text: 'linz' }, false, false],
  ['the key', { key: '17' }, true, false],
  ['the key and not the text', { key: '17', text: 'linz' }, false, false],
  ['the base64 of bytes', { text: 'AP8' }, false, false],
]
for (const [name, { text = '', key = '' }, isOrder, isBlob] of filters) {
  test(`a filter with ${name}`, () => {
    const matches = matcherOf({ text, key })
    assert.deepEqual([matches(order), matches(blob)], [isOrder, isBlob])
    assert.equal(isFiltering({ text, key }), !(isOrder && isBlob))
  })
}
