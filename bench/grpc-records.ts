/**
 * Records over gRPC, produced and consumed: one server and one client process, over loopback, every record acknowledged when it is synced to disk. The client
 * is bare HTTP/2: it sends the same bytes again and again and counts answers.
 *
 * Run: node bench/grpc-records.ts [seconds]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Message } from '../src/formats/protobuf/message.ts'
import * as schemas from '../src/formats/protobuf/schemas/log-v1.ts'
import { usageOf } from './support/process-usage.ts'

const seconds = Number(process.argv[2] ?? 5)
const connections = 4
const callsPerConnection = 16
/** Requests of a stream that are not acknowledged. */
const windowRequests = 64
const recordBytes = 128
const prefixBytes = 5

const server = spawn(process.execPath, [join(import.meta.dirname, 'support/grpc-server.ts')], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const [port] = await once(createInterface({ input: server.stdout }), 'line')
const sessions = Array.from({ length: connections }, () => connect(`http://127.0.0.1:${String(port)}`))
for (const session of sessions) {
  await once(session, 'connect')
  session.setLocalWindowSize(16_777_216)
}
await only(call(sessions[0], 'CreateTopic', frameOf(schemas.createTopicRequest, { name: 'bench', partitionCount: 4 })))

const rows = []
for (const count of [1, 10, 100, 1000]) rows.push(await measure('Produce', count, (onAnswer) => unaryCalls(count, onAnswer)))
for (const count of [1, 10, 100, 1000]) rows.push(await measure('ProduceStream', count, (onAnswer) => streams(count, onAnswer)))
for (const format of ['FORMAT_RECORDS', 'FORMAT_RAW'] as const) rows.push(await consumeAll(format))
console.table(rows)
for (const session of sessions) session.destroy()
server.stdin.end()
await once(server, 'close')

function requestOf(count: number) {
  const records = Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`key-${index % 997}`),
    value: Buffer.from(`${index}-`.padEnd(recordBytes, 'abcdefghijklmnop')),
  }))
  // A batch goes to one partition, as that of a Kafka producer does.
  return { topic: 'bench', partition: count % 4, records }
}

async function measure(what: string, records: number, start: (onAnswer: (requests: number) => void) => () => void) {
  let answers = 0
  const stop = start((requests) => (answers += requests))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const before = { usage: usageOf([server.pid ?? 0]), answers, ms: performance.now() }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const tookSeconds = (performance.now() - before.ms) / 1000
  const cores = (usageOf([server.pid ?? 0]).cpuSeconds - before.usage.cpuSeconds) / tookSeconds
  const requests = answers - before.answers
  stop()
  await new Promise((resolve) => setTimeout(resolve, 500))
  return row({ what, records, requests, recordCount: requests * records, tookSeconds, cores })
}

type Measured = { what: string; records: number; requests: number; recordCount: number; tookSeconds: number; cores: number }

function row({ what, records, requests, recordCount, tookSeconds, cores }: Measured) {
  return {
    what,
    'records a request': records,
    'requests/s': Math.round(requests / tookSeconds),
    'records/s': Math.round(recordCount / tookSeconds),
    'server cores': Number(cores.toFixed(2)),
    'requests/s a core': Math.round(requests / tookSeconds / cores),
    'records/s a core': Math.round(recordCount / tookSeconds / cores),
  }
}

/** Keeps a number of unary calls under way on each connection. */
function unaryCalls(count: number, onAnswer: (requests: number) => void): () => void {
  const frame = frameOf(schemas.produceRequest, requestOf(count))
  let isRunning = true
  const next = (session: ClientHttp2Session): void => {
    if (!isRunning) return
    const stream = call(session, 'Produce', frame)
    let isAnswered = false
    stream.on('data', () => (isAnswered = true))
    stream.on('close', () => {
      if (!isAnswered && isRunning) throw new Error('a call has failed')
      onAnswer(1)
      next(session)
    })
  }
  for (const session of sessions) for (let made = 0; made < callsPerConnection; made++) next(session)
  return () => (isRunning = false)
}

/** One stream on each connection, with a number of requests that are not acknowledged. */
function streams(count: number, onAnswer: (requests: number) => void): () => void {
  const frame = frameOf(schemas.produceStreamRequest, { sequence: 1, request: requestOf(count) })
  const opened = sessions.map((session) => {
    const stream = open(session, 'ProduceStream')
    const send = (requests: number): void => {
      stream.cork()
      for (let sent = 0; sent < requests; sent++) stream.write(frame)
      stream.uncork()
    }
    stream.on(
      'data',
      framesOf((bytes) => {
        const { outcomes } = schemas.produceStreamResponse.decode(bytes)
        for (const { result } of outcomes)
          if (result?.kind !== 'produced') throw new Error(`a request has failed: ${result?.value.message}`)
        onAnswer(outcomes.length)
        if (!stream.writableEnded) send(outcomes.length)
      }),
    )
    send(windowRequests)
    return stream
  })
  return () => {
    for (const stream of opened) stream.end()
  }
}

/** Everything that is in the topic, once. */
async function consumeAll(format: 'FORMAT_RECORDS' | 'FORMAT_RAW') {
  const before = { usage: usageOf([server.pid ?? 0]), ms: performance.now() }
  let [messages, recordCount] = [0, 0]
  const maxRecords = 2_000_000
  const stream = call(sessions[0], 'Consume', frameOf(schemas.consumeRequest, { topic: 'bench', format, maxRecords }))
  const first = new Map<number, number>()
  stream.on(
    'data',
    framesOf((bytes) => {
      const { partition, nextOffset } = schemas.consumeResponse.decode(bytes)
      messages += 1
      recordCount += nextOffset - (first.get(partition) ?? 0)
      first.set(partition, nextOffset)
    }),
  )
  await once(stream, 'close')
  const tookSeconds = (performance.now() - before.ms) / 1000
  const cores = (usageOf([server.pid ?? 0]).cpuSeconds - before.usage.cpuSeconds) / tookSeconds
  return row({
    what: `Consume ${format}`,
    records: Math.round(recordCount / messages),
    requests: messages,
    recordCount,
    tookSeconds,
    cores,
  })
}

function open(session: ClientHttp2Session | undefined, method: string): ClientHttp2Stream {
  if (!session) throw new Error('there is no connection')
  return session.request({
    ':method': 'POST',
    ':path': `/millrace.log.v1.Log/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
}

function call(session: ClientHttp2Session | undefined, method: string, frame: Buffer): ClientHttp2Stream {
  const stream = open(session, method)
  stream.end(frame)
  return stream
}

async function only(stream: ClientHttp2Stream): Promise<void> {
  stream.resume()
  await once(stream, 'close')
}

function frameOf<In>(message: Message<unknown, In>, value: In): Buffer {
  const body = message.encode(value)
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(body.length, 1)
  return Buffer.concat([prefix, body])
}

/** Cuts what comes into messages. */
function framesOf(onMessage: (bytes: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = []
  let size = 0
  return (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    const [first = chunk] = chunks
    if (first.length >= prefixBytes && size < prefixBytes + first.readUInt32BE(1)) return
    let rest = Buffer.concat(chunks)
    while (rest.length >= prefixBytes) {
      const end = prefixBytes + rest.readUInt32BE(1)
      if (rest.length < end) break
      onMessage(rest.subarray(prefixBytes, end))
      rest = rest.subarray(end)
    }
    chunks = rest.length > 0 ? [rest] : []
    size = rest.length
  }
}
