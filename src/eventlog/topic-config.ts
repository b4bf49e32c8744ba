import { Type, type Static } from 'typebox'

/**
 * What a record must have survived to be acknowledged and shown to consumers: `wal`, it is synced to this agent's disk; `object`, it is in the object
 * store and the commit is in the database.
 */
export const durabilities = ['wal', 'object'] as const
export type Durability = (typeof durabilities)[number]

/** What a producer waits for: nothing, the disk, or the object store. */
export const ackLevels = ['none', 'wal', 'object'] as const
export type AckLevel = (typeof ackLevels)[number]

/** Settings of one topic. Sizes and ages of -1 are without limit. */
export const topicConfigSchema = Type.Object(
  {
    durability: Type.Enum([...durabilities], {
      default: 'wal',
      description: 'What a record has survived before it is acknowledged and shown: "wal" this disk, "object" the object store.',
    }),
    retentionMs: Type.Integer({
      default: 604_800_000,
      minimum: -1,
      description: 'Records older than this are deleted; -1 keeps them.',
    }),
    retentionBytes: Type.Integer({
      default: -1,
      minimum: -1,
      description: 'A partition is cut to about this size, oldest first; -1 does not cut.',
    }),
    maxMessageBytes: Type.Integer({
      default: 1_048_588,
      minimum: 1024,
      maximum: 104_857_600,
      description: 'Largest record batch that is taken.',
    }),
    timestampType: Type.Enum(['CreateTime', 'LogAppendTime'], {
      default: 'CreateTime',
      description: 'Times of records: as the producer says, or when they were appended.',
    }),
  },
  { additionalProperties: false },
)
export type TopicConfig = Static<typeof topicConfigSchema>
