import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The connections of an HTTP server by what they are doing, so that it can stop. `closeIdleConnections` of Node leaves those alone that never sent
 * a request, such as browsers open ahead of need, and those that become idle after it was called: each of them cost the whole time limit.
 */
export class Connections {
  /** How many answers are under way on each. */
  readonly #open = new Map<Socket, number>()
  #isClosing = false

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#open.set(socket, 0)
      socket.once('close', () => this.#open.delete(socket))
    })
    server.on('request', ({ socket }, response) => {
      this.#count(socket, 1)
      response.once('close', () => this.#count(socket, -1))
    })
    // WebSockets have their own way to say goodbye.
    server.on('upgrade', ({ socket }) => this.#open.delete(socket))
  }

  /** Ends those without a request now, the others when they are answered. */
  close(): void {
    this.#isClosing = true
    for (const [socket, answers] of this.#open) if (answers === 0) socket.destroy()
  }

  #count(socket: Socket, change: 1 | -1): void {
    const answers = this.#open.get(socket)
    if (answers === undefined) return
    this.#open.set(socket, answers + change)
    if (this.#isClosing && answers + change === 0) socket.destroySoon()
  }
}
