/** 120 ms, the longest packet that RFC 6716 §3.2.5 allows. */
const maxPacketSamples = 5_760

/** Samples per frame by the configuration number in the first five bits, RFC 6716 Table 2: SILK, hybrid, CELT. */
const frameSamples = [
  [480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880],
  [480, 960, 480, 960],
  [120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960, 120, 240, 480, 960],
].flat()

/**
 * How long a packet lasts by its TOC byte, RFC 6716 §3.1, in ticks of 48 kHz: the clock of Opus whatever rate was encoded, RFC 7587 §4.1.
 * `undefined` for a packet that breaks the rules of the format.
 */
export function findOpusDurationTicks(packet: Uint8Array): number | undefined {
  const toc = packet[0]
  if (toc === undefined) return undefined
  const frames = frameCount(toc & 0x03, packet[1])
  const ticks = (frameSamples[(toc & 0xf8) / 8] ?? 0) * frames
  return ticks > 0 && ticks <= maxPacketSamples ? ticks : undefined
}

/** `code` is the frame count code `c`; code 3 has the count in the second byte, §3.2.5. */
function frameCount(code: number, second: number | undefined): number {
  if (code === 0) return 1
  return code === 3 ? (second ?? 0) & 0x3f : 2
}
