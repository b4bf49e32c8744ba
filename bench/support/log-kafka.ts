import { apis } from '#formats/kafka/apis.ts'
import { encodeRequest } from '#formats/kafka/frame.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { type AckCounter, Leftover, type ProducerWire, randomValues, type Shape } from './log-wire.ts'

export const topic = 'bench'
const header = { correlationId: 1, clientId: 'bench' }
const version = 7
/** Length, correlation id, array of topics, name, array of partitions, index. */
const errorCodeAt = 4 + 4 + 4 + 2 + topic.length + 4 + 4

/** Kafka Produce: a batch is one record batch in one request, answered when it is synced (acks=1). */
export function kafkaProducer(shape: Shape): ProducerWire {
  const timestampMs = Date.now()
  const records = encodeBatch(randomValues(shape).map((value) => ({ key: null, value, headers: [], timestampMs })))
  const topicData = [{ name: topic, partitionData: [{ index: shape.lane, records }] }]
  return {
    batch: encodeRequest(apis.produce, version, header, { acks: 1, timeoutMs: 30_000, topicData }),
    acksPerBatch: 1,
    acks: () => new KafkaAcks(),
  }
}

class KafkaAcks implements AckCounter {
  readonly #rest = new Leftover()

  push(chunk: Buffer): number {
    let count = 0
    this.#rest.scan(chunk, (bytes) => {
      let at = 0
      while (bytes.length - at >= 4) {
        const end = at + 4 + bytes.readInt32BE(at)
        if (end > bytes.length) break
        const errorCode = bytes.readInt16BE(at + errorCodeAt)
        if (errorCode !== 0) throw new Error(`Kafka refuses a batch with error ${errorCode}`)
        count += 1
        at = end
      }
      return at
    })
    return count
  }
}
