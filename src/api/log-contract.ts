/** What goes over `/api/v1` about topics, records and consumer groups, both ways; the rules of `contract.ts` hold here, too. */
import { Type, type Static } from 'typebox'
import { ackLevels, topicConfigSchema } from '#eventlog/topic-config.ts'
import { closed, countSchema, nextCursor, pageQuerySchema, timeSchema } from './contract.ts'

const partitionSchema = Type.Integer({ minimum: 0, maximum: 999_999, description: 'Number of the partition, from 0.' })
/** Numbers are exact up to here, and Kafka's own are hardly ever larger. */
const offsetSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const ackSchema = Type.Enum([...ackLevels], {
  description:
    'What to wait for: `wal` the disk of this agent, `object` the object store, `none` nothing. Absent: the durability of the topic.',
})
/** Longest answer to wait for; shorter than what proxies allow. */
export const maxWaitMs = 55_000

// Topics

export const topicNameSchema = Type.String({
  pattern: '^[a-zA-Z0-9._-]{1,249}$',
  description: '1 to 249 letters, digits, ".", "_" and "-".',
})
export const topicParamsSchema = Type.Object({ name: topicNameSchema }, closed)
export const partitionParamsSchema = Type.Object({ name: topicNameSchema, partition: partitionSchema }, closed)

const searchField = {
  search: Type.Optional(Type.String({ maxLength: 249, description: 'Part of the name; case does not matter.' })),
}
export const searchQuerySchema = Type.Object({ ...pageQuerySchema.properties, ...searchField }, closed)

const partialTopicConfigSchema = Type.Partial(topicConfigSchema, closed)
const partitionCountSchema = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** The body of POST /topics. What is absent has its default. */
export const topicCreateSchema = Type.Object(
  {
    name: topicNameSchema,
    partitions: Type.Optional(partitionCountSchema),
    config: Type.Optional(partialTopicConfigSchema),
  },
  { ...closed, title: 'TopicCreate' },
)
export type TopicCreate = Static<typeof topicCreateSchema>

/** The body of PATCH /topics/:name. */
export const topicChangeSchema = Type.Object(
  {
    config: Type.Optional(partialTopicConfigSchema),
    partitions: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'How many there are to be; their number only grows.' }),
    ),
  },
  { ...closed, title: 'TopicChange', minProperties: 1 },
)

const trafficFields = {
  appendedRecords: Type.Integer({ minimum: 0, description: 'Written since this process started.' }),
  appendedBytes: Type.Integer({ minimum: 0, description: 'The same as record batches.' }),
  fetchedRecords: Type.Integer({ minimum: 0, description: 'Given to consumers since this process started.' }),
  fetchedBytes: Type.Integer({ minimum: 0, description: 'The same as record batches.' }),
}
export const partitionViewSchema = Type.Object(
  {
    partition: partitionSchema,
    state: Type.Enum(['online', 'failed', 'unowned'], {
      description:
        '`online` takes records; `failed` refuses them, `error` says why; `unowned`: no agent, or another one, has it. Reading works in all of them.',
    }),
    error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
    epoch: Type.Integer({ minimum: 0, description: 'Grows with each change of owner.' }),
    logStartOffset: Type.Integer({ minimum: 0, description: 'The oldest record that is kept.' }),
    highWatermark: Type.Integer({ minimum: 0, description: 'What the next record to be shown will have.' }),
    sizeBytes: Type.Integer({ description: 'Bytes in the object store; records get there some seconds after they are shown.' }),
    ...trafficFields,
  },
  { title: 'Partition' },
)
export type PartitionView = Static<typeof partitionViewSchema>
export const partitionListSchema = Type.Object({ items: Type.Array(partitionViewSchema), nextCursor })

const topicFields = {
  name: topicNameSchema,
  id: Type.String({ description: 'A UUID; another topic of the same name has another one.' }),
  isInternal: Type.Boolean({ description: 'Millrace itself writes it; nobody else may.' }),
  createdAt: timeSchema,
  config: topicConfigSchema,
  partitionCount: countSchema,
  recordCount: Type.Integer({ minimum: 0, description: 'Records kept, over all partitions.' }),
  sizeBytes: Type.Integer({ description: 'Bytes in the object store, over all partitions.' }),
  ...trafficFields,
}
export const topicSummarySchema = Type.Object(topicFields, { title: 'TopicSummary' })
export type TopicSummary = Static<typeof topicSummarySchema>
export const topicListSchema = Type.Object({ items: Type.Array(topicSummarySchema), nextCursor })

export const topicViewSchema = Type.Object({ ...topicFields, partitions: Type.Array(partitionViewSchema) }, { title: 'Topic' })
export type TopicView = Static<typeof topicViewSchema>

export const deleteRecordsSchema = Type.Object(
  {
    beforeOffset: Type.Integer({
      minimum: -1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'The first record to keep; -1 deletes all that there are.',
    }),
  },
  { ...closed, title: 'DeleteRecords' },
)
export const deletedRecordsSchema = Type.Object({ logStartOffset: offsetSchema })

const placeText = '`earliest`, `latest`, or a time: ISO 8601, or milliseconds since the Unix epoch.'
const placeLength = { minLength: 1, maxLength: 40 } as const
const atSchema = Type.String({ ...placeLength, description: placeText })
export const offsetsQuerySchema = Type.Object({ at: Type.Optional(atSchema), partition: Type.Optional(partitionSchema) }, closed)
export const offsetListSchema = Type.Object({
  items: Type.Array(
    Type.Object({
      partition: partitionSchema,
      offset: Type.Integer({
        minimum: 0,
        description: 'Where to begin. For a time: its first record, or the end when none is that late.',
      }),
      timestamp: Type.Optional(timeSchema),
    }),
  ),
})

// Producing

const bytesText =
  'Text is stored as its UTF-8, other JSON as its JSON text, `{ "base64": "…" }` as the bytes it stands for, null as none.'
/** `value` of a record, of its key, of its headers. */
const producedBytesSchema = Type.Unknown({ description: bytesText })

/** For the documentation: records are checked by hand (`records-input.ts`), which is several times as fast. */
export const newRecordSchema = Type.Object(
  {
    key: Type.Optional(Type.Unknown({ description: `${bytesText} Records with the same key go to the same partition.` })),
    value: Type.Unknown({ description: `${bytesText} With null the record is a tombstone.` }),
    headers: Type.Optional(Type.Array(Type.Object({ key: Type.String(), value: producedBytesSchema }, closed))),
    partition: Type.Optional(partitionSchema),
    timestamp: Type.Optional(Type.Unknown({ description: 'ISO 8601, or milliseconds since the Unix epoch; now when absent.' })),
  },
  { ...closed, title: 'NewRecord' },
)
export const produceSchema = Type.Object(
  { records: Type.Array(newRecordSchema, { minItems: 1 }), ack: Type.Optional(ackSchema) },
  { ...closed, title: 'Produce' },
)
export const produceQuerySchema = Type.Object(
  {
    partition: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 999_999, description: 'For records that name none; required for record batches.' }),
    ),
    ack: Type.Optional(ackSchema),
  },
  closed,
)
export type ProduceQuery = Static<typeof produceQuerySchema>

/** Where records of one partition went. Records of others may lie in between when there are fewer than the offsets span. */
export const producedOffsetsSchema = Type.Object(
  { partition: partitionSchema, baseOffset: offsetSchema, lastOffset: offsetSchema, count: countSchema },
  { title: 'ProducedOffsets' },
)
export type ProducedOffsets = Static<typeof producedOffsetsSchema>
export const producedSchema = Type.Object(
  { ack: ackSchema, offsets: Type.Array(producedOffsetsSchema) },
  { title: 'Produced', description: 'All records are as durable as `ack` says.' },
)
export type Produced = Static<typeof producedSchema>

// Consuming

const consumedBytesSchema = Type.Unknown({
  description: 'Text where the bytes are UTF-8, otherwise `{ "base64": "…" }`, or null.',
})
export const recordViewSchema = Type.Object(
  {
    partition: partitionSchema,
    offset: offsetSchema,
    timestamp: Type.Optional(timeSchema),
    key: consumedBytesSchema,
    value: Type.Unknown({ description: 'As `key`; null is a tombstone. With `as=json`: what the text says where it is JSON.' }),
    headers: Type.Array(Type.Object({ key: Type.String(), value: consumedBytesSchema })),
  },
  { title: 'Record' },
)
export type RecordView = Static<typeof recordViewSchema>

export const maxRecordsPerPage = 10_000
const mebibyte = 1_048_576
export const consumeFormats = ['json', 'ndjson', 'batch'] as const

export const consumeQuerySchema = Type.Object(
  {
    partition: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999, description: 'Only this one; all when absent.' })),
    offset: Type.Optional(
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Begin here; needs `partition`.' }),
    ),
    at: Type.Optional(Type.String({ ...placeLength, description: `Begin there: ${placeText} Absent: \`earliest\`.` })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 12_000, description: '`nextCursor` of the answer before.' })),
    group: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'Begin where this group has committed; `at` is for partitions where it has not.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: `Records at most; 500 when absent, up to ${maxRecordsPerPage}. NDJSON: no bound.`,
      }),
    ),
    maxBytes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 16 * mebibyte, description: 'About this much at most; 1 MiB when absent.' }),
    ),
    waitMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: maxWaitMs, description: 'When there is nothing yet, wait this long for something.' }),
    ),
    format: Type.Optional(
      Type.Enum([...consumeFormats], {
        description:
          '`json` one page; `ndjson` a stream of one record a line; `batch` record batches of Kafka as they are stored. Otherwise by the Accept header.',
      }),
    ),
    as: Type.Optional(Type.Enum(['json'], { description: 'Values whose text is JSON come as JSON.' })),
    follow: Type.Optional(
      Type.Enum(['true', 'false'], {
        description: 'NDJSON goes on with what comes, until the client goes; else it ends at the end.',
      }),
    ),
  },
  closed,
)
export type ConsumeQuery = Static<typeof consumeQuerySchema>

/** How far an answer has come in a partition. */
export const readPositionSchema = Type.Object(
  {
    partition: partitionSchema,
    nextOffset: Type.Integer({
      minimum: 0,
      description: 'Read on here; what a group commits when it has worked on these records.',
    }),
    highWatermark: Type.Integer({ minimum: 0, description: 'The end.' }),
    logStartOffset: Type.Integer({ minimum: 0, description: 'The oldest record that is kept.' }),
  },
  { title: 'ReadPosition' },
)
export const recordPageSchema = Type.Object(
  {
    records: Type.Array(recordViewSchema),
    nextCursor: Type.String({ description: 'Pass it as `cursor` to go on; always there, also at the end.' }),
    partitions: Type.Array(readPositionSchema),
  },
  { title: 'RecordPage' },
)
export type RecordPage = Static<typeof recordPageSchema>

// Consumer groups

const groupIdSchema = Type.String({ minLength: 1, maxLength: 255 })
export const groupParamsSchema = Type.Object({ group: groupIdSchema }, closed)

const groupFields = {
  group: groupIdSchema,
  state: Type.String({ description: '`Stable` with members at work, `Empty` without members, others while it rebalances.' }),
  generation: Type.Integer(),
  protocolType: Type.String(),
  protocol: Type.Optional(Type.String({ description: 'How partitions are dealt out to members.' })),
  memberCount: countSchema,
}
export const groupSummarySchema = Type.Object(groupFields, { title: 'GroupSummary' })
export type GroupSummary = Static<typeof groupSummarySchema>
export const groupListSchema = Type.Object({ items: Type.Array(groupSummarySchema), nextCursor })

const topicPartitionFields = { topic: topicNameSchema, partition: partitionSchema }
export const groupMemberSchema = Type.Object(
  {
    memberId: Type.String(),
    instanceId: Type.Optional(Type.String({ description: 'Of a static member.' })),
    clientId: Type.String(),
    clientHost: Type.String(),
    partitions: Type.Array(Type.Object(topicPartitionFields), { description: 'What it reads.' }),
  },
  { title: 'GroupMember' },
)
export const groupOffsetSchema = Type.Object(
  {
    ...topicPartitionFields,
    committedOffset: Type.Optional(Type.Integer({ minimum: 0, description: 'Where it goes on; absent: nothing is committed.' })),
    metadata: Type.Optional(Type.String({ description: 'What the consumer noted with it.' })),
    endOffset: Type.Integer({ minimum: 0, description: 'The high watermark.' }),
    lag: Type.Integer({ minimum: 0, description: 'Records that are left to read.' }),
    memberId: Type.Optional(Type.String({ description: 'Who reads it now.' })),
  },
  { title: 'GroupOffset' },
)
export type GroupOffset = Static<typeof groupOffsetSchema>
export const groupViewSchema = Type.Object(
  {
    ...groupFields,
    members: Type.Array(groupMemberSchema),
    offsets: Type.Array(groupOffsetSchema),
    lag: Type.Integer({ minimum: 0, description: 'Over all partitions.' }),
  },
  { title: 'Group' },
)
export type GroupView = Static<typeof groupViewSchema>

export const commitOffsetsSchema = Type.Object(
  {
    topic: topicNameSchema,
    offsets: Type.Array(
      Type.Object(
        {
          partition: partitionSchema,
          offset: Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'The next record to read: one more than the last that was worked on.',
          }),
          metadata: Type.Optional(Type.String({ maxLength: 4096 })),
        },
        closed,
      ),
      { minItems: 1, maxItems: 10_000 },
    ),
  },
  { ...closed, title: 'CommitOffsets' },
)

export const resetTargets = ['earliest', 'latest', 'offset', 'time', 'shift'] as const
/** The body of POST /groups/:group/reset. */
export const groupResetSchema = Type.Object(
  {
    topic: topicNameSchema,
    to: Type.Enum([...resetTargets], {
      description: '`offset`, `time` and `shift` take their value from the field of that name.',
    }),
    offset: Type.Optional(offsetSchema),
    time: Type.Optional(atSchema),
    shift: Type.Optional(
      Type.Integer({
        minimum: -Number.MAX_SAFE_INTEGER,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Forward, or back when negative, from what is committed.',
      }),
    ),
    partitions: Type.Optional(Type.Array(partitionSchema, { minItems: 1, maxItems: 10_000, description: 'All when absent.' })),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only say what would be.' })),
  },
  { ...closed, title: 'GroupReset' },
)
export type GroupReset = Static<typeof groupResetSchema>
export const groupResetAnswerSchema = Type.Object(
  {
    isDone: Type.Boolean({ description: 'False for a dry run.' }),
    offsets: Type.Array(
      Type.Object({ ...topicPartitionFields, before: Type.Optional(offsetSchema), after: offsetSchema, lag: countSchema }),
    ),
  },
  { title: 'GroupResetAnswer' },
)
export type GroupResetAnswer = Static<typeof groupResetAnswerSchema>

export const deleteOffsetsQuerySchema = Type.Object(
  {
    topic: topicNameSchema,
    partition: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999, description: 'Only this one; all when absent.' })),
  },
  closed,
)
