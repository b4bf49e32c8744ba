import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { until } from '../../../test/support/until.ts'
import { startGrpcServer } from './grpc.fixture.ts'
import { RawClient } from './raw-client.fixture.ts'

// The server looks at its connections once a second; the tests decide what time it is then.

test('a message whose rest does not come ends its call', async () => {
  const clock = new ManualClock()
  await using server = await startGrpcServer({ clock })
  await using raw = new RawClient(server.server.port)
  const stream = raw.open('/millrace.log.v1.Log/ProduceStream')
  const answered = once(stream, 'response')
  stream.write(Buffer.of(0, 0, 0, 0, 9, 1))
  await until(() => server.server.stats.requestBytes === 9)
  clock.advance(31_000)
  const [headers] = await answered
  assert.deepEqual([headers['grpc-status'], headers['millrace-error']], ['4', 'TIMEOUT'])
  assert.equal(server.server.stats.requestBytes, 0)
  await once(stream, 'close')
})

test('a stream whose client is silent between messages goes on', async () => {
  const clock = new ManualClock()
  await using server = await startGrpcServer({ clock })
  await using raw = new RawClient(server.server.port)
  const stream = raw.open('/millrace.log.v1.Log/ProduceStream')
  const emptyMessage = Buffer.alloc(5)
  stream.write(emptyMessage)
  await once(stream, 'data')
  const looked = once(raw.session, 'ping')
  clock.advance(60_000)
  await looked
  stream.write(emptyMessage)
  await once(stream, 'data')
  stream.end()
  const [trailers] = await once(stream, 'trailers')
  assert.equal(trailers['grpc-status'], '0')
})

test('a connection without calls is closed after a while', async () => {
  const clock = new ManualClock()
  await using server = await startGrpcServer({ clock })
  await using raw = new RawClient(server.server.port)
  await until(() => server.server.stats.connections === 1)
  const closed = once(raw.session, 'close')
  clock.advance(901_000)
  await closed
  await until(() => server.server.stats.connections === 0)
})

test('a client that does not answer a ping is let go', async () => {
  const clock = new ManualClock()
  await using server = await startGrpcServer({ clock })
  const socket = connectTcp(server.server.port, '127.0.0.1')
  // The preface of HTTP/2 and empty settings; then nothing, as from a machine that has lost its power.
  socket.write(Buffer.from('505249202a20485454502f322e300d0a0d0a534d0d0a0d0a' + '000000040000000000', 'hex'))
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const closed = once(socket, 'close')
  await until(() => server.server.stats.connections === 1)
  clock.advance(31_000)
  const ping = Buffer.from('0000080600', 'hex')
  await until(() => Buffer.concat(chunks).includes(ping), { what: 'a ping' })
  clock.advance(21_000)
  await closed
  await until(() => server.server.stats.connections === 0)
})
