import { errorTable, type AppError, type ErrorCode } from '#lib/errors.ts'

/** Status codes of gRPC: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const statusCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const
export type StatusName = keyof typeof statusCodes

/** By the HTTP status of an error code, where nothing else is said below. */
const statusByHttp: Readonly<Record<number, StatusName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'FAILED_PRECONDITION',
  413: 'RESOURCE_EXHAUSTED',
  415: 'UNIMPLEMENTED',
  416: 'OUT_OF_RANGE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
  507: 'RESOURCE_EXHAUSTED',
}

/** Clients repeat calls by themselves on UNAVAILABLE only, so this is for what passes without doing any harm. */
const statusByCode: Partial<Record<ErrorCode, StatusName>> = {
  RECORD_BATCH_TOO_LARGE: 'INVALID_ARGUMENT',
  TOPIC_EXISTS: 'ALREADY_EXISTS',
  PRODUCER_FENCED: 'ABORTED',
  GROUP_REBALANCING: 'ABORTED',
  GROUP_LIMIT: 'RESOURCE_EXHAUSTED',
  CLIENT_LIMIT: 'RESOURCE_EXHAUSTED',
  LOG_DAMAGED: 'DATA_LOSS',
}

/** The gRPC status of a fault. */
export function statusOf(error: AppError): StatusName {
  return statusByCode[error.code] ?? statusByHttp[errorTable[error.code].http] ?? 'INTERNAL'
}

/** What ends a call: HTTP/2 trailers. */
export function trailersOf(error: AppError | undefined): Record<string, string> {
  if (!error) return { 'grpc-status': '0' }
  return {
    'grpc-status': String(statusCodes[statusOf(error)]),
    'grpc-message': encodeMessage(error.message),
    'millrace-error': error.code,
  }
}

/** Longer messages are cut: clients bound the headers that they take. */
const maxMessageLength = 1024

/** Percent-encoding of what is no printable ASCII, as the gRPC protocol wants it for `grpc-message`. */
export function encodeMessage(message: string): string {
  const cut =
    message.length > maxMessageLength ? `${message.slice(0, maxMessageLength - 1).toWellFormed()}…` : message.toWellFormed()
  return cut.replaceAll(/[^ -$&-~]+/g, (text) =>
    Buffer.from(text)
      .toString('hex')
      .replaceAll(/../g, (byte) => `%${byte.toUpperCase()}`),
  )
}
