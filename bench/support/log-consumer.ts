/**
 * Reads all lanes of one server at the same time, each over a raw connection of its own, and counts records. Says `measuring` when that begins, and then the
 * result, a line of JSON each.
 *
 * node log-consumer.ts '{ "system", "port", "valueBytes", "warmupMs", "measuredMs" }'
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { pause } from './log-meter.ts'
import type { Consumed, ConsumeOrder } from './log-orders.ts'
import { readers } from './log-readers.ts'
import { laneCount } from './log-wire.ts'

const order: ConsumeOrder = JSON.parse(process.argv[2] ?? '')
let records = 0
let isOver = false

/** Resolves when the lane was read to its end, once or, for a time, the last time. */
async function readLane(lane: number): Promise<void> {
  const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  await new Promise<void>((resolve) => {
    const reader = readers[order.system]({
      lane,
      valueBytes: order.valueBytes,
      send: (bytes) => void socket.write(bytes),
      onRecords: (count) => {
        records += count
      },
      onEnd: () => {
        if (order.measuredMs > 0 && !isOver) reader.begin()
        else resolve()
      },
    })
    socket.on('data', (chunk) => reader.push(chunk))
    reader.begin()
  })
  socket.destroy()
}

const all = (): Promise<unknown> => Promise.all(Array.from({ length: laneCount }, (_, lane) => readLane(lane)))

const reading = order.measuredMs > 0 ? all() : undefined
await pause(order.warmupMs)
const before = { records, ms: performance.now(), cpu: process.cpuUsage() }
console.log('"measuring"')
await (reading ? pause(order.measuredMs) : all())
const tookSeconds = (performance.now() - before.ms) / 1000
const cpu = process.cpuUsage(before.cpu)
const consumed: Consumed = {
  records: records - before.records,
  recordsPerSecond: (records - before.records) / tookSeconds,
  clientCores: (cpu.user + cpu.system) / 1e6 / tookSeconds,
}
isOver = true
console.log(JSON.stringify(consumed))
await reading
