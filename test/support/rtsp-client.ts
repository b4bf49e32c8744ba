import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { RtspFramer, type FramerSink } from '#formats/rtsp/framer.ts'
import { findHeader, writeRequest, type HeaderFields, type RtspMessage, type RtspResponse } from '#formats/rtsp/message.ts'
import { until } from './until.ts'

/** An RTSP client by hand: sends what it is told, right or wrong, and keeps what comes back. */
export class RtspTestClient implements FramerSink, AsyncDisposable {
  readonly url: string
  /** Interleaved packets, copied. */
  readonly frames: { readonly channel: number; readonly payload: Buffer }[] = []
  /** Takes interleaved packets in place of `frames`; `payload` is valid only during the call. */
  onInterleaved: ((channel: number, payload: Buffer) => void) | undefined
  /** Called for all bytes that come, after they were taken. */
  onBytes: (() => void) | undefined
  receivedBytes = 0
  readonly #responses: RtspResponse[] = []
  readonly #socket: Socket
  readonly #framer = new RtspFramer(this)
  #cseq = 0
  #session: string | undefined

  private constructor(socket: Socket, url: string) {
    this.url = url
    this.#socket = socket
    socket.on('data', (chunk) => {
      this.receivedBytes += chunk.length
      this.#framer.push(chunk)
      this.onBytes?.()
    })
    socket.on('error', () => {})
  }

  /** `path` has no slash in front. */
  static async connect(port: number, path: string): Promise<RtspTestClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new RtspTestClient(socket, `rtsp://127.0.0.1:${port}/${path}`)
  }

  get isClosed(): boolean {
    return this.#socket.closed
  }
  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  /** Sends a request for the URL of the client, or another, and waits for the answer. The session is kept and sent along. */
  async request(method: string, options: { url?: string; headers?: HeaderFields; body?: string } = {}): Promise<RtspResponse> {
    this.#cseq += 1
    const { url = this.url, headers = {}, body } = options
    const all = { CSeq: this.#cseq, Session: this.#session, ...headers }
    this.#socket.write(writeRequest({ method, url, headers: all, ...(body === undefined ? {} : { body }) }))
    const response = await this.response()
    this.#session = findHeader(response.headers, 'session')?.split(';')[0] ?? this.#session
    return response
  }

  /** The same for a request that must succeed; throws when it is refused. */
  async expect(method: string, options: Parameters<RtspTestClient['request']>[1] = {}): Promise<RtspResponse> {
    const response = await this.request(method, options)
    if (response.status === 200) return response
    const reason = findHeader(response.headers, 'millrace-error') ?? response.reason
    throw new Error(`${method} ${options.url ?? this.url}: ${response.status} ${reason}`)
  }

  /** The next answer. */
  async response(): Promise<RtspResponse> {
    return until(() => this.#responses.shift(), { what: 'an RTSP answer', timeoutMs: 5000 })
  }

  send(bytes: Buffer | string): void {
    this.#socket.write(bytes)
  }
  /** Stops taking bytes, so that they pile up at the other end. */
  stopReading(): void {
    this.#socket.pause()
  }
  resumeReading(): void {
    this.#socket.resume()
  }
  disconnect(): void {
    this.#socket.destroy()
  }

  interleaved(channel: number, payload: Buffer): void {
    if (this.onInterleaved) this.onInterleaved(channel, payload)
    else this.frames.push({ channel, payload: Buffer.from(payload) })
  }
  message(message: RtspMessage): void {
    if (message.kind === 'response') this.#responses.push(message)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close')
    this.#socket.destroy()
    await closed
  }
}
