import { Type, type Static } from 'typebox'

const mebibyte = 1_048_576

/** The `[log]` section: the event log of this node. */
export const logSettingsSchema = Type.Object(
  {
    walEnabled: Type.Boolean({
      default: true,
      description:
        'Keep a write-ahead log on the local disk, so that records are acknowledged when it is synced. Without it every topic waits for the object store.',
    }),
    walDirectory: Type.Optional(
      Type.String({ minLength: 1, description: 'Directory of the write-ahead log; default is `wal` in the data directory.' }),
    ),
    walSyncMilliseconds: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1000,
      description:
        'Wait this long for more records before each sync. 0 syncs at once; what arrives meanwhile goes with the next sync.',
    }),
    walSegmentBytes: Type.Integer({
      default: 64 * mebibyte,
      minimum: mebibyte,
      maximum: 1024 * mebibyte,
      description: 'Size of one file of the write-ahead log.',
    }),
    walMaxBytes: Type.Integer({
      default: 10_240 * mebibyte,
      minimum: 16 * mebibyte,
      description: 'Records that the object store has not taken yet may fill this much of the disk; then producers are refused.',
    }),
    minFreeBytes: Type.Integer({
      default: 1024 * mebibyte,
      minimum: 0,
      description: 'Producers are refused when the disk of the write-ahead log has less free space.',
    }),
    objectBytes: Type.Integer({
      default: 64 * mebibyte,
      minimum: 65_536,
      maximum: 512 * mebibyte,
      description: 'Records are gathered into objects of about this size.',
    }),
    objectMilliseconds: Type.Integer({
      default: 30_000,
      minimum: 10,
      maximum: 3_600_000,
      description: 'An object is closed at the latest after this time. With S3 this much is lost at worst when a disk dies.',
    }),
    objectAckMilliseconds: Type.Integer({
      default: 250,
      minimum: 1,
      maximum: 60_000,
      description: 'The same while somebody waits for the object store.',
    }),
    memoryBytes: Type.Integer({
      default: 256 * mebibyte,
      minimum: mebibyte,
      description:
        'Records on their way to the object store take this much memory; beyond, those in the write-ahead log are read back from it.',
    }),
    cacheBytes: Type.Integer({
      default: 64 * mebibyte,
      minimum: 0,
      description: 'The newest records stay in memory for consumers up to this size, over all partitions.',
    }),
    coldCacheBytes: Type.Integer({
      default: 64 * mebibyte,
      minimum: 0,
      description: 'Memory for blocks of objects that consumers read from further back.',
    }),
    coldReads: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 256,
      description: 'Reads from the object store at one time.',
    }),
    defaultPartitions: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 1000,
      description: 'Partitions of a topic that does not say how many.',
    }),
    autoCreateTopics: Type.Boolean({
      default: true,
      description: 'Make a topic when a Kafka client asks for one that is not there.',
    }),
    maxPartitions: Type.Integer({
      default: 10_000,
      minimum: 1,
      maximum: 1_000_000,
      description: 'Partitions of all topics together.',
    }),
    groupRebalanceMilliseconds: Type.Integer({
      default: 1000,
      minimum: 0,
      maximum: 60_000,
      description: 'A new consumer group waits this long for its members before the first assignment.',
    }),
    offsetRetentionHours: Type.Number({
      default: 168,
      minimum: 1,
      description: 'Committed offsets of a group without members are kept this long.',
    }),
    eventRetentionHours: Type.Number({
      default: 720,
      minimum: 1,
      description: 'Events of the platform (topic `millrace.events`) are kept this long.',
    }),
  },
  { additionalProperties: false },
)
export type LogSettings = Static<typeof logSettingsSchema>
