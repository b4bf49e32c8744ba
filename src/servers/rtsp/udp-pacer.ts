/** Datagrams per millisecond to one client: more at once overflow the buffers of Wi-Fi and small switches. */
const datagramsPerMs = 20
const maxQueuedDatagrams = 16_384

type Datagram = { readonly packet: Buffer; readonly port: number }

/** Sends one client's datagrams at no more than 20 per millisecond; the rest waits, up to 16,384. */
export class UdpPacer {
  readonly #send: (packet: Buffer, port: number) => void
  #queue: Datagram[] = []
  #next = 0
  #queuedBytes = 0
  #credit = datagramsPerMs
  #timer: NodeJS.Timeout | undefined
  #dropped = 0

  constructor(send: (packet: Buffer, port: number) => void) {
    this.#send = send
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }
  /** Datagrams that did not fit in the queue. */
  get dropped(): number {
    return this.#dropped
  }

  /** All packets of one access unit: sent, queued, or dropped together when the queue is full. */
  push(packets: readonly Buffer[], port: number): void {
    if (this.#queue.length - this.#next + packets.length > maxQueuedDatagrams) {
      this.#dropped += packets.length
      return
    }
    for (const packet of packets) {
      if (this.#credit > 0 && this.#queuedBytes === 0) {
        this.#credit -= 1
        this.#send(packet, port)
      } else {
        this.#queue.push({ packet, port })
        this.#queuedBytes += packet.length
      }
    }
    this.#timer ??= setTimeout(this.#tick, 1)
  }

  /** Forgets what is queued. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
    this.#next = 0
    this.#queuedBytes = 0
  }

  readonly #tick = (): void => {
    this.#timer = undefined
    this.#credit = datagramsPerMs
    for (; this.#credit > 0; this.#credit -= 1) {
      const datagram = this.#queue[this.#next]
      if (!datagram) break
      this.#next += 1
      this.#queuedBytes -= datagram.packet.length
      this.#send(datagram.packet, datagram.port)
    }
    if (this.#next < this.#queue.length) {
      this.#timer = setTimeout(this.#tick, 1)
      return
    }
    this.#queue = []
    this.#next = 0
    // Credit that was spent in this tick must come back although nothing is left to send.
    if (this.#credit < datagramsPerMs) this.#timer = setTimeout(this.#tick, 1)
  }
}
