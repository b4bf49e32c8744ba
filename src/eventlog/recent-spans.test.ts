import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { LogSpan } from './log-span.ts'
import { RecentSpans } from './recent-spans.ts'

const headers = [1, 2, 3].map((count) => {
  const records = Array.from({ length: count }, () => ({ key: null, value: null, headers: [], timestampMs: 1 }))
  return readBatchHeader(encodeBatch(records))
})

test('batches are found by any of their offsets, however many came and went', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), size: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ kind: fc.constant('dropFirst' as const) }),
    fc.record({ kind: fc.constant('dropFrom' as const), back: fc.integer({ min: 0, max: 4 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const recent = new RecentSpans()
      let model: LogSpan[] = []
      let next = 0
      for (const one of steps) {
        if (one.kind === 'push') {
          const header = headers[one.size] ?? assert.fail()
          const batch = new LogSpan(header, next, undefined)
          recent.push(batch)
          model.push(batch)
          next = batch.lastOffset + 1
        } else if (one.kind === 'dropFirst') {
          recent.dropFirst()
          model = model.slice(1)
        } else {
          const offset = model.at(-1 - one.back)?.baseOffset ?? next
          const dropped = recent.dropFrom(offset)
          assert.deepEqual(
            dropped,
            model.filter(({ lastOffset }) => lastOffset >= offset),
          )
          model = model.filter(({ lastOffset }) => lastOffset < offset)
          next = offset
        }
        assert.equal(recent.first, model[0])
        assert.equal(recent.length, model.length)
      }
      for (let offset = 0; offset <= next; offset++) {
        assert.deepEqual(
          [...recent.from(offset)],
          model.filter(({ lastOffset }) => lastOffset >= offset),
        )
      }
    }),
  )
})
