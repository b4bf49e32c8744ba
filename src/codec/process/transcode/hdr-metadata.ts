import { AppError } from '#lib/errors.ts'

// Libav's structs `AVMasteringDisplayMetadata` (ten rationals: red, green, blue, white, least and most light, then two flags) and
// `AVContentLightMetadata` (two integers), in the machine's own order of bytes, and the text that x265 takes.

const units = { point: 50_000, light: 10_000 } as const
const textPattern = /^G\((\d+),(\d+)\)B\((\d+),(\d+)\)R\((\d+),(\d+)\)WP\((\d+),(\d+)\)L\((\d+),(\d+)\)$/
const lightPattern = /^(\d+),(\d+)$/
const displayInts = 22

/** `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`; `undefined` when the struct says nothing. */
export function masteringDisplayText(struct: Buffer): string | undefined {
  const ints = intsOf(struct)
  if (ints.length < displayInts || ints[20] === 0 || ints[21] === 0) return undefined
  const value = (index: number, unit: number) =>
    Math.round(((ints[index * 2] ?? 0) * unit) / Math.max(1, ints[index * 2 + 1] ?? 1))
  const point = (index: number) => `(${value(index, units.point)},${value(index + 1, units.point)})`
  return `G${point(2)}B${point(4)}R${point(0)}WP${point(6)}L(${value(9, units.light)},${value(8, units.light)})`
}

/** The struct for a text. Throws `REQUEST_INVALID`. */
export function masteringDisplayStruct(text: string): Buffer {
  const match = textPattern.exec(text)
  if (!match)
    throw new AppError('REQUEST_INVALID', `mastering display "${text}" is not of the form G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`)
  const [gx = 0, gy = 0, bx = 0, by = 0, rx = 0, ry = 0, wx = 0, wy = 0, most = 0, least = 0] = match.slice(1).map(Number)
  const points = [rx, ry, gx, gy, bx, by, wx, wy].flatMap((value) => [value, units.point])
  return bytesOf([...points, least, units.light, most, units.light, 1, 1])
}

/** `maxCLL,maxFALL`. */
export function contentLightText(struct: Buffer): string | undefined {
  const [most = 0, average = 0] = intsOf(struct)
  return most === 0 && average === 0 ? undefined : `${most},${average}`
}

/** The struct for a text. Throws `REQUEST_INVALID`. */
export function contentLightStruct(text: string): Buffer {
  const match = lightPattern.exec(text)
  if (!match) throw new AppError('REQUEST_INVALID', `content light "${text}" is not of the form maxCLL,maxFALL`)
  return bytesOf(match.slice(1).map(Number))
}

function intsOf(struct: Buffer): Int32Array {
  const copy = Uint8Array.from(struct)
  return new Int32Array(copy.buffer, 0, Math.floor(copy.length / 4))
}

function bytesOf(ints: readonly number[]): Buffer {
  return Buffer.from(Int32Array.from(ints).buffer)
}
