import { crc32c } from '#formats/kafka/crc32c.ts'
import { newId } from '#lib/ids.ts'
import { createLog } from '#lib/log.ts'
import { systemTimers, type Timers } from '#lib/timers.ts'
import type { Disk } from './disk.ts'
import { Wal, type RecoveredEntry, type WalEntry, type WalOptions, type WalSettings } from './wal.ts'

/** A record batch with a right CRC; what it carries follows from `seed`. */
export function testBatch(seed: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes, seed % 251)
  bytes.writeBigInt64BE(BigInt(seed), 0) // baseOffset
  bytes.writeInt32BE(sizeBytes - 12, 8) // batchLength
  bytes.writeInt32BE(7, 12) // partitionLeaderEpoch
  bytes.writeInt8(2, 16) // magic
  bytes.writeInt32BE(0, 23) // lastOffsetDelta
  bytes.writeInt32BE(0, 57) // recordsCount
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17) // crc
  return bytes
}

/** An entry whose base offset is `id`, and tells all of it. */
export function testEntry(id: number, sizeBytes = 61 + ((id * 7919) % 900)): WalEntry {
  return { partitionId: 2 ** 40 + (id % 5), epoch: 3, baseOffset: id, recordCount: 1, batches: testBatch(id, sizeBytes) }
}

/** A simulated disk goes by microtasks; so do turns of the event loop. */
const simulatedTurns: Timers = {
  after(delayMs, run) {
    if (delayMs > 0) return systemTimers.after(delayMs, run)
    queueMicrotask(run)
    return { [Symbol.dispose]: () => undefined }
  },
}

/** Opens a log in `/wal` (or `directory`) with small segments. */
export async function openWal(
  disk: Disk,
  {
    directory = '/wal',
    settings = {},
    ...options
  }: Partial<Omit<WalOptions, 'settings'>> & { settings?: Partial<WalSettings> } = {},
): Promise<Wal> {
  return await Wal.open({
    directory,
    disk,
    settings: { segmentBytes: 32_768, maxBytes: 2 ** 30, minFreeBytes: 0, lingerMs: 0, ...settings },
    timers: simulatedTurns,
    log: createLog({ level: 'silent', pretty: false }),
    newId: () => newId(Date.now()),
    onFailure: () => undefined,
    ...options,
  })
}

export async function allRecovered(wal: Wal): Promise<RecoveredEntry[]> {
  const entries: RecoveredEntry[] = []
  for await (const entry of wal.recovered()) entries.push(entry)
  return entries
}

export function idsOf(entries: readonly RecoveredEntry[]): number[] {
  return entries.map(({ baseOffset }) => baseOffset)
}
