import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

const maxConnections = 200

type Direction = 'up' | 'down'

/** When a connection is cut, in bytes from its start; `isBetween`: not in what comes in one piece, but before it. `undefined`: never. */
export type CutPlan = () =>
  | { readonly direction: Direction; readonly afterBytes: number; readonly isBetween?: boolean }
  | undefined

/**
 * A way to a server that can be cut: passes bytes on both ways, with the back pressure of the slower side, and ends connections where the plan says, also in
 * the middle of a request or an answer.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #plan: CutPlan
  readonly #connections = new Set<readonly [Socket, Socket]>()
  /** Where connections go; nobody is there until it is set. */
  targetPort = 0
  cuts = 0
  /** Bytes that were sent into the silence. */
  lostBytes = 0
  #isSilent = false

  private constructor(server: Server, plan: CutPlan) {
    this.#server = server
    this.#plan = plan
    server.maxConnections = maxConnections
    server.on('connection', (client) => this.#pass(client))
  }

  /** On a free port of this machine. */
  static async open(plan: CutPlan = () => undefined): Promise<TcpProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, plan)
  }

  get port(): number {
    return addressOf(this.#server).port
  }
  /** `host:port`, for clients. */
  get brokers(): string {
    return `127.0.0.1:${this.port}`
  }

  /** From now on connections stay open and nothing comes through, as when a cable is pulled. */
  silence(): void {
    this.#isSilent = true
  }

  /** Bytes come through again; connections that lost some are gone. */
  speak(): void {
    this.#isSilent = false
    this.cutAll()
  }

  /** Ends all connections that are there. */
  cutAll(): void {
    for (const sockets of this.#connections) for (const socket of sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cutAll()
    await closed
  }

  #pass(client: Socket): void {
    const server = connect(this.targetPort, '127.0.0.1')
    const pair = [client, server] as const
    this.#connections.add(pair)
    const end = (): void => {
      this.#connections.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
    }
    const cut = this.#plan()
    const limitOf = (direction: Direction): number => (cut?.direction === direction ? cut.afterBytes : Infinity)
    const isBetween = cut?.isBetween ?? false
    const onCut = (): void => {
      this.cuts += 1
      end()
    }
    const isLost = (bytes: number): boolean => {
      if (this.#isSilent) this.lostBytes += bytes
      return this.#isSilent
    }
    forward(client, server, { limitBytes: limitOf('up'), isBetween, isLost, onCut })
    forward(server, client, { limitBytes: limitOf('down'), isBetween, isLost, onCut })
  }
}

/** Passes bytes on up to the limit; the last ones are on their way when it is cut. */
function forward(
  from: Socket,
  to: Socket,
  {
    limitBytes,
    isBetween,
    isLost,
    onCut,
  }: { limitBytes: number; isBetween: boolean; isLost: (bytes: number) => boolean; onCut: () => void },
): void {
  let leftBytes = limitBytes
  from.on('data', (chunk) => {
    if (to.destroyed || isLost(chunk.length)) return
    const isLast = chunk.length >= leftBytes
    const bytes = isLast ? chunk.subarray(0, isBetween ? 0 : leftBytes) : chunk
    leftBytes -= bytes.length
    if (isLast) {
      to.write(bytes, onCut)
      from.pause()
    } else if (!to.write(bytes)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  })
}

function addressOf(server: Server): AddressInfo {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
  return address
}
