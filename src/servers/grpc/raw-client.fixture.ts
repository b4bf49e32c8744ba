import { once } from 'node:events'
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'

export type RawAnswer = {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly body: Buffer
  readonly rstCode: number
}

/** HTTP/2 without gRPC, for what its clients never send. */
export class RawClient implements AsyncDisposable {
  readonly session: ClientHttp2Session
  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`)
    this.session.on('error', () => {})
  }

  /** A call that the test itself writes and reads: nothing is taken that it does not take. */
  open(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const fixed = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    const stream = this.session.request({ ...fixed, ...headers })
    stream.on('error', () => {})
    return stream
  }

  /** Sends these bytes as one call; `isOpen`: and says not that this was all. */
  async send(
    path: string,
    body: Buffer,
    { headers = {}, isOpen = false }: { headers?: OutgoingHttpHeaders; isOpen?: boolean } = {},
  ): Promise<RawAnswer> {
    const stream = this.open(path, headers)
    const found = { headers: {}, trailers: {} }
    const chunks: Buffer[] = []
    stream.on('response', (received) => Object.assign(found.headers, received))
    stream.on('trailers', (received) => Object.assign(found.trailers, received))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    if (isOpen) stream.write(body)
    else stream.end(body)
    await once(stream, 'close')
    return { ...found, body: Buffer.concat(chunks), rstCode: stream.rstCode }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.session.destroyed) return
    const closed = once(this.session, 'close')
    this.session.destroy()
    await closed
  }
}

/** A message with its prefix. */
export function frame(body: Buffer, flag = 0, length = body.length): Buffer {
  const prefix = Buffer.of(flag, 0, 0, 0, 0)
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, body])
}
