/**
 * Synced appends to the write-ahead log against the bare disk: the same bytes, in writes of 4 MiB (or one batch, one at a time) to a file that was filled with
 * zeros before, each followed by a sync. Everything is settled at once, as with an object store that keeps up.
 *
 * Run: node bench/wal.ts [directory] [seconds]
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realDisk } from '../src/eventlog/wal/real-disk.ts'
import { openWal, testBatch } from '../src/eventlog/wal/wal.fixture.ts'

const directory = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'millrace-wal-'))
const seconds = Number(process.argv[3] ?? 5)
const mebibyte = 1_048_576

type Result = { readonly batchesPerSecond: number; readonly p50Ms: number; readonly p99Ms: number }

async function measure(inFlight: number, append: () => Promise<unknown>): Promise<Result> {
  const latenciesMs: number[] = []
  const endMs = performance.now() + seconds * 1000
  const startMs = performance.now()
  const produce = async () => {
    for (let now = performance.now(); now < endMs;) {
      await append()
      const doneMs = performance.now()
      latenciesMs.push(doneMs - now)
      now = doneMs
    }
  }
  await Promise.all(Array.from({ length: inFlight }, produce))
  const tookSeconds = (performance.now() - startMs) / 1000
  latenciesMs.sort((a, b) => a - b)
  const at = (part: number) => latenciesMs[Math.floor(latenciesMs.length * part)] ?? 0
  return { batchesPerSecond: latenciesMs.length / tookSeconds, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** Writes per second of one size to preallocated space, each synced. */
async function measureDisk(sizeBytes: number): Promise<Result> {
  const fileBytes = 64 * mebibyte
  const bytes = Buffer.alloc(sizeBytes, 7)
  await using file = await open(join(directory, 'bare'), 'w+')
  for (let at = 0; at < fileBytes; at += mebibyte) await file.write(Buffer.alloc(mebibyte), 0, mebibyte, at)
  await file.sync()
  let at = 0
  return await measure(1, async () => {
    await file.write(bytes, 0, sizeBytes, at)
    await file.datasync()
    at = at + 2 * sizeBytes > fileBytes ? 0 : at + sizeBytes
  })
}

async function measureWal(sizeBytes: number, inFlight: number): Promise<Result> {
  const path = join(directory, `wal-${sizeBytes}-${inFlight}`)
  const settings = { segmentBytes: 64 * mebibyte, maxBytes: 4096 * mebibyte, minFreeBytes: 0, lingerMs: 0 }
  await using wal = await openWal(realDisk, { directory: path, settings })
  const batch = testBatch(1, sizeBytes)
  let baseOffset = 0
  return await measure(inFlight, async () => {
    wal.settle(await wal.append({ partitionId: 1, epoch: 1, baseOffset: baseOffset++, recordCount: 1, batches: batch }))
  })
}

try {
  const rows: Record<string, unknown>[] = []
  for (const [sizeBytes, inFlight] of [
    [150_000, 64],
    [150_000, 1],
    [160, 4096],
    [160, 64],
    [160, 1],
  ] as const) {
    const disk = await measureDisk(inFlight === 1 ? sizeBytes : Math.min(4 * mebibyte, sizeBytes * inFlight))
    const diskBytes = disk.batchesPerSecond * (inFlight === 1 ? sizeBytes : Math.min(4 * mebibyte, sizeBytes * inFlight))
    const wal = await measureWal(sizeBytes, inFlight)
    rows.push({
      'batch bytes': sizeBytes,
      'in flight': inFlight,
      'batches/s': Math.round(wal.batchesPerSecond),
      'MB/s': Number(((wal.batchesPerSecond * sizeBytes) / 1e6).toFixed(1)),
      'p50 ms': Number(wal.p50Ms.toFixed(2)),
      'p99 ms': Number(wal.p99Ms.toFixed(2)),
      'bare disk MB/s': Number((diskBytes / 1e6).toFixed(1)),
      'bare p50 ms': Number(disk.p50Ms.toFixed(2)),
      'bare p99 ms': Number(disk.p99Ms.toFixed(2)),
      'of bare disk': Number(((wal.batchesPerSecond * sizeBytes) / diskBytes).toFixed(2)),
    })
  }
  console.table(rows)
} finally {
  await rm(directory, { recursive: true, force: true })
}
