import { connect as connectTcp, type Socket } from 'node:net'
import { Kafka, logLevel, type Consumer, type KafkaConfig } from 'kafkajs'
import { until } from './until.ts'

const patienceMs = 60_000

/** kafkajs with its default settings, but for a short first wait before it repeats. */
export function kafkajsClient({ brokers }: { readonly brokers: string }, config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, retry: { retries: 10, initialRetryTime: 50 }, ...config })
}

/** A client that can be cut off, as by a network that fails: it is not told, and cannot come back. */
export function severableClient(node: { readonly brokers: string }): { readonly kafka: Kafka; sever(): void } {
  const sockets = new Set<Socket>()
  let isSevered = false
  const socketFactory: KafkaConfig['socketFactory'] = ({ host, port, onConnect }) => {
    // Port 1 of this machine: nobody listens there.
    const socket = connectTcp({ host, port: isSevered ? 1 : port }, onConnect)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  return {
    // Few repetitions: it is not to try for long when it is disconnected.
    kafka: kafkajsClient(node, { socketFactory, retry: { retries: 2, initialRetryTime: 50 } }),
    sever() {
      isSevered = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

export type SeenMessage = {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** A consumer that notes what it gets, and is disconnected in the end. */
export class Follower implements AsyncDisposable {
  readonly seen: SeenMessage[] = []
  readonly consumer: Consumer
  /** Partitions by topic, as assigned last. */
  assignment: Readonly<Record<string, readonly number[]>> = {}
  joins = 0

  constructor(consumer: Consumer) {
    this.consumer = consumer
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.assignment = payload.memberAssignment
      this.joins += 1
    })
  }

  /** From the beginning, where the group has no offsets. */
  static async start(kafka: Kafka, { groupId, topic }: { groupId: string; topic: string }): Promise<Follower> {
    const timing = { sessionTimeout: 6000, heartbeatInterval: 300, maxWaitTimeInMs: 300, rebalanceTimeout: 10_000 }
    const follower = new Follower(kafka.consumer({ groupId, ...timing }))
    const { consumer } = follower
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommitInterval: 200,
      eachMessage: async ({ partition, message }) => {
        follower.seen.push({ partition, offset: Number(message.offset), value: String(message.value) })
      },
    })
    return follower
  }

  get values(): string[] {
    return this.seen.map(({ value }) => value)
  }

  async until(isSo: (follower: Follower) => boolean, what: string): Promise<void> {
    await until(() => isSo(this), { what, timeoutMs: patienceMs })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.consumer.disconnect()
  }
}
