import type { IncomingHttpHeaders } from 'node:http2'
import { AppError } from '#lib/errors.ts'

/** How messages can be compressed. */
export const encodings = ['identity', 'gzip'] as const
export type Encoding = (typeof encodings)[number]

const timeoutUnitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/** What the request headers of a call say: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export type CallHeaders = {
  /** `grpc-timeout`; absent: the client waits for ever. */
  readonly timeoutMs: number | undefined
  readonly requestEncoding: Encoding
  /** The client reads gzip. */
  readonly acceptsGzip: boolean
}

/** Throws `MALFORMED` for a timeout that is none, `UNSUPPORTED` for a compression that is not known. */
export function parseCallHeaders(headers: IncomingHttpHeaders): CallHeaders {
  const accepted = headerText(headers['grpc-accept-encoding'])
  return {
    timeoutMs: parseTimeout(headerText(headers['grpc-timeout'])),
    requestEncoding: parseEncoding(headerText(headers['grpc-encoding'])),
    acceptsGzip: accepted !== undefined && accepted.split(',').some((one) => one.trim() === 'gzip'),
  }
}

/** gRPC with protobuf, which is what it is when nothing is said. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(\+proto)?(;|$)/.test(contentType)
}

function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? []
  if (digits === undefined) {
    throw new AppError(
      'MALFORMED',
      `grpc-timeout "${text.slice(0, 20)}" is none; write up to 8 digits and one of H, M, S, m, u, n`,
    )
  }
  return Number(digits) * (timeoutUnitsMs[unit] ?? 0)
}

function parseEncoding(text = 'identity'): Encoding {
  const encoding = encodings.find((one) => one === text)
  if (encoding) return encoding
  throw new AppError(
    'UNSUPPORTED',
    `messages compressed with "${text.slice(0, 20)}" cannot be read; use ${encodings.join(' or ')}`,
  )
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.join(',')
}
