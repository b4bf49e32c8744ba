import { type AckCounter, digitsAt, Leftover, type ProducerWire, randomValues, type Shape } from './log-wire.ts'

const [letterM, letterP, cr, space, quote] = [0x4d, 0x50, 0x0d, 0x20, 0x22]
const pong = Buffer.from('PONG\r\n')
const connect = 'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n'
const refusal = '{"error"'

/** The stream of a lane, and its subject. */
export function streamOf(lane: number): string {
  return `b${lane}`
}

/** Connects, and asks for the answers to `inbox`. */
export function natsHello(inbox: string): NonNullable<ProducerWire['hello']> {
  return { bytes: Buffer.from(`${connect}SUB ${inbox} 1\r\nPING\r\n`), isAnswered: (bytes) => bytes.includes(pong) }
}

/** JetStream has no batches: each record is a message of its own with an acknowledgement of its own. */
export function natsProducer(shape: Shape): ProducerWire {
  const inbox = `i.${shape.connection}`
  const command = Buffer.from(`PUB ${streamOf(shape.lane)} ${inbox} ${shape.valueBytes}\r\n`)
  const end = Buffer.from('\r\n')
  return {
    hello: natsHello(inbox),
    batch: Buffer.concat(randomValues(shape).flatMap((value) => [command, value, end])),
    acksPerBatch: shape.records,
    acks: (send) => new NatsAcks(send),
  }
}

class NatsAcks implements AckCounter {
  readonly #messages: NatsMessages

  constructor(send: (bytes: Buffer) => void) {
    this.#messages = new NatsMessages(send)
  }

  push(chunk: Buffer): number {
    return this.#messages.push(chunk, (bytes, at, lengthBytes) => {
      if (bytes[at + 2] === refusal.charCodeAt(2) && bytes[at + 1] === quote) {
        throw new Error(`JetStream refuses a message: ${bytes.toString('utf8', at, at + lengthBytes)}`)
      }
    })
  }
}

/** The messages that a NATS server sends; it is kept content. */
export class NatsMessages {
  readonly #rest = new Leftover()
  readonly #send: (bytes: Buffer) => void

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send
  }

  /** Calls `take` with the place of each payload; returns how many there were. */
  push(chunk: Buffer, take: (bytes: Buffer, at: number, lengthBytes: number) => void): number {
    let count = 0
    this.#rest.scan(chunk, (bytes) => {
      for (let at = 0; ;) {
        const lineEnd = bytes.indexOf(cr, at)
        if (lineEnd < 0 || lineEnd + 2 > bytes.length) return at
        let end = lineEnd + 2
        if (bytes[at] === letterM) {
          const lengthBytes = digitsAt(bytes, lastWord(bytes, lineEnd))
          end += lengthBytes + 2
          if (end > bytes.length) return at
          take(bytes, lineEnd + 2, lengthBytes)
          count += 1
        } else this.#answer(bytes, at, lineEnd)
        at = end
      }
    })
    return count
  }

  #answer(bytes: Buffer, at: number, lineEnd: number): void {
    if (bytes[at] === 0x2d) throw new Error(`NATS ends the connection: ${bytes.toString('utf8', at, lineEnd)}`)
    if (bytes[at] === letterP && bytes[at + 1] === 0x49) this.#send(pong)
  }
}

function lastWord(bytes: Buffer, lineEnd: number): number {
  let at = lineEnd
  while (bytes[at - 1] !== space) at -= 1
  return at
}
