const startCode = Buffer.of(0, 0, 1)
const escapedZeros = Buffer.of(0, 0, 3)

/**
 * The NAL units of a byte stream, ITU-T H.264 Annex B (H.265 has the same), as views without start codes and trailing zeros.
 * Bytes before the first start code count as a unit, so a bare NAL unit comes back as it is.
 */
export function splitAnnexB(bytes: Buffer): Buffer[] {
  const units: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const next = bytes.indexOf(startCode, start)
    const unit = withoutTrailingZeros(bytes.subarray(start, next === -1 ? bytes.length : next))
    if (unit.length > 0) units.push(unit)
    if (next === -1) break
    start = next + startCode.length
  }
  return units
}

/** Whether a start code is inside; never true of a single, well-formed NAL unit. */
export function hasStartCode(bytes: Buffer): boolean {
  return bytes.includes(startCode)
}

/** The payload with `emulation_prevention_three_byte`s removed, ITU-T H.264 §7.4.1. A view where there are none, else a copy. */
export function withoutEmulationPrevention(nal: Buffer): Buffer {
  let escape = nal.indexOf(escapedZeros)
  if (escape === -1) return nal
  const payload = Buffer.allocUnsafe(nal.length)
  let length = 0
  let start = 0
  while (escape !== -1) {
    length += nal.copy(payload, length, start, escape + 2)
    start = escape + 3
    escape = nal.indexOf(escapedZeros, start)
  }
  length += nal.copy(payload, length, start)
  return payload.subarray(0, length)
}

function withoutTrailingZeros(unit: Buffer): Buffer {
  let end = unit.length
  while (end > 0 && unit[end - 1] === 0) end -= 1
  return unit.subarray(0, end)
}
