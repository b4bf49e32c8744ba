import { setTimeout as delay } from 'node:timers/promises'
import { until } from './until.ts'

/** `isDiscontinuity`: one comes before it. */
export type FollowedSegment = { readonly uri: string; readonly isDiscontinuity: boolean; readonly durationSeconds: number }

/** Loads a live media playlist again and again, as a player does, and keeps what it says of each segment. */
export class HlsFollower implements AsyncDisposable {
  /** By media sequence number. */
  readonly segments = new Map<number, FollowedSegment>()
  /** Addresses of init segments. */
  readonly maps = new Set<string>()
  readonly #url: string
  readonly #stop = new AbortController()
  readonly #running: Promise<void>

  /** `url`: the stream's folder, `http://…/hls/<stream>`. */
  constructor(url: string) {
    this.#url = url
    this.#running = this.#run()
  }

  get sequences(): readonly number[] {
    return [...this.segments.keys()]
  }
  get totalSeconds(): number {
    return [...this.segments.values()].reduce((sum, { durationSeconds }) => sum + durationSeconds, 0)
  }
  get discontinuities(): number {
    return [...this.segments.values()].filter(({ isDiscontinuity }) => isDiscontinuity).length
  }

  /** Waits until so many segments more have been seen. */
  async untilMore(count: number): Promise<void> {
    const wanted = this.segments.size + count
    await until(() => this.segments.size >= wanted, { what: `${count} more HLS segments`, timeoutMs: 20_000 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        const response = await fetch(`${this.#url}/plain.m3u8`, { signal })
        if (response.ok) this.#take(await response.text())
        await delay(100, undefined, { signal })
      } catch (error) {
        if (error instanceof Error && error.name === 'AbortError') return
        throw error
      }
    }
  }

  #take(playlist: string): void {
    let sequence = Number(/^#EXT-X-MEDIA-SEQUENCE:(\d+)$/m.exec(playlist)?.[1] ?? 0)
    let isDiscontinuity = false
    let durationSeconds = 0
    for (const line of playlist.split('\n')) {
      const map = /^#EXT-X-MAP:URI="([^"]+)"/.exec(line)?.[1]
      if (map !== undefined) this.maps.add(map)
      if (line === '#EXT-X-DISCONTINUITY') isDiscontinuity = true
      durationSeconds = Number(/^#EXTINF:([\d.]+)/.exec(line)?.[1] ?? durationSeconds)
      if (line === '' || line.startsWith('#')) continue
      this.segments.set(sequence, { uri: line, isDiscontinuity, durationSeconds })
      sequence += 1
      isDiscontinuity = false
    }
  }
}
