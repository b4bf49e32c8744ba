/** How far 32-bit serial numbers are apart, with the wrap: above 0 when `to` is ahead of `from`, RFC 1982. */
export function timestampDelta(from: number, to: number): number {
  return (to - from) | 0
}

/** The low 32 bits of a whole number, as RTP timestamps carry it. */
export function wrapTimestamp(ticks: number): number {
  const low = ticks % 2 ** 32
  return low < 0 ? low + 2 ** 32 : low
}

/** How far `to` is ahead of `from`, 0 to 65,535. */
export function sequenceDelta(from: number, to: number): number {
  return (to - from) & 0xffff
}
