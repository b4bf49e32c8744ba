const names = ['recordsIn', 'bytesIn', 'recordsOut', 'bytesOut'] as const
type Name = (typeof names)[number]

/** Counters that only grow, except when the server starts again. */
export type Counters = Readonly<Record<Name, number>>
/** How much a second. */
export type Rates = Counters

type Sample = { readonly atMs: number; readonly counters: Counters }

/** Rates are means over about this time. */
const windowMs = 10_000

/** Makes rates out of counters that are looked at now and then. Keeps no more than what the last look had, and some seconds of that. */
export class RateMeter {
  #samples = new Map<string, readonly Sample[]>()

  /** Takes the counters of everything that is seen now, by a key of each. */
  note(counters: ReadonlyMap<string, Counters>, atMs: number): void {
    const samples = new Map<string, readonly Sample[]>()
    for (const [key, found] of counters) {
      const before = this.#samples.get(key) ?? []
      const last = before.at(-1)
      const isAnew = last !== undefined && names.some((name) => found[name] < last.counters[name])
      const recent = isAnew ? [] : before.filter((sample) => atMs - sample.atMs <= windowMs)
      // However long ago the last look was, there is one to compare with.
      const kept = recent.length === 0 && last && !isAnew ? [last] : recent
      samples.set(key, [...kept, { atMs, counters: found }])
    }
    this.#samples = samples
  }

  /** Undefined until there are two looks to compare. */
  of(key: string): Rates | undefined {
    const samples = this.#samples.get(key) ?? []
    const [first, last] = [samples.at(0), samples.at(-1)]
    if (!first || !last || last.atMs <= first.atMs) return undefined
    const seconds = (last.atMs - first.atMs) / 1000
    const rate = (name: Name): number => (last.counters[name] - first.counters[name]) / seconds
    return { recordsIn: rate('recordsIn'), bytesIn: rate('bytesIn'), recordsOut: rate('recordsOut'), bytesOut: rate('bytesOut') }
  }
}
