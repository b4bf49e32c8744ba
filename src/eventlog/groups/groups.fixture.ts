import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { ManualTimers } from '#lib/timers.ts'
import { openDatabase } from '#store/sql/database.ts'
import type { LogMetadata } from '../metadata/log-metadata.ts'
import { sqlLogMetadata } from '../metadata/sql-log-metadata.ts'
import type { GroupSettings, JoinAnswer, JoinRequest, SyncAnswer } from './group-types.ts'
import { Groups } from './groups.ts'

export const groupId = 'readers'
export const sessionTimeoutMs = 10_000
export const rebalanceTimeoutMs = 60_000

const log = createLog({ level: 'silent', pretty: false })
const settings: GroupSettings = {
  initialRebalanceDelayMs: 0,
  minSessionTimeoutMs: 1_000,
  maxSessionTimeoutMs: 300_000,
  maxGroups: 100,
  maxMembers: 100,
  offsetRetentionMs: 7 * 86_400_000,
}
export const config = {
  durability: 'wal',
  retentionMs: -1,
  retentionBytes: -1,
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
} as const

/** Who joined, with what it was told. */
export type Joined = { readonly request: JoinRequest; readonly answer: JoinAnswer }

/** A coordinator over a database in memory, with a clock and timers that the test moves. */
export class GroupsFixture implements AsyncDisposable {
  readonly clock = new ManualClock()
  readonly timers = new ManualTimers(this.clock)
  /** Topic names by id; the test adds and removes. */
  readonly topics = new Map<string, string>()
  readonly #database: AsyncDisposable
  readonly #settings: GroupSettings
  readonly metadata: LogMetadata
  groups: Groups
  #ids = 0

  private constructor(
    database: AsyncDisposable,
    { metadata, overrides }: { metadata: LogMetadata; overrides: Partial<GroupSettings> },
  ) {
    this.#database = database
    this.metadata = metadata
    this.#settings = { ...settings, ...overrides }
    this.groups = this.#make()
  }

  /** `change` wraps the database, to hold it up or let it fail. */
  static async open(
    overrides: Partial<GroupSettings> = {},
    change: (metadata: LogMetadata) => Partial<LogMetadata> = () => ({}),
  ): Promise<GroupsFixture> {
    const database = await openDatabase({ url: 'sqlite::memory:', log })
    const metadata = sqlLogMetadata(database)
    const fixture = new GroupsFixture(database, { metadata: { ...metadata, ...change(metadata) }, overrides })
    await fixture.groups.open()
    return fixture
  }

  /** The same database in another process. */
  async restart(): Promise<void> {
    await this.groups[Symbol.asyncDispose]()
    this.groups = this.#make()
    await this.groups.open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.groups[Symbol.asyncDispose]()
    await this.#database[Symbol.asyncDispose]()
  }

  async addTopic(name: string): Promise<string> {
    const id = `00000000-0000-4000-8000-${String(this.topics.size).padStart(12, '0')}`
    await this.metadata.createTopic({ id, name, config, partitionCount: 4, nowMs: this.clock.nowMs() })
    this.topics.set(id, name)
    return id
  }

  async join(overrides: Partial<JoinRequest> = {}): Promise<Joined> {
    const request = joinRequest(overrides)
    return { request, answer: await this.groups.join(request) }
  }

  /** The same member once more. */
  async rejoin({ request, answer }: Joined, overrides: Partial<JoinRequest> = {}): Promise<Joined> {
    return await this.join({ ...request, memberId: answer.memberId, ...overrides })
  }

  /** What the leader gives each member is "generation/member". */
  async sync({ request, answer }: Joined, overrides: { generation?: number; signal?: AbortSignal } = {}): Promise<SyncAnswer> {
    const { memberId, members } = answer
    const generation = overrides.generation ?? answer.generation
    const assignments = members.map((member) => ({
      memberId: member.memberId,
      assignment: Buffer.from(`${generation}/${member.memberId}`),
    }))
    const { instanceId } = request
    const asking = { groupId: request.groupId, memberId, instanceId, generation, protocolType: null, protocol: null, assignments }
    return await this.groups.sync({ ...asking, ...overrides })
  }

  heartbeat({ request, answer }: Joined): void {
    const { memberId, generation } = answer
    this.groups.heartbeat({ groupId: request.groupId, memberId, instanceId: request.instanceId, generation })
  }

  /** Members that have joined and have their assignments; the first leads. */
  async stable(...requests: Partial<JoinRequest>[]): Promise<Joined[]> {
    const [leader = {}, ...followers] = requests
    let members = [await this.join(leader)]
    for (const request of followers) {
      const joining = [this.join(request), ...members.map(async (member) => await this.rejoin(member))]
      const [newcomer, ...others] = await Promise.all(joining)
      members = newcomer ? [...others, newcomer] : others
    }
    await Promise.all(members.map(async (member) => await this.sync(member)))
    return members
  }

  #make(): Groups {
    const { clock, timers, metadata, topics } = this
    const newId = (): string => `m${++this.#ids}`
    const topicIdOf = (name: string): string | undefined => [...topics].find(([, topic]) => topic === name)?.[0]
    return new Groups({
      metadata,
      clock,
      timers,
      newId,
      log,
      settings: this.#settings,
      topicIdOf,
      topicNameOf: (id) => topics.get(id),
    })
  }
}

export function joinRequest(overrides: Partial<JoinRequest> = {}): JoinRequest {
  return {
    groupId,
    memberId: '',
    instanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('orders') }],
    mustKnowMemberId: false,
    ...overrides,
  }
}

/** The metadata of a consumer: version 0, its topics, no user data. */
export function subscription(...topics: string[]): Buffer {
  const names = topics.map((topic) => {
    const bytes = Buffer.from(topic)
    return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length), bytes])
  })
  return Buffer.concat([Buffer.of(0, 0, 0, 0, 0, topics.length), ...names, Buffer.of(255, 255, 255, 255)])
}

/** What has become of a request once everything that can go on has done so: its fault's code, `ok`, or `waits`. */
export async function outcomeOf(request: Promise<unknown>): Promise<string> {
  let outcome = 'waits'
  void request.then(
    () => (outcome = 'ok'),
    (error: unknown) => (outcome = error instanceof AppError ? error.code : String(error)),
  )
  await turn()
  return outcome
}

/** Resolves when all promises that can go on have done so. */
export async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
