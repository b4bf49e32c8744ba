import { Reader } from '#bytes/reader.ts'
import { BoxWriter } from '#formats/mp4/box-writer.ts'
import { AppError } from '#lib/errors.ts'

/** Who a recorded file is, kept in the file itself so that the index can be rebuilt from files alone. */
export type SegmentIdentity = {
  readonly id: string
  readonly stream: string
  readonly sessionId: string
  readonly startedAtMs: number
  readonly isDiscontinuity: boolean
}

const userType = Buffer.from('6d696c6c7261636572656366696c6501', 'hex')
const version = 1

/** A `uuid` box (ISO/IEC 14496-12 §4.2) behind the initialization segment; players pass over it. */
export function writeIdentityBox(identity: SegmentIdentity): Buffer {
  const w = new BoxWriter(256)
  w.box('uuid', () => {
    w.raw(userType) // usertype
    w.u8(version)
    w.u8(identity.isDiscontinuity ? 1 : 0)
    w.u64(Math.max(0, Math.round(identity.startedAtMs)))
    for (const text of [identity.id, identity.stream, identity.sessionId]) {
      const bytes = Buffer.from(text)
      w.u16(bytes.length).raw(bytes)
    }
  })
  return w.finish()
}

/** Reads the body of a `uuid` box; undefined when it is another's. Throws `TRUNCATED`, `MALFORMED`, `UNSUPPORTED`. */
export function readIdentityBox(body: Buffer): SegmentIdentity | undefined {
  if (!body.subarray(0, userType.length).equals(userType)) return undefined
  const r = new Reader(body)
  r.skip(userType.length)
  const found = r.u8()
  if (found === 0) throw new AppError('MALFORMED', 'the identity of a recording is torn')
  if (found !== version)
    throw new AppError('UNSUPPORTED', `a recording with identity version ${found}; this Millrace reads ${version}`)
  const isDiscontinuity = r.u8() === 1
  const startedAtMs = r.u64()
  const text = (): string => r.slice(r.u16()).toString()
  return { id: text(), stream: text(), sessionId: text(), startedAtMs, isDiscontinuity }
}
