import { Backoff } from '#lib/backoff.ts'
import type { RunOutcome } from './task-run.ts'

/** Failures of the machine, not of the task. */
const machineCodes = new Set(['DISK_FULL', 'DISK_FAILED', 'CODEC_FAILED', 'WORKER_OVERLOADED', 'INTERNAL'])
/** At once: there is no use in trying the next. */
const urgentCodes = new Set(['DISK_FULL', 'DISK_FAILED'])
const toleratedFailures = 3

/** Keeps a machine on which task after task fails from eating the attempts of all jobs: it rests, longer each time, until a task succeeds. */
export class CoolDown {
  readonly #backoff: Backoff
  #failures = 0
  #untilMs = -Infinity

  constructor({ firstMs, maxMs }: { firstMs: number; maxMs: number }) {
    this.#backoff = new Backoff({ firstMs, maxMs })
  }

  /** 0: it may work. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - performance.now())
  }

  note(outcome: RunOutcome): void {
    if (outcome.kind === 'done') {
      this.#failures = 0
      this.#backoff.reset()
    }
    if (outcome.kind !== 'failed' || !machineCodes.has(outcome.code)) return
    this.#failures += 1
    if (this.#failures >= toleratedFailures || urgentCodes.has(outcome.code)) {
      this.#untilMs = performance.now() + this.#backoff.nextMs()
    }
  }
}
