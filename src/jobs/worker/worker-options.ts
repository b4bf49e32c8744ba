import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import type { WorkerSettings } from '../settings.ts'
import type { ProcessLimits } from './process-limits.ts'
import { slotsFor } from './slots.ts'

export type WorkerOptions = {
  /** Stays the same when the worker starts again; no two that run at once have the same. */
  readonly id: string
  /** For people. */
  readonly name: string
  readonly version: string
  /** See `slotsFor`. */
  readonly slots: number
  /** Of them, those that only live jobs may use. */
  readonly liveReserve: number
  readonly scratchDirectory: string
  /** With less free space there, no task is begun; with half of it, the newest is ended. */
  readonly minFreeBytes: number
  readonly limits: ProcessLimits
  /** How long it finishes what it has when it is disposed of. */
  readonly drainMs: number
  readonly sourceCacheBytes?: number
  readonly times?: Partial<WorkerTimes>
}

/** Times of a worker, in milliseconds; tests make them short. */
export type WorkerTimes = {
  /** How long the API may hold an ask for work. */
  readonly claimWaitMs: number
  /** A registration that was refused is tried again, first so soon and then less often. */
  readonly refusedFirstMs: number
  readonly refusedMaxMs: number
  /** Neither frames nor bytes of an attempt move for so long: it is given up. */
  readonly stallMs: number
  /** A process that was told to end is killed after this time. */
  readonly stopGraceMs: number
  readonly coolDownFirstMs: number
  readonly coolDownMaxMs: number
  /** For the last words to the API, when all has ended. */
  readonly farewellMs: number
}

export const defaultTimes: WorkerTimes = {
  claimWaitMs: 25_000,
  refusedFirstMs: 1000,
  refusedMaxMs: 30_000,
  stallMs: 600_000,
  stopGraceMs: 30_000,
  coolDownFirstMs: 10_000,
  coolDownMaxMs: 300_000,
  farewellMs: 5000,
}

/** Of the memory that there is, for one task. */
const memoryPart = 0.75

/** The `[worker]` section with what follows from the machine. */
export function workerOptionsOf(
  settings: WorkerSettings,
  { id, name, version, dataDirectory }: { id: string; name: string; version: string; dataDirectory: string },
): WorkerOptions {
  const { slots, liveReserve, scratchDirectory, minFreeMegabytes, taskMemoryMegabytes, niceness, drainSeconds } = settings
  return {
    id: settings.id ?? id,
    name,
    version,
    slots: slots === 0 ? slotsFor(availableParallelism()) : slots,
    liveReserve,
    scratchDirectory: scratchDirectory ?? join(dataDirectory, 'scratch'),
    minFreeBytes: minFreeMegabytes * 1e6,
    limits: {
      niceness,
      maxMemoryBytes: taskMemoryMegabytes === 0 ? machineMemoryBytes() * memoryPart : taskMemoryMegabytes * 1e6,
    },
    drainMs: drainSeconds * 1000,
  }
}

/** What the container may use, or the machine has. */
function machineMemoryBytes(): number {
  const allowedBytes = process.constrainedMemory()
  return allowedBytes > 0 ? Math.min(allowedBytes, totalmem()) : totalmem()
}
