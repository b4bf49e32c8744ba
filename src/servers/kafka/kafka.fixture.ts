import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { AclRow, ScramRow } from '#eventlog/metadata/log-metadata.ts'
import type { TopicConfig } from '#eventlog/topic-config.ts'
import { apis, type Api, type ApiName, type RequestInputOf, type ResponseOf } from '#formats/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '#formats/kafka/frame.ts'
import { checkBatch, placeBatch, readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import { until } from '../../../test/support/until.ts'
import { FrameReader } from './frame-reader.ts'
import type {
  Access,
  Appended,
  FetchedPartition,
  FetchPosition,
  FetchRequest,
  GroupsHub,
  LogHub,
  NewTopic,
  PartitionRef,
  SecurityStore,
  Topic,
  TopicsHub,
} from './log-hub.ts'
import { KafkaServer, type KafkaServerDeps } from './server.ts'
import type { KafkaSettings } from './settings.ts'
import { parseWholeTopicConfig } from './topic-configs.ts'

export const silentLog = createLog({ level: 'silent', pretty: false })

/** Access rules and credentials in memory. */
export class MemorySecurityStore implements SecurityStore {
  #acls: AclRow[] = []
  #scram: ScramRow[] = []

  async loadAcls(): Promise<AclRow[]> {
    return [...this.#acls]
  }
  async addAcls(acls: readonly AclRow[]): Promise<void> {
    this.#acls.push(...acls)
  }
  async removeAcls(acls: readonly AclRow[]): Promise<void> {
    const gone = new Set(acls.map((row) => JSON.stringify(row)))
    this.#acls = this.#acls.filter((row) => !gone.has(JSON.stringify(row)))
  }
  async loadScramCredentials(): Promise<ScramRow[]> {
    return [...this.#scram]
  }
  async saveScramCredential(row: ScramRow): Promise<void> {
    await this.deleteScramCredential(row)
    this.#scram.push(row)
  }
  async deleteScramCredential({ user, mechanism }: { user: string; mechanism: string }): Promise<boolean> {
    const before = this.#scram.length
    this.#scram = this.#scram.filter((row) => row.user !== user || row.mechanism !== mechanism)
    return this.#scram.length < before
  }
}

class MemoryPartition {
  readonly index: number
  readonly batches: { readonly baseOffset: number; readonly bytes: Buffer }[] = []
  highWatermark = 0

  constructor(index: number) {
    this.index = index
  }
}

type MemoryTopic = Omit<Topic, 'partitions' | 'config'> & { config: TopicConfig; readonly partitions: MemoryPartition[] }

class MemoryTopics implements TopicsHub {
  readonly #topics = new Map<string, MemoryTopic>()
  #made = 0

  list(): readonly MemoryTopic[] {
    return [...this.#topics.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
  find(name: string): MemoryTopic | undefined {
    return this.#topics.get(name)
  }
  findById(id: string): MemoryTopic | undefined {
    return this.list().find((topic) => topic.id === id)
  }
  async create(topic: NewTopic): Promise<MemoryTopic> {
    this.checkNew(topic)
    this.#made += 1
    const { name, partitionCount = 1, config = {} } = topic
    const partitions = Array.from({ length: partitionCount }, (_, index) => new MemoryPartition(index))
    const id = `00000000-0000-4000-8000-${String(this.#made).padStart(12, '0')}`
    const made = { id, name, isInternal: false, config: { ...parseWholeTopicConfig([]), ...config }, partitions }
    this.#topics.set(name, made)
    return made
  }
  async ensure(topic: NewTopic): Promise<MemoryTopic> {
    return this.find(topic.name) ?? (await this.create(topic))
  }
  checkNew({ name }: NewTopic): void {
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name)) throw new AppError('TOPIC_INVALID', `"${name}" cannot name a topic`)
    if (this.find(name)) throw new AppError('TOPIC_EXISTS', `topic "${name}" exists already`)
  }
  async delete(name: string): Promise<void> {
    if (!this.#topics.delete(name)) throw new AppError('TOPIC_NOT_FOUND', `there is no topic "${name}"`)
  }
  async addPartitions(name: string, total: number): Promise<Topic> {
    const topic = this.require(name)
    if (total <= topic.partitions.length) throw new AppError('TOPIC_INVALID', 'there are as many')
    while (topic.partitions.length < total) topic.partitions.push(new MemoryPartition(topic.partitions.length))
    return topic
  }
  async configure(name: string, changes: Partial<TopicConfig>): Promise<Topic> {
    const topic = this.require(name)
    topic.config = { ...topic.config, ...changes }
    return topic
  }
  require(name: string): MemoryTopic {
    const topic = this.find(name)
    if (topic) return topic
    throw new AppError('TOPIC_NOT_FOUND', `there is no topic "${name}"`)
  }
}

/** What groups answer where a test says nothing else. */
export const noGroups: GroupsHub = {
  join: () => Promise.reject(unknownMember()),
  sync: () => Promise.reject(unknownMember()),
  heartbeat: () => {
    throw unknownMember()
  },
  leave: ({ members }) => members.map((member) => ({ ...member, error: unknownMember() })),
  commitOffsets: async ({ offsets }) => offsets.map(({ topic, partition }) => ({ topic, partition })),
  committedOffsets: async (_groupId, partitions = []) =>
    partitions.map((one) => ({ ...one, offset: -1, leaderEpoch: -1, metadata: '' })),
  describe: () => undefined,
  list: () => [],
  delete: (groupId) => Promise.reject(new AppError('GROUP_NOT_FOUND', `there is no group "${groupId}"`)),
  deleteOffsets: async (_groupId, partitions) => partitions.map((one) => ({ ...one })),
}

function unknownMember(): AppError {
  return new AppError('GROUP_MEMBER_UNKNOWN', 'the group does not know this member')
}

/** A log in memory: enough to see what the server asks of the real one, and in which order. */
export class MemoryHub implements LogHub {
  readonly nodeId = 1
  readonly topics = new MemoryTopics()
  readonly metadata = new MemorySecurityStore()
  groups: GroupsHub = noGroups
  /** Acknowledgements wait for this. */
  acks: Promise<void> = Promise.resolve()
  /** What was asked, in order. */
  readonly appends: (PartitionRef & { readonly ack: string; readonly baseOffset: number })[] = []
  readonly fetches: FetchRequest[] = []
  /** Batches that came without a promise. */
  offered = 0
  readonly #watchers = new Set<() => void>()
  #producers = 0

  async append(ref: PartitionRef, batch: Buffer, options: { ack?: 'none' | 'wal' | 'object' }): Promise<Appended> {
    const partition = this.#require(ref)
    const header = readBatchHeader(batch)
    checkBatch(batch, header)
    const baseOffset = partition.highWatermark
    placeBatch(batch, { baseOffset, leaderEpoch: 0 })
    partition.batches.push({ baseOffset, bytes: batch })
    partition.highWatermark += header.lastOffsetDelta + 1
    this.appends.push({ ...ref, ack: options.ack ?? 'default', baseOffset })
    for (const wake of this.#watchers) wake()
    if (options.ack !== 'none') await this.acks
    return { baseOffset, appendTimeMs: -1, logStartOffset: 0 }
  }

  offer(...[ref, batches, options, sink]: Parameters<LogHub['offer']>): void {
    const { bytes, ends } = batches
    this.offered += ends.length
    const single = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
    void Promise.all(single.map((batch) => this.append(ref, batch, options).catch(toAppError))).then(sink)
  }

  async fetch(request: FetchRequest): Promise<readonly FetchedPartition[]> {
    this.fetches.push(request)
    const deadlineMs = performance.now() + request.maxWaitMs
    for (;;) {
      const found = this.#collect(request)
      const bytes = found.flatMap(({ batches }) => batches).reduce((sum, { length }) => sum + length, 0)
      const waitMs = deadlineMs - performance.now()
      if (bytes >= request.minBytes || waitMs <= 0 || request.signal?.aborted || found.some(({ error }) => error)) return found
      await this.#advanced(waitMs, request.signal)
    }
  }

  async findOffset(
    ref: PartitionRef,
    at: 'earliest' | 'latest' | 'max-timestamp' | number,
  ): Promise<{ offset: number; timestampMs: number }> {
    const { highWatermark } = this.#require(ref)
    if (at === 'earliest') return { offset: 0, timestampMs: -1 }
    return at === 'latest' ? { offset: highWatermark, timestampMs: -1 } : { offset: -1, timestampMs: -1 }
  }

  async deleteRecords(ref: PartitionRef, beforeOffset: number): Promise<number> {
    const { highWatermark } = this.#require(ref)
    if (beforeOffset > highWatermark) throw new AppError('OFFSET_OUT_OF_RANGE', 'there are not so many records')
    return beforeOffset < 0 ? highWatermark : beforeOffset
  }

  async allocateProducerId(): Promise<number> {
    this.#producers += 1
    return this.#producers
  }

  #collect({ partitions, maxBytes }: FetchRequest): FetchedPartition[] {
    let left = maxBytes
    return partitions.map((position) => {
      const fetched = this.#read(position, left)
      left -= fetched.batches.reduce((sum, { length }) => sum + length, 0)
      return fetched
    })
  }

  #read({ topic, partition, offset, maxBytes }: FetchPosition, leftBytes: number): FetchedPartition {
    const ref = { topic, partition }
    try {
      const { batches, highWatermark } = this.#require(ref)
      if (offset > highWatermark) throw new AppError('OFFSET_OUT_OF_RANGE', 'there are not so many records')
      let left = Math.min(maxBytes, leftBytes)
      const taken = batches
        .filter(({ baseOffset }) => baseOffset >= offset)
        .filter(({ bytes }) => {
          left -= bytes.length
          return left >= 0
        })
      return { ...ref, batches: taken.map(({ bytes }) => bytes), highWatermark, logStartOffset: 0 }
    } catch (thrown) {
      const error = thrown instanceof AppError ? thrown : new AppError('INTERNAL', String(thrown))
      return { ...ref, batches: [], highWatermark: -1, logStartOffset: -1, error }
    }
  }

  #require({ topic: name, partition: index }: PartitionRef): MemoryPartition {
    const partition = this.topics.require(name).partitions[index]
    if (partition) return partition
    throw new AppError('PARTITION_NOT_FOUND', `topic "${name}" has no partition ${index}`)
  }

  async #advanced(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      this.#watchers.add(done)
      signal?.addEventListener('abort', done)
    })
  }
}

export const openAccess: Access = {
  isRequired: () => false,
  hasUser: () => false,
  findPassword: () => undefined,
  isAdmin: () => false,
}

/** Users `root` (an administrator), `alice` and `bob`; the password is the name, doubled. */
export const userAccess: Access = {
  isRequired: () => true,
  hasUser: (user) => ['root', 'alice', 'bob'].includes(user),
  findPassword: (user) => (['root', 'alice', 'bob'].includes(user) ? user + user : undefined),
  isAdmin: (user) => user === 'root',
}

const testSettings: KafkaSettings = {
  enabled: true,
  host: '127.0.0.1',
  port: 0,
  maxConnections: 100,
  maxFrameBytes: 10_000_000,
  maxInFlightBytes: 10_000_000,
  idleSeconds: 60,
}

/** A server on a free port of this machine, with a log in memory. */
export async function startKafkaServer(
  options: { settings?: Partial<KafkaSettings>; access?: Access; hub?: MemoryHub } & Partial<
    Pick<KafkaServerDeps, 'tls' | 'log'>
  > = {},
): Promise<{ server: KafkaServer; hub: MemoryHub; connect: () => Promise<KafkaTestClient> } & AsyncDisposable> {
  const hub = options.hub ?? new MemoryHub()
  const server = await KafkaServer.listen({
    hub,
    clusterId: 'test-cluster',
    access: options.access ?? openAccess,
    isAutoCreating: true,
    clock: systemClock,
    timers: systemTimers,
    log: options.log ?? silentLog,
    settings: { ...testSettings, ...options.settings },
    ...(options.tls ? { tls: options.tls } : {}),
  })
  return {
    server,
    hub,
    connect: () => KafkaTestClient.connect(server.port),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** A client that sends what a test wants it to. Answers are taken in order. */
export class KafkaTestClient implements AsyncDisposable {
  readonly socket: Socket
  readonly #frames = new FrameReader({ maxFrameBytes: () => 100_000_000 })
  readonly #received: Buffer[] = []
  #correlationId = 0
  isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#frames.push(chunk)
      for (let frame = this.#frames.next(); frame; frame = this.#frames.next()) this.#received.push(frame)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  static async connect(port: number): Promise<KafkaTestClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new KafkaTestClient(socket)
  }

  /** Answers that came and were not taken. */
  get waiting(): number {
    return this.#received.length
  }

  /** Sends a request; returns what its answer is read with. */
  send<N extends ApiName>(name: N, version: number, body: RequestInputOf<N>): () => Promise<ResponseOf<N>> {
    const api: Api<N> = apis[name]
    const correlationId = (this.#correlationId += 1)
    this.socket.write(encodeRequest(api, version, { correlationId, clientId: 'test' }, body))
    return async () => {
      const answer = decodeResponse(api, version, await this.frame())
      if (answer.correlationId !== correlationId)
        throw new Error(`answer ${answer.correlationId} came in place of ${correlationId}`)
      return answer.body
    }
  }

  request<N extends ApiName>(name: N, version: number, body: RequestInputOf<N>): Promise<ResponseOf<N>> {
    return this.send(name, version, body)()
  }

  /** The next answer, as it came. */
  async frame(): Promise<Buffer> {
    await until(() => this.#received.length > 0 || this.isClosed, { what: 'an answer' })
    const frame = this.#received.shift()
    if (!frame) throw new Error('the server closed the connection')
    return frame
  }

  async untilClosed(): Promise<void> {
    await until(() => this.isClosed, { what: 'the connection to be closed' })
  }

  /** PLAIN, with the password of the test's users unless another is given. */
  async login(user: string, password = user + user): Promise<number> {
    await this.request('saslHandshake', 1, { mechanism: 'PLAIN' })
    const { errorCode } = await this.request('saslAuthenticate', 2, { authBytes: Buffer.from(`\0${user}\0${password}`) })
    return errorCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isClosed) return
    const closed = once(this.socket, 'close')
    this.socket.destroy()
    await closed
  }
}

/** A batch of so many records; each value has so many bytes. */
export function batchOf(count: number, valueBytes = 10): Buffer {
  const value = Buffer.alloc(valueBytes, 'v')
  return encodeBatch(Array.from({ length: count }, () => ({ key: null, value, headers: [], timestampMs: 1_700_000_000_000 })))
}

/** A Produce request for one partition. */
export function produceOf(
  topic: string,
  records: Buffer | null,
  options: { acks?: number; index?: number } = {},
): RequestInputOf<'produce'> {
  const { acks = -1, index = 0 } = options
  return { transactionalId: null, acks, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [{ index, records }] }] }
}

/** A Fetch request for partitions 0 of these topics. */
export function fetchOf(
  topics: readonly string[],
  options: { offset?: number; maxWaitMs?: number; minBytes?: number; maxBytes?: number } = {},
): RequestInputOf<'fetch'> {
  const { offset = 0, maxWaitMs = 0, minBytes = 1, maxBytes = 1_000_000 } = options
  return {
    replicaId: -1,
    maxWaitMs,
    minBytes,
    maxBytes,
    topics: topics.map((topic) => ({ topic, partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: maxBytes }] })),
  }
}
