import { Value } from 'typebox/value'
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { LogMetadata, PartitionRow, TopicRow } from './metadata/log-metadata.ts'
import type { Partition } from './partition.ts'
import { Topic } from './topic.ts'
import { topicConfigSchema, type TopicConfig } from './topic-config.ts'

/** A topic to be made; what is left out comes from the settings. */
export type NewTopic = { readonly name: string; readonly partitionCount?: number; readonly config?: Partial<TopicConfig> }

/** What the rest of the agent does when topics change. */
export interface TopicListener {
  /** Makes the agent owner of these partitions; their offsets are known when it resolves. */
  acquire(partitions: readonly Partition[]): Promise<void>
  /** Brings all that consumers of the topic may have seen into the object store. Throws `LOG_UNAVAILABLE` when that cannot be done. */
  commit(topic: Topic): Promise<void>
  /** The topic is gone; nobody may append to its partitions any more. */
  deleted(topic: Topic): void
}

type Deps = {
  readonly metadata: LogMetadata
  readonly settings: { readonly defaultPartitions: number; readonly maxPartitions: number }
  readonly hasWal: boolean
  readonly clock: Clock
  readonly newUuid: () => string
  readonly listener: TopicListener
}

/** The topics of this agent: in memory to be found, in the database to last. */
export class Topics {
  readonly #deps: Deps
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<string, Topic>()
  /** Names that are being made: asking for the same one twice makes it once. */
  readonly #creating = new Map<string, Promise<Topic>>()
  /** Ids of topics that are being given partitions. */
  readonly #growing = new Set<string>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Loads what the database has; the partitions are not owned yet. */
  async load(): Promise<void> {
    for (const row of await this.#deps.metadata.loadTopics()) this.#add(new Topic(row, this.#deps))
  }

  /** In order of names. */
  list(): readonly Topic[] {
    return [...this.#byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
  find(name: string): Topic | undefined {
    return this.#byName.get(name)
  }
  findById(id: string): Topic | undefined {
    return this.#byId.get(id)
  }
  /** Throws `TOPIC_NOT_FOUND`. */
  get(name: string): Topic {
    const topic = this.#byName.get(name)
    if (topic) return topic
    throw new AppError('TOPIC_NOT_FOUND', `there is no topic "${name}"; create it first`)
  }

  /** Throws `TOPIC_EXISTS` or `TOPIC_INVALID` when a topic like this cannot be made. */
  checkNew({ name, partitionCount, config }: NewTopic): void {
    checkName(name)
    if (this.#byName.has(name)) throw new AppError('TOPIC_EXISTS', `topic "${name}" exists already`)
    this.#checkPartitionCount(partitionCount ?? this.#deps.settings.defaultPartitions)
    completeConfig(config ?? {})
  }

  /** Throws what `checkNew` throws. */
  async create(topic: NewTopic): Promise<Topic> {
    this.checkNew(topic)
    if (this.#creating.has(topic.name)) {
      throw new AppError('TOPIC_EXISTS', `topic "${topic.name}" is being made by another request`)
    }
    const making = this.#create(topic).finally(() => this.#creating.delete(topic.name))
    this.#creating.set(topic.name, making)
    return await making
  }

  /** The topic, made with default settings when it is not there. */
  async ensure(topic: NewTopic): Promise<Topic> {
    const known = this.#byName.get(topic.name)
    if (known) return known
    try {
      return await (this.#creating.get(topic.name) ?? this.create(topic))
    } catch (error) {
      const adopted = this.#byName.get(topic.name)
      if (adopted) return adopted
      throw error
    }
  }

  /** Removes the topic with all its records. Throws `TOPIC_NOT_FOUND`. */
  async delete(name: string): Promise<void> {
    const { metadata, clock, listener } = this.#deps
    const topic = this.get(name)
    refuseInternal(topic, 'deleted')
    await metadata.deleteTopic({ id: topic.id, nowMs: clock.nowMs() })
    this.#byName.delete(name)
    this.#byId.delete(topic.id)
    listener.deleted(topic)
  }

  /** Throws `TOPIC_NOT_FOUND`, and `TOPIC_INVALID` when the topic has as many partitions or more: their number only grows. */
  async addPartitions(name: string, total: number): Promise<Topic> {
    const topic = this.get(name)
    refuseInternal(topic, 'given more partitions')
    const count = topic.partitions.length
    if (total <= count) {
      throw new AppError('TOPIC_INVALID', `topic "${name}" has ${count} partitions; ask for more than that, not for ${total}`)
    }
    this.#checkPartitionCount(total - count)
    if (this.#growing.has(topic.id))
      throw new AppError('TOPIC_INVALID', `topic "${name}" is being given partitions by another request`)
    this.#growing.add(topic.id)
    try {
      const added = topic.newPartitions(await this.#addRows(topic, total))
      await this.#deps.listener.acquire(added)
      topic.addPartitions(added)
    } finally {
      this.#growing.delete(topic.id)
    }
    return topic
  }

  /**
   * Changes some settings. A change of durability to `object` waits for the object store, holds from then on, and is tried again when it fails. Throws
   * `TOPIC_NOT_FOUND`, `TOPIC_INVALID`, `LOG_UNAVAILABLE`.
   */
  async configure(name: string, changes: Partial<TopicConfig>): Promise<Topic> {
    const topic = this.get(name)
    const config = completeConfig({ ...topic.config, ...changes })
    if (config.durability === 'object' && topic.durability === 'wal') {
      // Consumers may have been shown what only the disk has. It must be committed first: after another start nothing less durable is shown.
      topic.configure({ ...topic.config, durability: 'object' })
      await this.#deps.listener.commit(topic)
    }
    await this.#deps.metadata.configureTopic({ id: topic.id, config })
    topic.configure(config)
    return topic
  }

  async #create({ name, partitionCount, config }: NewTopic): Promise<Topic> {
    const { metadata, settings, clock, newUuid } = this.#deps
    try {
      const row = await metadata.createTopic({
        id: newUuid(),
        name,
        config: completeConfig(config ?? {}),
        partitionCount: partitionCount ?? settings.defaultPartitions,
        nowMs: clock.nowMs(),
      })
      return await this.#adopt(row)
    } catch (thrown) {
      // A request before this one made it, and never had its answer.
      const row = toAppError(thrown).code === 'TOPIC_EXISTS' && (await this.#loadRow((one) => one.name === name))
      if (row) await this.#adopt(row)
      throw thrown
    }
  }

  async #adopt(row: TopicRow): Promise<Topic> {
    const topic = new Topic(row, this.#deps)
    await this.#deps.listener.acquire(topic.partitions)
    this.#add(topic)
    return topic
  }

  /** The rows of the partitions that are new here; where an earlier request never had its answer, the database has made them already. */
  async #addRows(topic: Topic, total: number): Promise<readonly PartitionRow[]> {
    try {
      return await this.#deps.metadata.addPartitions({ id: topic.id, total })
    } catch (thrown) {
      const row = toAppError(thrown).code === 'TOPIC_INVALID' && (await this.#loadRow(({ id }) => id === topic.id))
      const missing = row ? row.partitions.filter(({ index }) => index >= topic.partitions.length) : []
      if (missing.length === 0) throw thrown
      return missing
    }
  }

  async #loadRow(isWanted: (row: TopicRow) => boolean): Promise<TopicRow | undefined> {
    return (await this.#deps.metadata.loadTopics()).find(isWanted)
  }

  #add(topic: Topic): void {
    this.#byName.set(topic.name, topic)
    this.#byId.set(topic.id, topic)
  }

  #checkPartitionCount(added: number): void {
    const { maxPartitions } = this.#deps.settings
    if (!Number.isInteger(added) || added < 1) throw new AppError('TOPIC_INVALID', 'a topic has one partition or more')
    const existing = [...this.#byName.values()].reduce((sum, { partitions }) => sum + partitions.length, 0)
    if (existing + added <= maxPartitions) return
    const message = `${existing} partitions exist, ${added} more are above log.maxPartitions (${maxPartitions}); raise it or use fewer`
    throw new AppError('TOPIC_INVALID', message)
  }
}

/** The same rule as Kafka's: names are file names on other brokers. */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return
  const message = `"${name.slice(0, 60)}" cannot name a topic; use 1 to 249 letters, digits, ".", "_" and "-"`
  throw new AppError('TOPIC_INVALID', message)
}

function refuseInternal(topic: Topic, what: string): void {
  if (topic.isInternal) throw new AppError('TOPIC_INVALID', `topic "${topic.name}" belongs to Millrace and cannot be ${what}`)
}

/** The settings with defaults for what is left out. Throws `TOPIC_INVALID` naming the setting. */
function completeConfig(given: Partial<TopicConfig>): TopicConfig {
  const value = Value.Default(topicConfigSchema, { ...given })
  if (Value.Check(topicConfigSchema, value)) return value
  const [error] = Value.Errors(topicConfigSchema, value)
  throw new AppError('TOPIC_INVALID', `topic setting ${error?.instancePath.slice(1) ?? ''} ${error?.message ?? 'is not allowed'}`)
}
