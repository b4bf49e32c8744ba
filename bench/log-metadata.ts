/**
 * Commits of objects with 1 to 5,000 runs, each of another partition with two sparse points, without and with one idempotent producer for each:
 * `node bench/log-metadata.ts`. SQLite keeps the thread for all of the time.
 */
import { join } from 'node:path'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { topicConfigSchema } from '#eventlog/topic-config.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'

const rounds = 15
const nowMs = Date.UTC(2026, 0, 1)
const config = Value.Parse(topicConfigSchema, Value.Default(topicConfigSchema, {}))

await using directory = await temporaryDirectory()
await using server = await startPostgres()
const urls = { SQLite: sqliteUrl(join(directory.path, 'a.sqlite')), PostgreSQL: await server.createDatabase() }
const rows = []
for (const [name, url] of Object.entries(urls)) {
  for (const runCount of [1, 100, 1000, 5000]) {
    for (const hasProducers of [false, true]) rows.push(await measure(name, url, { runCount, hasProducers }))
  }
}
console.table(rows)

async function measure(database: string, url: string, { runCount, hasProducers }: { runCount: number; hasProducers: boolean }) {
  await using opened = await openDatabase({ url, log: pino({ level: 'silent' }) })
  const metadata = sqlLogMetadata(opened)
  const { agentId } = await metadata.registerAgent({ walId: 'wal', nowMs })
  const id = crypto.randomUUID()
  const topic = await metadata.createTopic({ id, name: id, config, partitionCount: runCount, nowMs })
  const partitions = topic.partitions.map(({ partitionId }) => ({ partitionId, isDirty: true }))
  const acquired = await metadata.acquirePartitions({ agentId, walId: 'wal', partitions, ceilingStep: 1_000_000 })
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const objectId = `${id}-${round}`
    await metadata.reserveObjects({ agentId, objects: [{ id: objectId, key: objectId }], nowMs })
    const runs = acquired.map(({ partitionId, epoch }, at) => runOf({ partitionId, epoch, at, round }))
    const producers = hasProducers ? runs.map(({ partitionId }, at) => producerOf({ partitionId, at, round })) : []
    const startedAtMs = performance.now()
    await metadata.commitObject({ agentId, objectId, sizeBytes: 1_000_000, runs, producers, nowMs })
    times.push(performance.now() - startedAtMs)
  }
  times.sort((a, b) => a - b)
  const median = times[Math.floor(rounds / 2)] ?? 0
  return {
    database,
    runs: runCount,
    producers: hasProducers,
    'fastest ms': Number(times[0]?.toFixed(2)),
    'median ms': Number(median.toFixed(2)),
    'µs a run': Number(((median * 1000) / runCount).toFixed(1)),
  }
}

function runOf({ partitionId, epoch, at, round }: { partitionId: number; epoch: number; at: number; round: number }) {
  const baseOffset = round * 1000
  const sparse = [1, 2].map((n) => ({ offset: baseOffset + n * 300, positionBytes: n * 65_900, maxTimestampMs: nowMs + n * 10 }))
  const place = {
    partitionId,
    epoch,
    baseOffset,
    lastOffset: baseOffset + 999,
    positionBytes: at * 200_000,
    lengthBytes: 200_000,
  }
  return { ...place, minTimestampMs: nowMs, maxTimestampMs: nowMs + 50, batchCount: 10, sparse }
}

function producerOf({ partitionId, at, round }: { partitionId: number; at: number; round: number }) {
  const batches = [0, 1, 2, 3, 4].map((n) => ({
    firstSequence: round * 1000 + n * 200,
    lastSequence: round * 1000 + n * 200 + 199,
    baseOffset: round * 1000 + n * 200,
    lastOffset: round * 1000 + n * 200 + 199,
    timestampMs: nowMs + n,
  }))
  return { partitionId, producerId: at, producerEpoch: 0, batches, updatedAtMs: nowMs }
}
