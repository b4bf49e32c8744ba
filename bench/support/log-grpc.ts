import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type ClientHttp2Session } from 'node:http2'
import * as schemas from '#formats/protobuf/schemas/log-v1.ts'
import { topic } from './log-kafka.ts'
import type { ProduceMeter } from './log-meter.ts'
import type { ProduceOrder } from './log-orders.ts'
import { laneCount } from './log-wire.ts'

const method = '/millrace.log.v1.Log/Produce'
const prefixBytes = 5

/** Unary calls of `Produce`: bare HTTP/2, the same bytes again and again. */
export async function produceOverGrpc(order: ProduceOrder, meter: ProduceMeter): Promise<void> {
  const sessions = Array.from({ length: order.connections }, () => connect(`http://127.0.0.1:${order.port}`))
  for (const [connection, session] of sessions.entries()) {
    await once(session, 'connect')
    const frame = requestOf(connection % laneCount, order)
    for (let index = 0; index < order.inFlight; index++) callAgain(session, frame, meter)
  }
  await meter.run()
  for (const session of sessions) session.destroy()
}

function requestOf(partition: number, { records: count, valueBytes }: ProduceOrder): Buffer {
  const records = Array.from({ length: count }, () => ({ value: randomBytes(valueBytes) }))
  const body = schemas.produceRequest.encode({ topic, partition, records })
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(body.length, 1)
  return Buffer.concat([prefix, body])
}

/** One call after the other. */
function callAgain(session: ClientHttp2Session, frame: Buffer, meter: ProduceMeter): void {
  if (meter.isOver) return
  const sentAtMs = performance.now()
  const headers = { ':method': 'POST', ':path': method, 'content-type': 'application/grpc', te: 'trailers' }
  const call = session.request(headers)
  let status: unknown
  call.on('trailers', (trailers) => {
    status = trailers['grpc-status']
  })
  call.on('error', () => {})
  call.on('close', () => {
    if (meter.isOver) return
    if (status !== '0') throw new Error(`gRPC refuses a batch with status ${String(status)}`)
    meter.count(sentAtMs, performance.now())
    callAgain(session, frame, meter)
  })
  call.resume()
  call.end(frame)
}
