import { type ByteSource, WindowedReader } from '#formats/mp4/read-boxes.ts'
import { type MovieInit, readInit } from '#formats/mp4/read-init.ts'
import { AppError } from '#lib/errors.ts'
import { readIdentityBox, type SegmentIdentity } from './identity-box.ts'

/** What a recorded file begins with. */
export type RecordedHead = {
  readonly init: MovieInit
  /** `ftyp` + `moov` as they stand. */
  readonly initBytes: Buffer
  /** Where the first part begins, or would. */
  readonly mediaOffset: number
  readonly identity: SegmentIdentity
}

const maxHeadBytes = 2 ** 20

/**
 * Reads the head of a file that the recorder wrote. Throws `TRUNCATED` or `MALFORMED` when it is not whole, `UNSUPPORTED` when a newer
 * Millrace wrote it; errors of `source` pass through.
 */
export async function readRecordedHead(source: ByteSource): Promise<RecordedHead> {
  const reader = new WindowedReader(source)
  let initEnd = 0
  for (let at = 0; ;) {
    const { type, sizeBytes, headerBytes } = await reader.header(at)
    if (at + sizeBytes > maxHeadBytes)
      throw new AppError('MALFORMED', `no identity in the first ${maxHeadBytes} bytes of a recording`)
    if (type === 'moov') initEnd = at + sizeBytes
    else if (type === 'uuid' && initEnd > 0) {
      const identity = readIdentityBox((await reader.view(at, sizeBytes)).subarray(headerBytes))
      if (!identity) throw new AppError('MALFORMED', 'a recording with the identity of another program')
      const initBytes = await source.read(0, initEnd)
      return { init: readInit(initBytes), initBytes, mediaOffset: at + sizeBytes, identity }
    } else if (type !== 'ftyp') throw new AppError('MALFORMED', `box "${type}" before the identity of a recording`)
    at += sizeBytes
  }
}
