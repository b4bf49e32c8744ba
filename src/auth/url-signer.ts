import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'

const parameter = 'access'

/** Addresses that carry their own permission: whoever has one may read exactly what it names, until its time is over. */
export class UrlSigner {
  readonly #secret: Buffer
  readonly #clock: Clock

  /** All nodes that answer for each other have the same secret. */
  constructor({ secret, clock }: { secret: Buffer; clock: Clock }) {
    this.#secret = secret
    this.#clock = clock
  }

  /** The address, a path with or without query, with its permission as the last parameter. */
  sign(path: string, { ttlSeconds }: { readonly ttlSeconds: number }): string {
    const expiresAtSeconds = Math.ceil(this.#clock.nowMs() / 1000) + ttlSeconds
    const separator = path.includes('?') ? '&' : '?'
    return `${path}${separator}${parameter}=${expiresAtSeconds}.${this.#digest(path, expiresAtSeconds).toString('base64url')}`
  }

  /** Whether the address was signed here, and its time is not over. */
  isSigned(path: string): boolean {
    const [, plain, seconds, text] = /^(.+)[?&]access=(\d{1,12})\.([\w-]{43})$/.exec(path) ?? []
    if (plain === undefined || text === undefined || Number(seconds) * 1000 < this.#clock.nowMs()) return false
    return timingSafeEqual(Buffer.from(text, 'base64url'), this.#digest(plain, Number(seconds)))
  }

  #digest(path: string, expiresAtSeconds: number): Buffer {
    return createHmac('sha256', this.#secret).update(`GET ${path} ${expiresAtSeconds}`).digest()
  }
}
