import { Value } from 'typebox/value'
import { topicConfigSchema, type TopicConfig } from '#eventlog/topic-config.ts'
import { AppError } from '#lib/errors.ts'

/** Types of settings on the wire. https://kafka.apache.org/protocol.html#The_Messages_DescribeConfigs */
export const configTypes = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const
export type ConfigType = keyof typeof configTypes

/** A setting as Kafka clients see it. */
export type ShownConfig = {
  readonly name: string
  readonly value: string
  readonly isDefault: boolean
  readonly type: ConfigType
  readonly documentation: string
}
/** A change that a client asks for; null sets the default. */
export type AskedConfig = { readonly name: string; readonly value: string | null }

type Key = keyof TopicConfig
type Setting<K extends Key> = {
  readonly key: K
  readonly type: ConfigType
  readonly documentation: string
  /** Throws `TOPIC_INVALID`. */
  readonly parse: (name: string, text: string) => TopicConfig[K]
}

/** The defaults of Millrace, which are those of Kafka. */
const defaults = Value.Create(topicConfigSchema)

/** Settings that mean something here. */
const settings: { readonly [name: string]: { readonly [K in Key]: Setting<K> }[Key] } = {
  'retention.ms': {
    key: 'retentionMs',
    type: 'long',
    parse: parseInteger,
    documentation: 'Records older than this are deleted; -1 keeps them.',
  },
  'retention.bytes': {
    key: 'retentionBytes',
    type: 'long',
    parse: parseInteger,
    documentation: 'A partition is cut to about this size, oldest first; -1 does not cut.',
  },
  'max.message.bytes': {
    key: 'maxMessageBytes',
    type: 'int',
    parse: parseInteger,
    documentation: 'Largest record batch that is taken.',
  },
  'message.timestamp.type': {
    key: 'timestampType',
    type: 'string',
    parse: oneOf('CreateTime', 'LogAppendTime'),
    documentation: 'Times of records: as the producer says, or when they were appended.',
  },
  'millrace.durability': {
    key: 'durability',
    type: 'string',
    parse: oneOf('wal', 'object'),
    documentation:
      'What a record has survived before it is acknowledged and shown: wal the disk of this node, object the object store.',
  },
}

type FixedSetting = { readonly value: string; readonly type: ConfigType; readonly reason: string }

const noSegments = 'the log is not kept in segments that could be tuned'
const noCompaction = 'old values of a key are not compacted away'
const noReplicas = 'a partition has no replicas: what a record survives is millrace.durability'
const noTiers = 'every topic is in the object store'
const maxLong = '9223372036854775807'

/** Settings of Kafka that mean nothing here: they can be set to what they are. */
const fixed: { readonly [name: string]: FixedSetting } = {
  'cleanup.policy': { value: 'delete', type: 'list', reason: `${noCompaction}; only delete is possible` },
  'compression.type': { value: 'producer', type: 'string', reason: 'batches are kept as producers compressed them' },
  'min.insync.replicas': { value: '1', type: 'int', reason: noReplicas },
  'unclean.leader.election.enable': { value: 'false', type: 'boolean', reason: noReplicas },
  'leader.replication.throttled.replicas': { value: '', type: 'list', reason: noReplicas },
  'follower.replication.throttled.replicas': { value: '', type: 'list', reason: noReplicas },
  'segment.bytes': { value: '1073741824', type: 'int', reason: noSegments },
  'segment.ms': { value: '604800000', type: 'long', reason: noSegments },
  'segment.jitter.ms': { value: '0', type: 'long', reason: noSegments },
  'segment.index.bytes': { value: '10485760', type: 'int', reason: noSegments },
  'index.interval.bytes': { value: '4096', type: 'int', reason: noSegments },
  'file.delete.delay.ms': { value: '60000', type: 'long', reason: noSegments },
  preallocate: { value: 'false', type: 'boolean', reason: noSegments },
  'flush.messages': { value: maxLong, type: 'long', reason: 'every record is synced before it is acknowledged' },
  'flush.ms': { value: maxLong, type: 'long', reason: 'every record is synced before it is acknowledged' },
  'delete.retention.ms': { value: '86400000', type: 'long', reason: noCompaction },
  'min.cleanable.dirty.ratio': { value: '0.5', type: 'double', reason: noCompaction },
  'min.compaction.lag.ms': { value: '0', type: 'long', reason: noCompaction },
  'max.compaction.lag.ms': { value: maxLong, type: 'long', reason: noCompaction },
  'message.timestamp.before.max.ms': { value: maxLong, type: 'long', reason: 'times of records are not checked' },
  'message.timestamp.after.max.ms': { value: maxLong, type: 'long', reason: 'times of records are not checked' },
  'message.timestamp.difference.max.ms': { value: maxLong, type: 'long', reason: 'times of records are not checked' },
  'message.downconversion.enable': { value: 'false', type: 'boolean', reason: 'records are never converted' },
  'remote.storage.enable': { value: 'false', type: 'boolean', reason: noTiers },
  'local.retention.ms': { value: '-2', type: 'long', reason: noTiers },
  'local.retention.bytes': { value: '-2', type: 'long', reason: noTiers },
}

/** All settings of a topic, by name. */
export function showTopicConfig(config: TopicConfig): ShownConfig[] {
  const own = Object.entries(settings).map(([name, { key, type, documentation }]) => ({
    name,
    value: String(config[key]),
    isDefault: config[key] === defaults[key],
    type,
    documentation,
  }))
  const others = Object.entries(fixed).map(([name, { value, type, reason }]) => ({
    name,
    value,
    isDefault: true,
    type,
    documentation: `Cannot be changed: ${reason}.`,
  }))
  return [...own, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** The settings that these say; those that mean nothing here must say what is so anyway. Throws `TOPIC_INVALID`. */
export function parseTopicConfig(asked: readonly AskedConfig[]): Partial<TopicConfig> {
  return Object.assign({}, ...asked.map(parseOne))
}

/** The same, with the defaults for all that is not said. */
export function parseWholeTopicConfig(asked: readonly AskedConfig[]): TopicConfig {
  return { ...defaults, ...parseTopicConfig(asked) }
}

/** Whether the setting is a list that clients may append to. */
export function isListConfig(name: string): boolean {
  return Object.hasOwn(fixed, name) && fixed[name]?.type === 'list'
}

function parseOne({ name, value }: AskedConfig): Partial<TopicConfig> {
  if (Object.hasOwn(settings, name)) {
    const setting = settings[name]
    if (setting) return { [setting.key]: value === null ? defaults[setting.key] : setting.parse(name, value.trim()) }
  }
  const known = Object.hasOwn(fixed, name) ? fixed[name] : undefined
  if (!known) throw invalid(`there is no topic setting "${name.slice(0, 100)}"`)
  if (value === null || value.trim() === known.value) return {}
  throw invalid(`${name}=${value.slice(0, 100)} is not possible: ${known.reason}; leave it out, or set it to "${known.value}"`)
}

/** What is beyond 2^53 is meant as "no limit". */
function parseInteger(name: string, text: string): number {
  if (!/^-?\d{1,19}$/.test(text)) throw invalid(`${name}=${text.slice(0, 100)} is not a whole number`)
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : -1
}

function oneOf<const T extends string>(...values: readonly T[]): (name: string, text: string) => T {
  return (name, text) => {
    const value = values.find((known) => known === text)
    if (value === undefined) throw invalid(`${name}=${text.slice(0, 100)} is not possible; it can be ${values.join(' or ')}`)
    return value
  }
}

function invalid(message: string): AppError {
  return new AppError('TOPIC_INVALID', message)
}
