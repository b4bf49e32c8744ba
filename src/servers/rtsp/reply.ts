import type { HeaderFields } from '#formats/rtsp/message.ts'
import type { RtspStatus } from '#formats/rtsp/status.ts'
import type { AppError, ErrorCode } from '#lib/errors.ts'

/** An answer to a request; the connection adds `CSeq` and `Server`. */
export type Reply = {
  readonly status: RtspStatus
  readonly headers?: HeaderFields
  readonly body?: string
  /** What comes after the answer is on its way, such as the first media. */
  readonly afterwards?: () => void
  /** The connection ends with this answer. */
  readonly isLast?: boolean
}

/** The RTSP status of each code that a client can cause; a code that is not here is our own fault: 500. */
const statusByCode: Partial<Record<ErrorCode, RtspStatus>> = {
  TRUNCATED: 400,
  MALFORMED: 400,
  UNSUPPORTED: 501,
  LIMIT_EXCEEDED: 413,
  TIMEOUT: 504,
  SHUTTING_DOWN: 503,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  STREAM_NOT_FOUND: 404,
  STREAM_OFFLINE: 404,
  STREAM_STOPPED: 409,
  STREAM_BUSY: 409,
  STREAM_NOT_PUBLISHABLE: 409,
  STREAM_LIMIT: 503,
  CODEC_UNSUPPORTED: 415,
  RTSP_SESSION_NOT_FOUND: 454,
  RTSP_STATE_INVALID: 455,
  RTSP_TRANSPORT_UNSUPPORTED: 461,
}

/** The answer to a request that failed: status, and code and message in `Millrace-Error`. */
export function replyToError(error: AppError): Reply {
  const status = statusByCode[error.code] ?? 500
  const message = status === 500 ? 'a fault of the server; its log has the cause' : error.message
  return { status, headers: errorHeaders(error.code, message) }
}

export function errorHeaders(code: ErrorCode, message: string): HeaderFields {
  return { 'Millrace-Error': `${code}: ${message}` }
}
