import type { Clock } from '#lib/clock.ts'
import { readDrmCards } from './drm-cards.ts'
import type { GpuFigures, GpuSource } from './gpu-figures.ts'
import { askNvidiaSmi } from './nvidia-smi.ts'

/** Asking costs a process, and the driver some time of the card. */
const askEveryMs = 15_000
/** What was said longer ago tells nothing of now. */
const keepMs = 300_000

const allSources: readonly GpuSource[] = [askNvidiaSmi, () => readDrmCards()]

/** Figures of the graphics cards of this machine. They are asked for behind the back of whoever reads them: a reader gets what was said before. */
export class Gpus implements Disposable {
  readonly #clock: Clock
  readonly #sources: readonly GpuSource[]
  readonly #end = new AbortController()
  #said: { readonly figures: readonly GpuFigures[]; readonly atMs: number } | undefined
  #askedAtMs = -Infinity
  #isAsking = false

  constructor({ clock, sources = allSources }: { clock: Clock; sources?: readonly GpuSource[] }) {
    this.#clock = clock
    this.#sources = sources
  }

  /** The newest that is known, at once; asks anew when it is time. Empty at first, and where there is no card. */
  get figures(): readonly GpuFigures[] {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#isAsking && nowMs - this.#askedAtMs >= askEveryMs && !this.#end.signal.aborted) void this.#ask(nowMs)
    return this.#said && nowMs - this.#said.atMs < keepMs ? this.#said.figures : []
  }

  /** Ends what is being asked. */
  [Symbol.dispose](): void {
    this.#end.abort()
  }

  /** A driver that hangs is asked once: the next question waits until this one has an answer. */
  async #ask(atMs: number): Promise<void> {
    this.#askedAtMs = atMs
    this.#isAsking = true
    const answers = await Promise.allSettled(this.#sources.map((source) => source(this.#end.signal)))
    const figures = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    this.#said = { figures, atMs }
    this.#isAsking = false
  }
}
