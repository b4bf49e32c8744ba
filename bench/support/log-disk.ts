import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'

const mebibyte = 1_048_576
const fileBytes = 64 * mebibyte

export type SyncRate = { readonly writesPerSecond: number; readonly p50Ms: number; readonly p99Ms: number }

/** Writes of one size, one after the other and each synced, to a file whose space was written to before. */
export async function measureDisk(sizeBytes: number, seconds: number): Promise<SyncRate> {
  await using directory = await temporaryDirectory()
  await using file = await open(join(directory.path, 'bare'), 'w+')
  const filled = Buffer.alloc(mebibyte)
  for (let at = 0; at < fileBytes; at += mebibyte) await file.write(filled, 0, mebibyte, at)
  await file.sync()
  const bytes = Buffer.alloc(sizeBytes, 7)
  const latenciesMs: number[] = []
  const startMs = performance.now()
  for (let at = 0, beganMs = startMs; beganMs < startMs + seconds * 1000; at = (at + sizeBytes) % fileBytes) {
    await file.write(bytes, 0, sizeBytes, at)
    await file.datasync()
    const nowMs = performance.now()
    latenciesMs.push(nowMs - beganMs)
    beganMs = nowMs
  }
  const tookSeconds = (performance.now() - startMs) / 1000
  latenciesMs.sort((a, b) => a - b)
  const latencyAt = (part: number): number => latenciesMs[Math.floor(latenciesMs.length * part)] ?? 0
  return { writesPerSecond: latenciesMs.length / tookSeconds, p50Ms: latencyAt(0.5), p99Ms: latencyAt(0.99) }
}
