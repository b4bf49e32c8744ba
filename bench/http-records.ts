/**
 * Records over HTTP, produced and consumed: one server and one client process, over loopback, every record acknowledged when it is synced to disk.
 * The client keeps some requests under way on each of its connections and does hardly more than count answers.
 *
 * Run: node bench/http-records.ts [seconds]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { usageOf } from './support/process-usage.ts'

const seconds = Number(process.argv[2] ?? 5)
const connections = 16
const pipelined = 4
const recordBytes = 128

type Request = { readonly name: string; readonly bytes: Buffer; readonly records: number; readonly connections?: number }

const server = spawn(process.execPath, [join(import.meta.dirname, 'support/api-server.ts')], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const [address] = await once(createInterface({ input: server.stdout }), 'line')
const url = new URL(String(address))
await post('/api/v1/topics', { name: 'bench', partitions: 4 })

const rows = []
for (const count of [1, 10, 100, 1000]) rows.push(await measure(produceRequest(count)))
for (const count of [10_000, 100_000]) rows.push(await measure(linesRequest(count)))
const page = await fetch(new URL('/api/v1/topics/bench/records?partition=0&limit=1000', url))
await page.text()
rows.push(await measure(getRequest('consume JSON', 'partition=0&limit=1000', 1000)))
console.table(rows)
server.stdin.end()
await once(server, 'close')

function recordOf(index: number): { key: string; value: string } {
  return { key: `key-${index % 997}`, value: `${index}-`.padEnd(recordBytes, 'abcdefghijklmnop') }
}

function produceRequest(count: number): Request {
  const body = JSON.stringify({ records: Array.from({ length: count }, (_, index) => recordOf(index)) })
  return { name: 'produce JSON', records: count, bytes: request('POST', 'application/json', body) }
}

function linesRequest(count: number): Request {
  const body = Array.from({ length: count }, (_, index) => `${JSON.stringify(recordOf(index))}\n`).join('')
  return { name: 'produce NDJSON', records: count, bytes: request('POST', 'application/x-ndjson', body), connections: 1 }
}

function getRequest(name: string, query: string, records: number): Request {
  return { name, records, bytes: Buffer.from(`GET /api/v1/topics/bench/records?${query} HTTP/1.1\r\nHost: bench\r\n\r\n`) }
}

function request(method: string, type: string, body: string): Buffer {
  const length = Buffer.byteLength(body)
  const head = `${method} /api/v1/topics/bench/records HTTP/1.1\r\nHost: bench\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`
  return Buffer.from(head + body)
}

async function post(path: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(new URL(path, url), { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(await response.text())
}

async function measure({ name, bytes, records, connections: count = connections }: Request) {
  const pid = server.pid ?? 0
  let answers = 0
  const sockets = Array.from({ length: count }, () => keepAsking(bytes, () => (answers += 1)))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const before = { usage: usageOf([pid]), answers, ms: performance.now() }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const took = (performance.now() - before.ms) / 1000
  const cores = (usageOf([pid]).cpuSeconds - before.usage.cpuSeconds) / took
  const asked = answers - before.answers
  for (const socket of sockets) socket.destroy()
  return {
    what: name,
    'records a request': records,
    'requests/s': Math.round(asked / took),
    'records/s': Math.round((asked * records) / took),
    'server cores': Number(cores.toFixed(2)),
    'records/s a server core': Math.round((asked * records) / took / cores),
  }
}

/** One connection with a number of requests under way. */
function keepAsking(bytes: Buffer, onAnswer: () => void) {
  const socket = connect(Number(url.port), url.hostname)
  socket.setNoDelay(true)
  for (let sent = 0; sent < pipelined; sent++) socket.write(bytes)
  const mark = Buffer.from('HTTP/1.1 ')
  socket.on('data', (chunk) => {
    for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) {
      if (chunk.toString('latin1', at + 9, at + 12) !== '200') throw new Error(chunk.toString('utf8', at))
      onAnswer()
      socket.write(bytes)
    }
  })
  return socket
}
