import { BitReader } from '#bytes/bit-reader.ts'
import { AppError } from '#lib/errors.ts'
import { withoutEmulationPrevention } from './annex-b.ts'

const recoveryPointType = 6

/** Whether an SEI NAL unit says that pictures are correct from here on, without waiting: a recovery point at 0, ITU-T H.264 §D.1.8. */
export function isRecoveryPoint(sei: Buffer): boolean {
  try {
    const r = new BitReader(withoutEmulationPrevention(sei))
    r.skip(8) // NAL unit header
    while (r.bitsRemaining > 16) {
      const payloadType = readByteSum(r) // payloadType
      const payloadSize = readByteSum(r) // payloadSize
      if (payloadType === recoveryPointType) return r.ue() === 0 // recovery_frame_cnt
      r.skip(payloadSize * 8)
    }
    return false
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

/** `ff_byte`s and a last byte, §7.3.2.3.1. */
function readByteSum(r: BitReader): number {
  let sum = 0
  for (;;) {
    const byte = r.bits(8)
    sum += byte
    if (byte !== 255) return sum
  }
}
