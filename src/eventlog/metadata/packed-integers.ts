import { AppError } from '#lib/errors.ts'

/**
 * Integers in as few bytes as they need, for columns that hold short lists of them: first byte = bit 7 more follows, bit 6 negative, 6 bits of the
 * magnitude; then 7 bits a byte, lowest first. Exact to ±(2^53 - 1), which stands for everything beyond it too.
 */
export function packIntegers(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * maxBytes)
  let at = 0
  for (const value of values) {
    const magnitude = Math.min(Math.abs(value), Number.MAX_SAFE_INTEGER)
    let rest = Math.floor(magnitude / 64)
    bytes[at++] = (rest > 0 ? 128 : 0) + (value < 0 ? 64 : 0) + (magnitude % 64)
    while (rest > 0) {
      const more = Math.floor(rest / 128)
      bytes[at++] = (more > 0 ? 128 : 0) + (rest % 128)
      rest = more
    }
  }
  return bytes.subarray(0, at)
}

/** Of one number: 6 + 7 × 7 bits hold 2^53. */
const maxBytes = 8

/** Throws `LOG_DAMAGED` for what `packIntegers` does not write. */
export function unpackIntegers(bytes: Uint8Array): number[] {
  const values: number[] = []
  let at = 0
  while (at < bytes.length) {
    const first = bytes[at] ?? 0
    let magnitude = first % 64
    for (let scale = 64, last = first; last >= 128; scale *= 128) {
      at += 1
      last = bytes[at] ?? Number.NaN
      magnitude += (last % 128) * scale
      // Also when the bytes end in the middle of a number.
      if (!Number.isSafeInteger(magnitude) || scale > maxScale) throw malformed(at)
    }
    values.push(first % 128 < 64 ? magnitude : 0 - magnitude)
    at += 1
  }
  return values
}

/** What a bit of the eighth byte counts. */
const maxScale = 64 * 128 ** (maxBytes - 2)

function malformed(at: number): AppError {
  return new AppError('LOG_DAMAGED', `packed integers have no valid number at byte ${at}; restore the database from a backup`)
}
