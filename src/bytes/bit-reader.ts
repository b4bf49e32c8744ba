import { AppError } from '#lib/errors.ts'

/** Reads bits, most significant first, and Exp-Golomb codes (ITU-T H.264 §9.1). Throws `TRUNCATED` instead of reading past the end. */
export class BitReader {
  readonly #bytes: Uint8Array
  #bitPos = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get bitsRemaining(): number {
    return this.#bytes.length * 8 - this.#bitPos
  }

  bit(): number {
    const byte = this.#bytes[this.#bitPos >>> 3]
    if (byte === undefined) throw new AppError('TRUNCATED', `need a bit at ${this.#bitPos}, none left`)
    const value = (byte >>> (7 - (this.#bitPos & 7))) & 1
    this.#bitPos += 1
    return value
  }

  flag(): boolean {
    return this.bit() === 1
  }

  /** Up to 53 bits as an unsigned number. */
  bits(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) value = value * 2 + this.bit()
    return value
  }

  skip(count: number): void {
    if (count > this.bitsRemaining) throw new AppError('TRUNCATED', `need ${count} bits, ${this.bitsRemaining} left`)
    this.#bitPos += count
  }

  /** Unsigned Exp-Golomb, ue(v); at most 32 leading zeros. */
  ue(): number {
    let zeros = 0
    while (this.bit() === 0) {
      zeros += 1
      if (zeros > 32) throw new AppError('MALFORMED', 'Exp-Golomb code longer than 32 bits')
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** Signed Exp-Golomb, se(v). */
  se(): number {
    const code = this.ue()
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2
  }
}
