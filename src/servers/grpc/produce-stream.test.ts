import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { at, drain, recordsOf, refusalIn, startGrpcServer, valuesOf, type Plain } from './grpc.fixture.ts'

/** Outcomes by their number. */
function outcomesOf(messages: readonly unknown[]): Map<unknown, unknown> {
  const outcomes = messages.flatMap((message) => at(message, 'outcomes'))
  return new Map(outcomes.map((outcome) => [at(outcome, 'sequence'), outcome]))
}

function requestOf(sequence: number, ...values: readonly string[]): Plain {
  return { sequence, request: { topic: 't', partition: 0, records: recordsOf(...values) } }
}

test('every request is answered by its number, and they are kept in their order', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const stream = client.talk('ProduceStream')
  const drained = drain(stream)
  const count = 3000
  for (let sequence = 1; sequence <= count; sequence++) {
    if (!stream.write(requestOf(sequence, `${sequence}`))) await once(stream, 'drain')
  }
  stream.end()
  const { messages, refusal } = await drained
  assert.equal(refusal, undefined)
  const outcomes = outcomesOf(messages)
  assert.equal(outcomes.size, count)
  for (let sequence = 1; sequence <= count; sequence++) {
    assert.equal(at(outcomes.get(sequence), 'produced.partitions.0.baseOffset'), sequence - 1)
  }
  assert.equal(at(outcomes.get(1), 'produced.ack'), 'ACK_WAL')
  assert.ok(messages.length < count, 'what is durable together is answered together')
  const consumed = await drain(client.stream('Consume', { topic: 't' }))
  assert.deepEqual(
    valuesOf(consumed.messages),
    Array.from({ length: count }, (_, index) => `${index + 1}`),
  )
})

test('a request that fails is answered with its error, and the stream goes on', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const stream = client.talk('ProduceStream')
  const drained = drain(stream)
  stream.write(requestOf(1, 'a'))
  stream.write({ sequence: 2, request: { topic: 'none', records: recordsOf('b') } })
  stream.write({ sequence: 3 })
  stream.write({ sequence: 4, request: { topic: 't', records: recordsOf('c'), ack: 'ACK_OBJECT' } })
  stream.end()
  const { messages, refusal } = await drained
  assert.equal(refusal, undefined)
  const outcomes = outcomesOf(messages)
  assert.deepEqual(
    [1, 2, 3, 4].map((sequence) => at(outcomes.get(sequence), 'error.code') ?? at(outcomes.get(sequence), 'produced.ack')),
    ['ACK_WAL', 'TOPIC_NOT_FOUND', 'MALFORMED', 'ACK_OBJECT'],
  )
})

test('while many requests are not acknowledged, no more are read', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const stream = client.talk('ProduceStream')
  const drained = drain(stream)
  const total = 60_000_000
  const value = 'x'.repeat(50_000)
  let isDone = false
  const sending = (async () => {
    for (let sequence = 1; sequence <= total / value.length; sequence++) {
      if (!stream.write({ sequence, request: { topic: 't', partition: 0, ack: 'ACK_OBJECT', records: recordsOf(value) } }))
        await once(stream, 'drain')
    }
    isDone = true
  })()
  let highest = 0
  await until(() => {
    highest = Math.max(highest, server.server.stats.requestBytes)
    return isDone
  })
  await sending
  assert.ok(highest < 20_000_000, `${highest} bytes at once`)
  stream.end()
  const { messages } = await drained
  assert.equal(outcomesOf(messages).size, total / value.length)
  await until(() => server.server.stats.requestBytes === 0)
})

test('records that cannot be read are the error of their request', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const stream = client.talk('ProduceStream')
  const drained = drain(stream)
  stream.write(requestOf(1, 'a'))
  stream.write({ sequence: 2, request: { topic: 't', records: [{ timestampMs: 2 ** 60 }] } })
  stream.write(requestOf(3, 'b'))
  stream.end()
  const { messages } = await drained
  assert.deepEqual(
    [...outcomesOf(messages)].map(([sequence, outcome]) => `${String(sequence)} ${String(at(outcome, 'error.code'))}`).toSorted(),
    ['1 undefined', '2 MALFORMED', '3 undefined'],
  )
})

test('a cancelled stream leaves nothing behind', async () => {
  await using server = await startGrpcServer()
  using client = server.client()
  await client.call('CreateTopic', { name: 't' })
  const stream = client.talk('ProduceStream')
  const ended = once(stream, 'error').then(([error]) => refusalIn(error))
  stream.resume()
  for (let sequence = 1; sequence <= 100; sequence++) stream.write(requestOf(sequence, 'a'))
  await until(() => server.server.stats.receivedBytes > 0)
  stream.cancel()
  assert.equal((await ended).status, 1)
  await until(() => server.server.stats.openCalls === 0 && server.server.stats.requestBytes === 0)
})
