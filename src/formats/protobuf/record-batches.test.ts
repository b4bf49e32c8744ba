import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { partitionFor } from '../kafka/partitioner.ts'
import { readBatchHeader } from '../kafka/record-batch.ts'
import { decodeBatch, encodeBatch, type NewRecord } from '../kafka/records.ts'
import { encodeBatches, groupByPartition } from './record-batches.ts'
import { produceRequest, type record } from './schemas/log-v1.ts'
import type { InputOf } from './types.ts'

const nowMs = 1_700_000_000_000
const options = { nowMs, targetBytes: 1_000_000 }

type Given = InputOf<typeof record>

const cases: readonly (readonly [name: string, records: readonly Given[]])[] = [
  ['a record without anything', [{}]],
  ['empty is not absent', [{ key: Buffer.alloc(0), value: Buffer.alloc(0) }]],
  ['a key and a value', [{ key: Buffer.from('k'), value: Buffer.from('v') }]],
  ['times of their own, not in order', [{ timestampMs: nowMs + 5 }, { timestampMs: nowMs - 5_000_000 }, { timestampMs: 1 }, {}]],
  [
    'headers',
    [
      {
        value: Buffer.from('v'),
        headers: [{ key: 'a', value: Buffer.from('1') }, { key: 'a' }, {}, { key: 'ü', value: Buffer.alloc(0) }],
      },
      { headers: [{ key: 'b', value: Buffer.alloc(200) }] },
      { value: Buffer.from('none') },
    ],
  ],
  [
    'lengths of more than one byte',
    [{ key: Buffer.alloc(64, 'k'), value: Buffer.alloc(8192, 'v') }, { value: Buffer.alloc(100_000, 'w') }],
  ],
  [
    'many',
    Array.from({ length: 1000 }, (_, index) => ({ key: Buffer.from(`key ${index}`), value: Buffer.from(`value ${index}`) })),
  ],
]

for (const [name, records] of cases) {
  test(`${name}: the same batch as from objects`, () => {
    const { records: spans } = produceRequest.decode(produceRequest.encode({ topic: 't', records }))
    const [batch, ...others] = encodeBatches(spans, options)
    assert.ok(batch)
    assert.equal(batch.bytes.toString('hex'), encodeBatch(records.map(asNewRecord)).toString('hex'))
    assert.deepEqual([batch.recordCount, others], [records.length, []])
  })
}

test('batches are cut at their target, and a record that is larger is alone', () => {
  const records = [100, 100, 5000, 100].map((length) => ({ value: Buffer.alloc(length) }))
  const { records: spans } = produceRequest.decode(produceRequest.encode({ records }))
  const batches = encodeBatches(spans, { nowMs, targetBytes: 400 })
  assert.deepEqual(
    batches.map(({ bytes, recordCount }) => [recordCount, decodeBatch(bytes).map(({ value }) => value?.length)]),
    [
      [2, [100, 100]],
      [1, [5000]],
      [1, [100]],
    ],
  )
  assert.ok(batches.every(({ bytes, recordCount }) => readBatchHeader(bytes).recordCount === recordCount))
})

test('chosen records are in their order', () => {
  const records = ['a', 'b', 'c', 'd'].map((value) => ({ value: Buffer.from(value) }))
  const { records: spans } = produceRequest.decode(produceRequest.encode({ records }))
  const [batch] = encodeBatches(spans, options, [1, 3])
  assert.deepEqual(batch && decodeBatch(batch.bytes).map(({ value }) => value?.toString()), ['b', 'd'])
})

test('records go where their keys belong, those without to one partition', () => {
  const keys = Array.from({ length: 50 }, (_, index) => `key ${index}`)
  const records = [{}, ...keys.map((key) => ({ key: Buffer.from(key) })), { value: Buffer.from('v') }]
  const { records: spans } = produceRequest.decode(produceRequest.encode({ records }))
  const groups = groupByPartition(spans, { partitionCount: 7, keylessPartition: 3 })
  const placed = [...groups].flatMap(([partition, chosen]) => chosen.map((index) => [index, partition] as const))
  const expected = records.map((_, index) => {
    const key = keys[index - 1]
    return [index, key === undefined ? 3 : partitionFor(Buffer.from(key), 7)] as const
  })
  assert.deepEqual(
    placed.toSorted(([a], [b]) => a - b),
    expected,
  )
})

const refused: readonly (readonly [name: string, recordHex: string])[] = [
  ['a time below zero', '20ffffffffffffffffff01'],
  ['a key that is a number', '0801'],
  ['a header whose key is a number', '1a020801'],
  ['a header that ends early', '1a020a05'],
  ['a value that ends early', '1205'],
]
for (const [name, hex] of refused) {
  test(`${name} is refused`, () => {
    const bytes = Buffer.from(hex, 'hex')
    const { records: spans } = produceRequest.decode(Buffer.concat([Buffer.of(0x22, bytes.length), bytes]))
    assert.throws(() => encodeBatches(spans, options), AppError)
  })
}

test('fields of a later version are passed over', () => {
  const bytes = Buffer.from('0a016b' + '2801' + '32026162' + '1a06' + '0a016818' + '0712' + '120176', 'hex')
  const { records: spans } = produceRequest.decode(Buffer.concat([Buffer.of(0x22, bytes.length), bytes]))
  assert.throws(() => encodeBatches(spans, options), AppError)
  const whole = Buffer.from('0a016b' + '2801' + '32026162' + '1a05' + '0a01681807' + '120176', 'hex')
  const { records: later } = produceRequest.decode(Buffer.concat([Buffer.of(0x22, whole.length), whole]))
  const [batch] = encodeBatches(later, options)
  const [read] = batch ? decodeBatch(batch.bytes) : []
  assert.deepEqual([read?.key?.toString(), read?.value?.toString(), read?.headers], ['k', 'v', [{ key: 'h', value: null }]])
})

fuzzBytes(
  'records of a request',
  cases.slice(0, 6).map(([, records]) => produceRequest.encode({ topic: 't', records: records.slice(0, 3) })),
  (input) => {
    const { records: spans } = produceRequest.decode(input)
    groupByPartition(spans, { partitionCount: 3, keylessPartition: 0 })
    const batches = encodeBatches(spans, { nowMs, targetBytes: 500 })
    const count = batches.reduce((sum, { bytes }) => sum + decodeBatch(bytes).length, 0)
    assert.equal(count, spans.count)
  },
)

function asNewRecord({ key, value, headers = [], timestampMs = 0 }: Given): NewRecord {
  return {
    key: key ?? null,
    value: value ?? null,
    headers: headers.map((header) => ({ key: header.key ?? '', value: header.value ?? null })),
    timestampMs: timestampMs === 0 ? nowMs : timestampMs,
  }
}
