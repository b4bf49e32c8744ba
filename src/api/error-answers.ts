import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, errorTable, type ErrorCode } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { http } from '#lib/node-http.ts'
import { traceFields, type Span } from '#lib/tracing.ts'
import type { ErrorBody } from './contract.ts'

/** What Fastify and its plugins refuse with, by their status. Our codes have their own status, which is what is answered. */
const codeByStatus: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'ROUTE_NOT_FOUND',
  408: 'TIMEOUT',
  413: 'LIMIT_EXCEEDED',
  414: 'LIMIT_EXCEEDED',
  415: 'UNSUPPORTED',
  416: 'RANGE_NOT_SATISFIABLE',
  431: 'LIMIT_EXCEEDED',
}

/** Answers any error in the one shape. Faults of our own are logged with their cause and answered without it. */
export function errorHandler(log: Logger): (error: unknown, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    const known = knownError(error)
    if (known.code === 'INTERNAL' && !request.raw.destroyed) {
      log.error(
        {
          err: error,
          code: known.code,
          method: request.method,
          url: request.url,
          requestId: request.id,
          ...traceFields(request.span),
        },
        'request failed',
      )
    }
    tellSpan(request.span, known)
    if (known.code === 'UNAUTHORIZED') void reply.header('www-authenticate', 'Basic realm="Millrace", charset="UTF-8"')
    void reply.code(known.httpStatus).type('application/json; charset=utf-8').send(errorBody(known, request.id))
  }
}

/** That a client asks for what is not there is no failure of the server. */
function tellSpan(span: Span | undefined, { code, message, httpStatus }: AppError): void {
  if (httpStatus >= 500) span?.fail(code, message)
  else span?.set({ 'error.type': code })
}

export function notFoundHandler(request: FastifyRequest): never {
  const path = request.url.split('?', 1)[0]
  throw new AppError('ROUTE_NOT_FOUND', `there is no ${request.method} ${path}; /api lists what there is`)
}

/** Answers what is no HTTP at all, or comes too slowly: there is no request yet, only the socket. */
export function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  refuseConnection(
    socket,
    wireRefusals[error.code ?? ''] ?? new AppError('MALFORMED', 'what arrived is not a valid HTTP request'),
  )
}

/** Answers on the socket itself, and ends the connection. */
export function refuseConnection(socket: Socket, refusal: AppError): void {
  const body = JSON.stringify(errorBody(refusal, ''))
  const head = [
    `HTTP/1.1 ${refusal.httpStatus} ${http.STATUS_CODES[refusal.httpStatus] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** A request, or its head, took too long to arrive. */
export const requestTimeout = new AppError('TIMEOUT', 'the request did not arrive in time; send it faster')

const wireRefusals: Readonly<Record<string, AppError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: requestTimeout,
  HPE_HEADER_OVERFLOW: new AppError('LIMIT_EXCEEDED', 'the headers are larger than 16 KiB; send fewer or shorter ones'),
}

/** Whatever was thrown, in terms of our table. */
function knownError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  if (!(thrown instanceof Error)) return new AppError('INTERNAL', String(thrown))
  const status = 'statusCode' in thrown ? Number(thrown.statusCode) : 500
  if (!(status >= 400 && status < 500)) return new AppError('INTERNAL', thrown.message, { cause: thrown })
  const code = codeByStatus[status] ?? 'REQUEST_INVALID'
  return new AppError(code, refusalMessages[code] ?? lowerFirst(thrown.message), { cause: thrown })
}

const refusalMessages: Partial<Record<ErrorCode, string>> = {
  LIMIT_EXCEEDED: 'the body is larger than 1 MiB, or a part of the path is longer than 512 characters; send less',
  UNSUPPORTED: 'bodies are JSON: send them with content-type application/json',
}

function errorBody(error: AppError, requestId: string): ErrorBody {
  const { code, message, details } = error
  if (code === 'INTERNAL') return { code, message: errorTable.INTERNAL.meaning, details: { requestId } }
  return { code, message, ...(details ? { details: { ...details } } : {}) }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
