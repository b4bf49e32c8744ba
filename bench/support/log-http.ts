import { type AckCounter, digitsAt, Leftover, type ProducerWire, type Shape } from './log-wire.ts'
import { topic } from './log-kafka.ts'

const headEnd = Buffer.from('\r\n\r\n')
const lengthName = 'content-length: '

/** `POST /api/v1/topics/<topic>/records`, JSON, values as text, one partition named. */
export function httpProducer({ lane, records, valueBytes }: Shape): ProducerWire {
  const text = (): string => Array.from({ length: valueBytes }, () => Math.floor(Math.random() * 36).toString(36)).join('')
  const body = JSON.stringify({ records: Array.from({ length: records }, () => ({ partition: lane, value: text() })) })
  const head = `POST /api/v1/topics/${topic}/records HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  return { batch: Buffer.from(head + body), acksPerBatch: 1, acks: () => new HttpAcks() }
}

class HttpAcks implements AckCounter {
  readonly #rest = new Leftover()

  push(chunk: Buffer): number {
    let count = 0
    this.#rest.scan(chunk, (bytes) => {
      for (let at = 0; ;) {
        const bodyAt = bytes.indexOf(headEnd, at) + headEnd.length
        if (bodyAt < headEnd.length) return at
        const end = bodyAt + lengthOf(bytes.toString('latin1', at, bodyAt))
        if (end > bytes.length) return at
        if (digitsAt(bytes, at + 'HTTP/1.1 '.length) !== 200)
          throw new Error(`HTTP refuses a batch: ${bytes.toString('utf8', at, end)}`)
        count += 1
        at = end
      }
    })
    return count
  }
}

function lengthOf(head: string): number {
  const at = head.toLowerCase().indexOf(lengthName)
  if (at < 0) throw new Error(`an answer without content-length: ${head}`)
  return Number.parseInt(head.slice(at + lengthName.length), 10)
}
