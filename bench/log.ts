/**
 * The event log against NATS JetStream (file storage) and Redis Streams (append-only file), as they come and syncing before they acknowledge, in one run. One
 * client process writes to each of them in the same way: the same connections, bytes in flight and random values, prepared beforehand. Then all of it is read
 * back, hot and cold.
 *
 * Run: node bench/log.ts [seconds] [produce|interfaces|consume ...]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { measureDisk } from './support/log-disk.ts'
import type { Consumed, ConsumeOrder, Produced, ProduceOrder } from './support/log-orders.ts'
import { type LogServer, startMillraceLog, startNats, startRedis } from './support/log-servers.ts'
import { laneCount } from './support/log-wire.ts'
import { usageOf } from './support/process-usage.ts'

const measuredMs = Number(process.argv[2] ?? 4) * 1000
const parts = process.argv.slice(3)
/** A server that compiles as it runs, and one that prepares its files, are at their pace by then. */
const warmupMs = 3000
const connections = 16
/** By records of a batch: batches that each connection has in flight. */
const shapes = [
  { records: 1, inFlight: 16 },
  { records: 100, inFlight: 8 },
  { records: 1000, inFlight: 4 },
] as const
const valueSizes = [128, 1024] as const
/** Bytes of values to read: what fits into every memory, and what does not. */
const [hotBytes, coldBytes] = [48_000_000, 384_000_000]

type Contender = {
  readonly name: string
  readonly system: ConsumeOrder['system']
  readonly isSynced: boolean
  readonly start: () => Promise<LogServer>
}
const contenders: readonly Contender[] = [
  { name: 'millrace', system: 'kafka', isSynced: true, start: startMillraceLog },
  { name: 'NATS JetStream, synced', system: 'nats', isSynced: true, start: () => startNats({ isSynced: true }) },
  { name: 'Redis Streams, synced', system: 'redis', isSynced: true, start: () => startRedis({ isSynced: true }) },
  { name: 'NATS JetStream', system: 'nats', isSynced: false, start: () => startNats({ isSynced: false }) },
  { name: 'Redis Streams', system: 'redis', isSynced: false, start: () => startRedis({ isSynced: false }) },
]

/** Others use this machine as well. */
function load(): string {
  return `(load ${loadavg()[0]?.toFixed(1)})`
}

type Usage = { readonly serverCores: number; readonly serverRssBytes: number }

/** Runs a client process; the server's usage is that of the time between its two lines. */
async function runClient<R>(script: string, order: ConsumeOrder | ProduceOrder, server: LogServer): Promise<R & Usage> {
  const client = spawn(process.execPath, [join(import.meta.dirname, 'support', script), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
  const begun = await lines.next()
  const before = usageOf([server.pid])
  const startMs = performance.now()
  const result = await lines.next()
  const after = usageOf([server.pid])
  const serverCores = ((after.cpuSeconds - before.cpuSeconds) * 1000) / (performance.now() - startMs)
  await ended(client)
  if (begun.done || result.done) throw new Error(`${script} ended without a result`)
  return { ...JSON.parse(result.value), serverCores, serverRssBytes: after.rssBytes }
}

async function ended(client: ChildProcess): Promise<void> {
  if (client.exitCode === null && client.signalCode === null) await once(client, 'close')
}

async function produce(
  server: LogServer,
  order: Pick<ProduceOrder, 'system' | 'records' | 'valueBytes' | 'inFlight'> & { readonly port?: number },
): Promise<Produced & Usage> {
  return await runClient<Produced>('log-producer.ts', { port: server.port, connections, warmupMs, measuredMs, ...order }, server)
}

type Rate = Pick<Consumed, 'recordsPerSecond' | 'clientCores'>

const widths = { name: 24, figure: 12 } as const
const heading = ['records/s', 'MB/s', 'p50 ms', 'p99 ms', 'server cpu', 'RSS MB', 'client cpu', 'millrace is'] as const

function printHeading(title: string): void {
  console.log(`\n${title}`)
  console.log(' '.repeat(widths.name) + heading.map((text) => text.padStart(widths.figure)).join(''))
}

/** `timesOurs`: how many times as much Millrace does. */
function printRow(name: string, result: Partial<Produced> & Rate & Usage, valueBytes: number, timesOurs?: number): void {
  const { recordsPerSecond, p50Ms, p99Ms, serverCores, serverRssBytes, clientCores } = result
  const figures = [
    Math.round(recordsPerSecond).toLocaleString('en'),
    ((recordsPerSecond * valueBytes) / 1e6).toFixed(1),
    p50Ms?.toFixed(2) ?? '–',
    p99Ms?.toFixed(2) ?? '–',
    serverCores.toFixed(2),
    (serverRssBytes / 1e6).toFixed(0),
    clientCores.toFixed(2),
    timesOurs === undefined ? '' : `× ${timesOurs.toFixed(2)}`,
  ]
  console.log(name.padEnd(widths.name) + figures.map((text) => text.padStart(widths.figure)).join(''))
}

async function benchProduce(): Promise<void> {
  for (const valueBytes of valueSizes) {
    for (const { records, inFlight } of shapes) {
      printHeading(
        `produce: ${valueBytes}-byte values, ${records} a batch, ${connections} connections × ${inFlight} batches in flight ${load()}`,
      )
      let ours: number | undefined
      for (const { name, system, start } of contenders) {
        await using server = await start()
        const result = await produce(server, { system, records, valueBytes, inFlight })
        printRow(name, result, valueBytes, ours === undefined ? undefined : ours / result.recordsPerSecond)
        ours ??= result.recordsPerSecond
      }
    }
  }
}

async function benchInterfaces(): Promise<void> {
  const valueBytes = 128
  for (const { records, inFlight } of [
    { records: 10, inFlight: 8 },
    { records: 100, inFlight: 4 },
  ]) {
    printHeading(
      `millrace, other interfaces: ${valueBytes}-byte values, ${records} a request, ${connections} connections × ${inFlight} requests in flight ${load()}`,
    )
    const order = { records, valueBytes, inFlight }
    await using server = await startMillraceLog()
    printRow('HTTP, JSON', await produce(server, { ...order, system: 'http', port: server.httpPort }), valueBytes)
    printRow('gRPC', await produce(server, { ...order, system: 'grpc', port: server.grpcPort }), valueBytes)
  }
}

/** Writes as much to each lane. */
async function fill(
  server: LogServer,
  { system, valueBytes, bytes }: Pick<ConsumeOrder, 'system' | 'valueBytes'> & { bytes: number },
) {
  const records = 1000
  const batchesPerConnection = Math.ceil(bytes / laneCount / records / valueBytes)
  const order: ProduceOrder = {
    system,
    port: server.port,
    connections: laneCount,
    inFlight: 4,
    records,
    valueBytes,
    warmupMs: 0,
    measuredMs: 0,
    batchesPerConnection,
  }
  const script = join(import.meta.dirname, 'support/log-producer.ts')
  const [code] = await once(spawn(process.execPath, [script, JSON.stringify(order)], { stdio: 'inherit' }), 'close')
  if (code !== 0) throw new Error(`the lanes were not filled: ${code}`)
  return batchesPerConnection * laneCount * records
}

async function consume({ isCold, valueBytes }: { isCold: boolean; valueBytes: number }): Promise<void> {
  let ours: number | undefined
  for (const { name, system, start, isSynced } of contenders) {
    // How it was written does not matter to a reader.
    if (isSynced && system !== 'kafka') continue
    await using server = await start()
    const written = await fill(server, { system, valueBytes, bytes: isCold ? coldBytes : hotBytes })
    if (isCold) await server.restart()
    const times = isCold ? { warmupMs: 0, measuredMs: 0 } : { warmupMs, measuredMs }
    const result = await runClient<Consumed>('log-consumer.ts', { system, port: server.port, valueBytes, ...times }, server)
    if (isCold && result.records !== written) throw new Error(`${result.records} of ${written} records were read`)
    printRow(name, result, valueBytes, ours === undefined ? undefined : ours / result.recordsPerSecond)
    ours ??= result.recordsPerSecond
  }
}

async function benchConsume(): Promise<void> {
  for (const valueBytes of valueSizes) {
    for (const isCold of [false, true]) {
      const state = isCold
        ? `cold: once through ${coldBytes / 1e6} MB after a restart, nothing in the page cache (Redis has read it into memory by then)`
        : `hot: again and again through ${hotBytes / 1e6} MB that were just written`
      printHeading(`consume, ${valueBytes}-byte values, ${state} ${load()}`)
      await consume({ isCold, valueBytes })
    }
  }
}

async function benchDisk(): Promise<void> {
  for (const [name, sizeBytes] of [
    ['4 KiB', 4096],
    ['1 MiB', 1_048_576],
  ] as const) {
    const { writesPerSecond, p50Ms, p99Ms } = await measureDisk(sizeBytes, 2)
    const megabytes = ((writesPerSecond * sizeBytes) / 1e6).toFixed(1)
    console.log(
      `the disk alone, ${name} written and synced: ${writesPerSecond.toFixed(0)}/s, ${megabytes} MB/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
    )
  }
}

const benches = { produce: benchProduce, interfaces: benchInterfaces, consume: benchConsume } as const
console.log(new Date().toISOString())
await benchDisk()
for (const [name, run] of Object.entries(benches)) if (parts.length === 0 || parts.includes(name)) await run()
await benchDisk()
console.log(
  '\nmillrace syncs before it acknowledges, as the rows "synced". JetStream as it comes syncs every 2 minutes, Redis each second: they lose what they acknowledged since.',
)
