import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { apis, type Api, type ApiName, type RequestInputOf, type ResponseOf } from '#formats/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '#formats/kafka/frame.ts'
import { FrameReader } from '#servers/kafka/frame-reader.ts'

const maxFrameBytes = 100_000_000

type Waiting = { readonly take: (frame: Buffer) => void; readonly fail: (error: Error) => void }

/** A connection on which many requests may be on their way; answers come in their order. When it ends, all that wait are rejected. */
export class KafkaWire implements AsyncDisposable {
  readonly #socket: Socket
  readonly #frames = new FrameReader({ maxFrameBytes: () => maxFrameBytes })
  readonly #waiting: Waiting[] = []
  #correlationId = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#frames.push(chunk)
      for (let frame = this.#frames.next(); frame; frame = this.#frames.next()) this.#waiting.shift()?.take(frame)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      for (const { fail } of this.#waiting.splice(0)) fail(new Error('the connection ended'))
    })
  }

  static async connect(port: number): Promise<KafkaWire> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new KafkaWire(socket)
  }

  /** Sends at once. A rejection that nobody awaits is no fault. */
  request<N extends ApiName>(name: N, version: number, body: RequestInputOf<N>): Promise<ResponseOf<N>> {
    const api: Api<N> = apis[name]
    const correlationId = (this.#correlationId += 1)
    const answer = new Promise<ResponseOf<N>>((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new Error('the connection has ended'))
        return
      }
      this.#waiting.push({
        fail: reject,
        take: (frame) => {
          const decoded = decodeResponse(api, version, frame)
          if (decoded.correlationId === correlationId) resolve(decoded.body)
          else reject(new Error(`answer ${decoded.correlationId} came in place of ${correlationId}`))
        },
      })
      this.#socket.write(encodeRequest(api, version, { correlationId, clientId: 'test' }, body))
    })
    answer.catch(() => undefined)
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close')
    this.#socket.destroy()
    await closed
  }
}
