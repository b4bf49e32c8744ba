import { randomBytes } from 'node:crypto'

/**
 * The benchmark of the event log writes to every system in the same way: the bytes of a batch are made beforehand, so that the client costs little and the
 * same everywhere, and answers are only counted. A wire is that for one system.
 */
export type RawSystem = 'kafka' | 'nats' | 'redis' | 'http'
export type System = RawSystem | 'grpc'

/** Partitions, streams or keys that connections write to in turn. */
export const laneCount = 8

/** What one connection sends. */
export type Shape = { readonly lane: number; readonly connection: number; readonly records: number; readonly valueBytes: number }

/** Counts whole answers in the bytes of one connection. Throws when the server refuses something. */
export interface AckCounter {
  push(chunk: Buffer): number
}

export type ProducerWire = {
  /** Sent first, and the answer to wait for until batches may be sent. */
  readonly hello?: { readonly bytes: Buffer; readonly isAnswered: (bytes: Buffer) => boolean }
  /** One batch: `records` values of random bytes. */
  readonly batch: Buffer
  readonly acksPerBatch: number
  /** `send` answers what the server asks meanwhile. */
  readonly acks: (send: (bytes: Buffer) => void) => AckCounter
}

export function randomValues({ records, valueBytes }: Shape): Buffer[] {
  return Array.from({ length: records }, () => randomBytes(valueBytes))
}

/** Keeps what is not whole yet, in front of the next chunk. */
export class Leftover {
  #bytes: Buffer = Buffer.alloc(0)

  /** `scan` returns where the last whole message ends. */
  scan(chunk: Buffer, scan: (bytes: Buffer) => number): void {
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    this.#bytes = bytes.subarray(scan(bytes))
  }
}

/** The decimal number that begins at `at`; it ends before the first byte that is no digit. */
export function digitsAt(bytes: Buffer, at: number): number {
  let value = 0
  for (let index = at; ; index++) {
    const digit = (bytes[index] ?? 0) - 48
    if (digit < 0 || digit > 9) return value
    value = value * 10 + digit
  }
}
