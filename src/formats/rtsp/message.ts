import { AppError } from '#lib/errors.ts'

export const rtspMethods = [
  'OPTIONS',
  'DESCRIBE',
  'ANNOUNCE',
  'SETUP',
  'PLAY',
  'PAUSE',
  'RECORD',
  'GET_PARAMETER',
  'SET_PARAMETER',
  'TEARDOWN',
] as const
export type RtspMethod = (typeof rtspMethods)[number]

/** Header fields by name in lower case; several values where the header came several times. */
type RtspHeaders = ReadonlyMap<string, readonly string[]>

/** RFC 2326 §6. `method` is as written: it may be none of `rtspMethods`. */
export type RtspRequest = {
  readonly kind: 'request'
  readonly method: string
  readonly url: string
  readonly version: string
  readonly headers: RtspHeaders
  readonly body: Buffer
}

/** RFC 2326 §7. */
export type RtspResponse = {
  readonly kind: 'response'
  readonly status: number
  readonly reason: string
  readonly headers: RtspHeaders
  readonly body: Buffer
}

export type RtspMessage = RtspRequest | RtspResponse

/** What a message may have; beyond it is `LIMIT_EXCEEDED`. */
export const rtspLimits = { headBytes: 16_384, headers: 64, urlBytes: 2048, bodyBytes: 131_072 } as const

/** Header fields to write, names as they go on the wire: `CSeq` must have that case for some cameras. */
export type HeaderFields = Readonly<Record<string, string | number | readonly string[] | undefined>>

/** All up to the empty line, parsed; the body follows and has `bodyLength` bytes. */
type RtspHead = { readonly message: RtspMessage; readonly bodyLength: number }

/** Reads start line and header fields. Throws `MALFORMED` and `LIMIT_EXCEEDED`. */
export function parseHead(text: string): RtspHead {
  checkLimit('headBytes', text.length)
  const [startLine = '', ...lines] = text.split(/\r?\n/)
  const headers = parseHeaders(lines)
  return { message: parseStartLine(startLine, headers), bodyLength: parseContentLength(headers) }
}

/** The first value of a header field; the name in lower case. */
export function findHeader(headers: RtspHeaders, name: Lowercase<string>): string | undefined {
  return headers.get(name)?.[0]
}

export function writeRequest(request: { method: string; url: string; headers: HeaderFields; body?: string }): Buffer {
  return writeMessage(`${request.method} ${request.url} RTSP/1.0`, request.headers, request.body)
}

export function writeResponse(response: { status: number; reason: string; headers: HeaderFields; body?: string }): Buffer {
  return writeMessage(`RTSP/1.0 ${response.status} ${response.reason}`, response.headers, response.body)
}

const emptyBody = Buffer.alloc(0)

function parseStartLine(line: string, headers: RtspHeaders): RtspMessage {
  const response = /^RTSP\/\d\.\d +(\d{3})(?: +(.*))?$/.exec(line)
  if (response) {
    return { kind: 'response', status: Number(response[1]), reason: response[2]?.trim() ?? '', headers, body: emptyBody }
  }
  const request = /^([A-Z_]{1,32}) +(\S+) +(RTSP\/\d\.\d)$/.exec(line.trimEnd())
  if (!request)
    throw new AppError('MALFORMED', `"${printable(line)}" starts no RTSP message; it must be a request or a status line`)
  const [, method = '', url = '', version = ''] = request
  checkLimit('urlBytes', url.length)
  return { kind: 'request', method, url, version, headers, body: emptyBody }
}

function parseHeaders(lines: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  let last: string[] | undefined
  let count = 0
  for (const line of lines) {
    if (line === '') continue
    // A line that starts with a blank continues the one before, RFC 2326 §4.2.
    if (line.startsWith(' ') || line.startsWith('\t')) {
      last?.push(`${last.pop() ?? ''} ${line.trim()}`)
      continue
    }
    const at = line.indexOf(':')
    if (at <= 0) throw new AppError('MALFORMED', `"${printable(line)}" is no header field; it must be "Name: value"`)
    checkLimit('headers', (count += 1))
    const name = line.slice(0, at).trim().toLowerCase()
    last = headers.get(name) ?? []
    last.push(line.slice(at + 1).trim())
    headers.set(name, last)
  }
  return headers
}

function parseContentLength(headers: RtspHeaders): number {
  const text = findHeader(headers, 'content-length')
  if (text === undefined || text === '') return 0
  if (!/^\d{1,15}$/.test(text)) throw new AppError('MALFORMED', `Content-Length "${printable(text)}" is no number`)
  checkLimit('bodyBytes', Number(text))
  return Number(text)
}

function writeMessage(startLine: string, headers: HeaderFields, body: string | undefined): Buffer {
  let head = `${startLine}\r\n`
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    for (const one of typeof value === 'object' ? value : [value]) head += `${name}: ${oneLine(String(one))}\r\n`
  }
  if (body !== undefined) head += `Content-Length: ${Buffer.byteLength(body)}\r\n`
  return Buffer.from(`${head}\r\n${body ?? ''}`)
}

/** Text from elsewhere must not begin a header of its own. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}

/** The start of foreign text, fit for an error message. */
function printable(text: string): string {
  return text.slice(0, 80).replace(/[^\x20-\x7e]/g, '·')
}

function checkLimit(what: keyof typeof rtspLimits, count: number): void {
  if (count <= rtspLimits[what]) return
  throw new AppError('LIMIT_EXCEEDED', `an RTSP message has ${count} ${what}, at most ${rtspLimits[what]} are read`)
}
