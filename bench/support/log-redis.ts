import { type AckCounter, digitsAt, Leftover, type ProducerWire, randomValues, type Shape } from './log-wire.ts'

const [dollar, cr] = [0x24, 0x0d]

/** The key of a lane. */
export function keyOf(lane: number): string {
  return `b${lane}`
}

/** Redis Streams: a batch is a pipeline of XADD, each with an answer of its own. */
export function redisProducer(shape: Shape): ProducerWire {
  const command = Buffer.from(`*5\r\n$4\r\nXADD\r\n$2\r\n${keyOf(shape.lane)}\r\n$1\r\n*\r\n$1\r\nv\r\n$${shape.valueBytes}\r\n`)
  const end = Buffer.from('\r\n')
  return {
    batch: Buffer.concat(randomValues(shape).flatMap((value) => [command, value, end])),
    acksPerBatch: shape.records,
    acks: () => new RedisAcks(),
  }
}

/** Every answer is the id of an entry: `$15\r\n1700000000000-0\r\n`. */
class RedisAcks implements AckCounter {
  readonly #rest = new Leftover()

  push(chunk: Buffer): number {
    let count = 0
    this.#rest.scan(chunk, (bytes) => {
      for (let at = 0; ;) {
        const lineEnd = bytes.indexOf(cr, at)
        if (lineEnd < 0) return at
        if (bytes[at] !== dollar) throw new Error(`Redis refuses a command: ${bytes.toString('utf8', at, lineEnd)}`)
        const end = lineEnd + 2 + digitsAt(bytes, at + 1) + 2
        if (end > bytes.length) return at
        count += 1
        at = end
      }
    })
    return count
  }
}
