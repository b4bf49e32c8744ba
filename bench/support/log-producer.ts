/**
 * Produces to one server over raw connections that each keep a number of batches in flight, and counts acknowledgements.
 *
 * node log-producer.ts <a ProduceOrder as JSON>
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { produceOverGrpc } from './log-grpc.ts'
import { httpProducer } from './log-http.ts'
import { kafkaProducer } from './log-kafka.ts'
import { pause, ProduceMeter } from './log-meter.ts'
import { natsProducer } from './log-nats.ts'
import type { ProduceOrder } from './log-orders.ts'
import { redisProducer } from './log-redis.ts'
import { laneCount, type ProducerWire, type RawSystem, type Shape } from './log-wire.ts'

const wires: Record<RawSystem, (shape: Shape) => ProducerWire> = {
  kafka: kafkaProducer,
  nats: natsProducer,
  redis: redisProducer,
  http: httpProducer,
}
const order: ProduceOrder = JSON.parse(process.argv[2] ?? '')
const meter = new ProduceMeter(order)

/** One connection: batches are answered in order, so the oldest that is not answered is the next one. */
class Producer {
  readonly #socket: Socket
  readonly #wire: ProducerWire
  /** As many batches as may be in flight, one behind the other: any number of them is one write. */
  readonly #window: Buffer
  readonly #sentAtMs: Float64Array
  #next = 0
  #oldest = 0
  #inFlight = 0
  #acks = 0
  #unsent = order.batchesPerConnection ?? Number.POSITIVE_INFINITY

  constructor(socket: Socket, wire: ProducerWire) {
    this.#socket = socket
    this.#wire = wire
    this.#window = Buffer.concat(Array.from({ length: order.inFlight }, () => wire.batch))
    this.#sentAtMs = new Float64Array(order.inFlight)
    const acks = wire.acks((bytes) => void socket.write(bytes))
    socket.on('data', (chunk) => this.#count(acks.push(chunk)))
    this.#send(order.inFlight)
  }

  get isDone(): boolean {
    return this.#unsent === 0 && this.#inFlight === 0
  }

  #count(acks: number): void {
    this.#acks += acks
    const done = Math.floor(this.#acks / this.#wire.acksPerBatch)
    if (done === 0) return
    this.#acks -= done * this.#wire.acksPerBatch
    this.#inFlight -= done
    const nowMs = performance.now()
    for (let index = 0; index < done; index++) {
      meter.count(this.#sentAtMs[this.#oldest] ?? 0, nowMs)
      this.#oldest = (this.#oldest + 1) % order.inFlight
    }
    if (!meter.isOver) this.#send(done)
  }

  #send(wanted: number): void {
    const count = Math.min(wanted, this.#unsent)
    this.#unsent -= count
    this.#inFlight += count
    const nowMs = performance.now()
    for (let index = 0; index < count; index++) {
      this.#sentAtMs[this.#next] = nowMs
      this.#next = (this.#next + 1) % order.inFlight
    }
    this.#socket.write(this.#window.subarray(0, count * this.#wire.batch.length))
  }
}

async function produceRaw(system: RawSystem): Promise<void> {
  const { connections, batchesPerConnection } = order
  const opened = await Promise.all(Array.from({ length: connections }, (_, connection) => open(system, connection)))
  const producers = opened.map(({ socket, wire }) => new Producer(socket, wire))
  if (batchesPerConnection === undefined) await meter.run()
  else while (!producers.every(({ isDone }) => isDone)) await pause(10)
  meter.isOver = true
  for (const { socket } of opened) socket.destroy()
}

async function open(system: RawSystem, connection: number): Promise<{ socket: Socket; wire: ProducerWire }> {
  const { port, records, valueBytes } = order
  const wire = wires[system]({ lane: connection % laneCount, connection, records, valueBytes })
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  if (wire.hello) await greet(socket, wire.hello)
  socket.on('close', () => {
    if (!meter.isOver) throw new Error('the server has closed the connection')
  })
  return { socket, wire }
}

async function greet(socket: Socket, { bytes, isAnswered }: NonNullable<ProducerWire['hello']>): Promise<void> {
  let received = Buffer.alloc(0)
  socket.write(bytes)
  while (!isAnswered(received)) {
    const [chunk] = await once(socket, 'data')
    received = Buffer.concat([received, chunk])
  }
}

await (order.system === 'grpc' ? produceOverGrpc(order, meter) : produceRaw(order.system))
