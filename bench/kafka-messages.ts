/** Requests and responses of the Kafka protocol, without sockets: `node bench/kafka-messages.ts`. Records pass through; their size hardly counts. */
import { Reader } from '#bytes/reader.ts'
import { apis } from '#formats/kafka/apis.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  encodeResponseChunks,
  readRequestHeader,
} from '#formats/kafka/frame.ts'

const roundMs = 100
const rounds = 12
const header = { correlationId: 1, clientId: 'bench-client' }
const topics = (count: number): string[] => Array.from({ length: count }, (_, at) => `topic-number-${at}`)
const indexes = (count: number): number[] => Array.from({ length: count }, (_, at) => at)

type Row = { message: string; partitions: number; 'µs/message': string; 'ns/partition': number; 'messages/s': number }
const rows: Row[] = []

for (const width of [1, 10, 100]) {
  for (const version of [7, 9]) produce(version, width, Buffer.alloc(1_000))
  for (const version of [11, 12]) fetch(version, width)
}
console.table(rows)

function produce(version: number, width: number, records: Buffer): void {
  const partitionData = indexes(width).map((index) => ({ index, records }))
  const frame = encodeRequest(apis.produce, version, header, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: topics(width).map((name) => ({ name, partitionData })),
  }).subarray(4)
  measure(`Produce ${version} request, decode`, width, () => {
    const r = new Reader(frame)
    readRequestHeader(r)
    decodeRequest(apis.produce, version, r)
  })
  const partitionResponses = indexes(width).map((index) => ({ index, errorCode: 0, baseOffset: 123_456_789, logStartOffset: 0 }))
  const responses = topics(width).map((name) => ({ name, partitionResponses }))
  measure(`Produce ${version} response, encode`, width, () => encodeResponse(apis.produce, version, 1, { responses }))
}

function fetch(version: number, width: number): void {
  const asked = indexes(width).map((partition) => ({ partition, fetchOffset: 123_456, partitionMaxBytes: 1_048_576 }))
  const frame = encodeRequest(apis.fetch, version, header, {
    replicaId: -1,
    maxWaitMs: 500,
    minBytes: 1,
    topics: topics(width).map((topic) => ({ topic, partitions: asked })),
  }).subarray(4)
  measure(`Fetch ${version} request, decode`, width, () => {
    const r = new Reader(frame)
    readRequestHeader(r)
    decodeRequest(apis.fetch, version, r)
  })
  for (const sizeBytes of [0, 1_000, 16_384]) fetchResponse(version, width, Buffer.alloc(sizeBytes))
}

function fetchResponse(version: number, width: number, batch: Buffer): void {
  const partitions = indexes(width).map((partitionIndex) => ({
    partitionIndex,
    errorCode: 0,
    highWatermark: 9_999_999,
    lastStableOffset: 9_999_999,
    logStartOffset: 0,
    records: [batch],
  }))
  const body = { responses: topics(width).map((topic) => ({ topic, partitions })) }
  const name = `Fetch ${version} response, ${batch.length} bytes a partition`
  measure(`${name}, encode`, width, () => encodeResponseChunks(apis.fetch, version, 1, body))
  if (batch.length * width * width > 10_000_000) return
  const frame = encodeResponse(apis.fetch, version, 1, body).subarray(4)
  measure(`${name}, decode`, width, () => decodeResponse(apis.fetch, version, frame))
}

/** The fastest of some rounds: the box is shared. */
function measure(message: string, width: number, run: () => unknown): void {
  let fastestMs = Infinity
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now()
    let count = 0
    while (performance.now() - startMs < roundMs) {
      for (let i = 0; i < 5; i++) run()
      count += 5
    }
    fastestMs = Math.min(fastestMs, (performance.now() - startMs) / count)
  }
  rows.push({
    message,
    partitions: width * width,
    'µs/message': (fastestMs * 1000).toFixed(2),
    'ns/partition': Math.round((fastestMs * 1e6) / width ** 2),
    'messages/s': Math.round(1000 / fastestMs),
  })
}
