/** Records to Kafka record batches and back, without sockets: `node bench/record-batch.ts`. One core; batches of 1,000 records unless said otherwise. */
import { compressions } from '#formats/kafka/compression.ts'
import { crc32c } from '#formats/kafka/crc32c.ts'
import { decodeBatch, encodeBatch, type NewRecord } from '#formats/kafka/records.ts'

const warmUps = 50
const rounds = 8
const roundMs = 150

const bare = recordsOf(1000, () => Buffer.alloc(128, 0x61))
const keyed = bare.map((record, i) => ({ ...record, key: Buffer.from(`key-${i}`) }))
const traced = keyed.map((record) => ({ ...record, headers: [{ key: 'trace-id', value: Buffer.from('0af7651916cd43dd') }] }))
const json = recordsOf(1000, (i) =>
  Buffer.from(JSON.stringify({ id: i * 7919, name: `sensor-${i % 50}`, value: Math.sin(i) * 100 })),
)

console.table([
  batchRow('128 bytes', bare),
  batchRow('128 bytes, key', keyed),
  batchRow('128 bytes, key, header', traced),
  batchRow('128 bytes, one a batch', bare.slice(0, 1)),
  ...compressions.map((compression) => batchRow(`JSON, ${compression}`, json, compression)),
])
console.table([61, 1024, 150_000].map(checksumRow))

function batchRow(task: string, records: readonly NewRecord[], compression: (typeof compressions)[number] = 'none') {
  const batch = encodeBatch(records, { compression })
  return {
    task,
    'bytes/record': Math.round(batch.length / records.length),
    'encode, M records/s': (perSecond(() => encodeBatch(records, { compression })) * records.length * 1e-6).toFixed(2),
    'decode, M records/s': (perSecond(() => decodeBatch(batch)) * records.length * 1e-6).toFixed(2),
    'decode 10 of them, µs': (1e6 / perSecond(() => decodeBatch(batch, { fromOffset: records.length - 10 }))).toFixed(1),
  }
}

function checksumRow(sizeBytes: number) {
  const bytes = Buffer.alloc(sizeBytes, 7)
  const rate = perSecond(() => crc32c(bytes))
  return { task: `CRC-32C of ${sizeBytes} bytes`, µs: (1e6 / rate).toFixed(2), 'GB/s': (rate * sizeBytes * 1e-9).toFixed(1) }
}

/** By processor time, the best of some rounds: the machine is shared. */
function perSecond(run: () => unknown): number {
  for (let i = 0; i < warmUps; i++) run()
  return Math.max(...Array.from({ length: rounds }, () => oneRound(run)))
}

function oneRound(run: () => unknown): number {
  const before = process.cpuUsage()
  const endMs = performance.now() + roundMs
  let count = 0
  while (performance.now() < endMs) {
    for (let i = 0; i < 10; i++) run()
    count += 10
  }
  const used = process.cpuUsage(before)
  return count / ((used.user + used.system) * 1e-6)
}

function recordsOf(count: number, valueOf: (i: number) => Buffer): NewRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    key: null,
    value: valueOf(i),
    headers: [],
    timestampMs: 1_700_000_000_000 + i,
  }))
}
