import type { Produced, ProduceOrder } from './log-orders.ts'

/** What a producing process has done, and how long each batch took. */
export class ProduceMeter {
  readonly #order: ProduceOrder
  readonly #latenciesMs: number[] = []
  #isMeasuring = false
  /** Nothing is sent any more. */
  isOver = false

  constructor(order: ProduceOrder) {
    this.#order = order
  }

  /** A batch that was sent then is acknowledged. */
  count(sentAtMs: number, nowMs: number): void {
    if (this.#isMeasuring) this.#latenciesMs.push(nowMs - sentAtMs)
  }

  /** Prints `"measuring"` when the warm-up is over, and then the result. */
  async run(): Promise<void> {
    const { warmupMs, measuredMs, records } = this.#order
    await pause(warmupMs)
    this.#isMeasuring = true
    const before = { cpu: process.cpuUsage(), ms: performance.now() }
    console.log('"measuring"')
    await pause(measuredMs)
    this.isOver = true
    const tookSeconds = (performance.now() - before.ms) / 1000
    const cpu = process.cpuUsage(before.cpu)
    const latenciesMs = this.#latenciesMs.toSorted((a, b) => a - b)
    const latencyAt = (part: number): number => latenciesMs[Math.floor(latenciesMs.length * part)] ?? 0
    const produced: Produced = {
      recordsPerSecond: (latenciesMs.length * records) / tookSeconds,
      p50Ms: latencyAt(0.5),
      p99Ms: latencyAt(0.99),
      clientCores: (cpu.user + cpu.system) / 1e6 / tookSeconds,
    }
    console.log(JSON.stringify(produced))
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
