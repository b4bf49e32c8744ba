import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { startApi } from '../api.fixture.ts'
import { offsetListSchema, partitionListSchema, topicListSchema, topicViewSchema } from '../log-contract.ts'
import { createOrders, fill, orders, produce, refusal } from './log.fixture.ts'

test('a topic is created, found, changed and deleted', async () => {
  await using api = await startApi()
  const created = await api.call('POST', '/api/v1/topics', { name: 'orders', partitions: 2, config: { retentionMs: 5000 } })
  assert.deepEqual([created.status, created.headers.get('location')], [201, orders])
  const view = Value.Parse(topicViewSchema, created.body)
  assert.deepEqual(
    [view.partitionCount, view.config.retentionMs, view.config.durability, view.isInternal],
    [2, 5000, 'wal', false],
  )
  assert.deepEqual(
    view.partitions.map(({ partition, state, highWatermark }) => [partition, state, highWatermark]),
    [
      [0, 'online', 0],
      [1, 'online', 0],
    ],
  )
  const changed = Value.Parse(
    topicViewSchema,
    (await api.call('PATCH', orders, { partitions: 3, config: { retentionMs: -1 } })).body,
  )
  assert.deepEqual([changed.partitionCount, changed.config.retentionMs, changed.id], [3, -1, view.id])
  assert.equal((await api.call('PATCH', orders, { partitions: 3 })).status, 200, 'the same once more')
  assert.deepEqual((await api.call('GET', orders)).body, changed)
  assert.equal((await api.call('DELETE', orders)).status, 204)
  assert.equal((await refusal(api.fetch(orders))).code, 'TOPIC_NOT_FOUND')
})

test('topics are listed by name, searched and paged, with what is in them', async () => {
  await using api = await startApi()
  for (const name of ['b.orders', 'a', 'orders']) await api.call('POST', '/api/v1/topics', { name })
  await produce(api, [{ value: 'x' }, { value: 'y' }])
  const list = async (query: string) => Value.Parse(topicListSchema, (await api.call('GET', `/api/v1/topics${query}`)).body)
  const all = await list('')
  assert.deepEqual(
    all.items.map(({ name, isInternal, recordCount, appendedRecords }) => [name, isInternal, recordCount, appendedRecords]),
    [
      ['a', false, 0, 0],
      ['b.orders', false, 0, 0],
      ['millrace.events', true, 0, 0],
      ['orders', false, 2, 2],
    ],
  )
  assert.deepEqual(
    (await list('?search=ORD')).items.map(({ name }) => name),
    ['b.orders', 'orders'],
  )
  const first = await list('?limit=3')
  const rest = await list(`?limit=3&cursor=${first.nextCursor}`)
  assert.deepEqual([rest.items.map(({ name }) => name), rest.nextCursor], [['orders'], undefined])
})

test('partitions are paged by their number', async () => {
  await using api = await startApi()
  await createOrders(api, 12)
  const seen: number[] = []
  let query = '?limit=5'
  for (let pages = 0; pages < 3; pages++) {
    const page = Value.Parse(partitionListSchema, (await api.call('GET', `${orders}/partitions${query}`)).body)
    seen.push(...page.items.map(({ partition }) => partition))
    query = `?limit=5&cursor=${page.nextCursor}`
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 12 }, (_, index) => index),
  )
})

test('offsets are found by place and time', async () => {
  await using api = await startApi()
  await createOrders(api, 2)
  const at = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z']
  await produce(
    api,
    at.map((timestamp) => ({ value: timestamp, timestamp, partition: 1 })),
  )
  await api.call('POST', `${orders}/partitions/1/delete-records`, { beforeOffset: 1 })
  const find = async (query: string) =>
    Value.Parse(offsetListSchema, (await api.call('GET', `${orders}/offsets${query}`)).body).items.map((item) => [
      item.partition,
      item.offset,
      item.timestamp,
    ])
  assert.deepEqual(await find('?at=earliest'), [
    [0, 0, undefined],
    [1, 1, undefined],
  ])
  assert.deepEqual(await find('?partition=1'), [[1, 3, undefined]])
  assert.deepEqual(await find('?partition=1&at=2026-01-02T12:00:00Z'), [[1, 2, '2026-01-03T00:00:00.000Z']])
  assert.deepEqual(await find(`?partition=1&at=${Date.parse('2026-01-02T00:00:00Z')}`), [[1, 1, '2026-01-02T00:00:00.000Z']])
  assert.deepEqual(
    await find('?partition=1&at=2026-02-01T00:00:00Z'),
    [[1, 3, undefined]],
    'the end when there is none that late',
  )
})

test('old records are deleted', async () => {
  await using api = await startApi()
  await createOrders(api)
  await fill(api, 10)
  const path = `${orders}/partitions/0/delete-records`
  assert.deepEqual((await api.call('POST', path, { beforeOffset: 4 })).body, { logStartOffset: 4 })
  assert.deepEqual((await api.call('POST', path, { beforeOffset: 2 })).body, { logStartOffset: 4 }, 'never back')
  assert.equal((await api.call('POST', path, { beforeOffset: 11 })).status, 416)
  assert.deepEqual((await api.call('POST', path, { beforeOffset: -1 })).body, { logStartOffset: 10 })
})

test('what cannot be is refused with its reason', async (t) => {
  await using api = await startApi()
  await createOrders(api, 2)
  const json = (body: unknown, method = 'POST'): RequestInit => ({
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  for (const [name, path, init, code, message] of [
    ['a name with a slash', '/api/v1/topics', json({ name: 'a/b' }), 'REQUEST_INVALID', /body\.name is not allowed: 1 to 249/],
    ['only dots', '/api/v1/topics', json({ name: '..' }), 'TOPIC_INVALID', /cannot name a topic/],
    ['an unknown setting', '/api/v1/topics', json({ name: 'a', config: { x: 1 } }), 'REQUEST_INVALID', /body\.config\.x/],
    [
      'a bad setting',
      '/api/v1/topics',
      json({ name: 'a', config: { durability: 'ram' } }),
      'REQUEST_INVALID',
      /one of wal, object/,
    ],
    ['no partitions', '/api/v1/topics', json({ name: 'a', partitions: 0 }), 'REQUEST_INVALID', /body\.partitions/],
    [
      'more partitions than allowed',
      '/api/v1/topics',
      json({ name: 'a', partitions: 900_000 }),
      'TOPIC_INVALID',
      /maxPartitions/,
    ],
    ['a topic twice', '/api/v1/topics', json({ name: 'orders' }), 'TOPIC_EXISTS', /orders/],
    ['fewer partitions', orders, json({ partitions: 1 }, 'PATCH'), 'TOPIC_INVALID', /has 2 partitions/],
    ['an empty change', orders, json({}, 'PATCH'), 'REQUEST_INVALID', /body/],
    [
      'deleting a topic of Millrace',
      '/api/v1/topics/millrace.events',
      { method: 'DELETE' },
      'TOPIC_INVALID',
      /belongs to Millrace/,
    ],
    ['an unknown topic', '/api/v1/topics/nope', { method: 'DELETE' }, 'TOPIC_NOT_FOUND', /"nope"/],
    ['an unknown partition', `${orders}/offsets?partition=7`, {}, 'PARTITION_NOT_FOUND', /no partition 7/],
    [
      'a partition that is no number',
      `${orders}/partitions/x/delete-records`,
      json({ beforeOffset: 0 }),
      'REQUEST_INVALID',
      /path\.partition/,
    ],
    ['a place that is none', `${orders}/offsets?at=yesterday`, {}, 'REQUEST_INVALID', /query\.at is neither/],
  ] as const) {
    await t.test(name, async () => {
      const refused = await refusal(api.fetch(path, init))
      assert.equal(refused.code, code, refused.message)
      assert.match(refused.message, message)
    })
  }
})
