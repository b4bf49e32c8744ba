import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import { AppError, errorTable, type ErrorCode } from '#lib/errors.ts'

/** The headers that a codec process sends. `alive` comes every second from its event loop: a child without it hangs. */
const fromChildSchema = Type.Union([
  Type.Object({ kind: Type.Literal('alive') }),
  Type.Object({ kind: Type.Literal('result'), id: Type.Integer(), value: Type.Unknown() }),
  Type.Object({ kind: Type.Literal('failure'), id: Type.Integer(), code: Type.String(), message: Type.String() }),
  Type.Object({ kind: Type.Literal('event'), value: Type.Unknown() }),
])
export type FromChild = Static<typeof fromChildSchema>

/** Throws `MALFORMED` for anything that is no message of a codec process. */
export function parseFromChild(header: unknown): FromChild {
  if (Check(fromChildSchema, header)) return header
  throw new AppError('MALFORMED', 'a codec process sent a message of no known kind')
}

/** A code that came over the pipe, as one of ours: what the table does not have is `CODEC_FAILED`. */
export function errorCodeOf(code: string): ErrorCode {
  return isErrorCode(code) ? code : 'CODEC_FAILED'
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code)
}
