import type { Clock } from '#lib/clock.ts'

/** Clients that are remembered; the one that asked longest ago is forgotten first, and begins with a full bucket again. */
const defaultMaxClients = 10_000

type Bucket = { readonly tokens: number; readonly filledAtMs: number }

export type LimiterOptions = {
  /** So many tokens come back to each client; above 0. */
  readonly requestsPerSecond: number
  /** So many a client has at most. */
  readonly burst: number
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly maxClients?: number
}

export type Taken = { readonly kind: 'taken' } | { readonly kind: 'empty'; readonly retryAfterMs: number }

/** A token bucket for each client: a request takes a token, time brings them back. */
export class RequestLimiter {
  readonly requestsPerSecond: number
  readonly burst: number
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #maxClients: number
  readonly #buckets = new Map<string, Bucket>()

  constructor({ requestsPerSecond, burst, clock, maxClients = defaultMaxClients }: LimiterOptions) {
    this.requestsPerSecond = requestsPerSecond
    this.burst = burst
    this.#clock = clock
    this.#maxClients = maxClients
  }

  get clientCount(): number {
    return this.#buckets.size
  }

  /** Takes a token of the client, if there is one. A refused request takes nothing. */
  take(client: string): Taken {
    const nowMs = this.#clock.monotonicMs()
    const { tokens: left, filledAtMs } = this.#buckets.get(client) ?? { tokens: this.burst, filledAtMs: nowMs }
    const tokens = Math.min(this.burst, left + ((nowMs - filledAtMs) / 1000) * this.requestsPerSecond)
    const isTaken = tokens >= 1
    this.#keep(client, { tokens: isTaken ? tokens - 1 : tokens, filledAtMs: nowMs })
    return isTaken ? { kind: 'taken' } : { kind: 'empty', retryAfterMs: ((1 - tokens) / this.requestsPerSecond) * 1000 }
  }

  #keep(client: string, bucket: Bucket): void {
    this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > this.#maxClients && oldest !== undefined) this.#buckets.delete(oldest)
  }
}
