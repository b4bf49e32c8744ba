import type { Clock } from '#lib/clock.ts'

/** Who loads files of a stream: HTTP has no sessions, so a viewer is an address and a user agent. */
export type HlsViewer = {
  readonly remoteAddress: string
  readonly userAgent?: string
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly sentBytes: number
}

type Entry = { -readonly [Key in keyof HlsViewer]: HlsViewer[Key] }

/** A viewer that asked for nothing this long is gone. */
const goneAfterMs = 10_000
/** Viewers remembered for one stream; those beyond are served and not counted. */
const capacity = 10_000

/** The viewers of all streams in the last ten seconds. */
export class Viewers {
  readonly #clock: Clock
  readonly #streams = new Map<string, Map<string, Entry>>()

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock
  }

  /** A request came in. */
  see(stream: string, { remoteAddress, userAgent }: { remoteAddress: string; userAgent?: string }): void {
    const nowMs = this.#clock.nowMs()
    const entries = this.#streams.get(stream) ?? new Map<string, Entry>()
    this.#streams.set(stream, entries)
    const key = keyOf(remoteAddress, userAgent)
    const entry = entries.get(key)
    if (entry !== undefined) {
      entry.lastSeenMs = nowMs
      return
    }
    this.#forgetGone(nowMs)
    if (entries.size >= capacity) return
    entries.set(key, { remoteAddress, ...(userAgent ? { userAgent } : {}), firstSeenMs: nowMs, lastSeenMs: nowMs, sentBytes: 0 })
    this.#streams.set(stream, entries)
  }

  countSent(stream: string, { remoteAddress, userAgent }: { remoteAddress: string; userAgent?: string }, bytes: number): void {
    const entry = this.#streams.get(stream)?.get(keyOf(remoteAddress, userAgent))
    if (entry !== undefined) entry.sentBytes += bytes
  }

  of(stream: string): HlsViewer[] {
    this.#forgetGone(this.#clock.nowMs())
    return [...(this.#streams.get(stream)?.values() ?? [])].map((entry) => ({ ...entry }))
  }

  #forgetGone(nowMs: number): void {
    for (const [stream, entries] of this.#streams) {
      for (const [key, entry] of entries) {
        if (nowMs - entry.lastSeenMs > goneAfterMs) entries.delete(key)
      }
      if (entries.size === 0) this.#streams.delete(stream)
    }
  }
}

function keyOf(remoteAddress: string, userAgent = ''): string {
  return `${remoteAddress} ${userAgent}`
}
