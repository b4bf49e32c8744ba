import { cpus, freemem, totalmem } from 'node:os'
import type { NodeLoad } from '../model.ts'
import type { Scratch } from './scratch.ts'

type CpuTimes = { readonly busyMs: number; readonly totalMs: number }

/** How busy the machine is: processor time since the last question, memory that is not free, space in the scratch directory. */
export class MachineLoad {
  readonly #scratch: Pick<Scratch, 'loadFreeBytes'>
  #last = cpuTimes()

  constructor(scratch: Pick<Scratch, 'loadFreeBytes'>) {
    this.#scratch = scratch
  }

  async measure(): Promise<NodeLoad> {
    const now = cpuTimes()
    const totalMs = now.totalMs - this.#last.totalMs
    const cpuPercent = totalMs > 0 ? ((now.busyMs - this.#last.busyMs) / totalMs) * 100 : 0
    this.#last = now
    return {
      cpuPercent: Math.round(Math.min(100, Math.max(0, cpuPercent)) * 10) / 10,
      memoryBytes: totalmem() - freemem(),
      freeDiskBytes: await this.#scratch.loadFreeBytes(),
    }
  }
}

function cpuTimes(): CpuTimes {
  let busyMs = 0
  let totalMs = 0
  for (const { times } of cpus()) {
    const allMs = times.user + times.nice + times.sys + times.idle + times.irq
    totalMs += allMs
    busyMs += allMs - times.idle
  }
  return { busyMs, totalMs }
}
