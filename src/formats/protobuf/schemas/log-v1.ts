import { field, message, oneof, optional, repeated, unread } from '../message.ts'
import { bidirectional, serverStream, unary, type ProtoFile, type Service } from '../service.ts'
import { bool, bytes, enumeration, int32, int64, string, uint32, uint64 } from '../types.ts'

// The tables of `proto/millrace/log/v1/log.proto`, which says what the fields mean. Numbers are never used again for something else.

export const ack = enumeration('Ack', { ACK_DEFAULT: 0, ACK_NONE: 1, ACK_WAL: 2, ACK_OBJECT: 3 })
export const format = enumeration('Format', { FORMAT_RECORDS: 0, FORMAT_RAW: 1 })
export const bound = enumeration('Bound', { BOUND_EARLIEST: 0, BOUND_LATEST: 1 })
export const durability = enumeration('Durability', { DURABILITY_UNSPECIFIED: 0, DURABILITY_WAL: 1, DURABILITY_OBJECT: 2 })
export const timestampType = enumeration('TimestampType', {
  TIMESTAMP_TYPE_UNSPECIFIED: 0,
  TIMESTAMP_TYPE_CREATE_TIME: 1,
  TIMESTAMP_TYPE_LOG_APPEND_TIME: 2,
})

export const header = message('Header', {
  key: field(1, string),
  value: optional(2, bytes),
})

/** `record-batches.ts` knows this one and `Header` by their numbers. */
export const record = message('Record', {
  key: optional(1, bytes),
  value: optional(2, bytes),
  headers: repeated(3, header),
  timestampMs: field(4, int64),
})

export const errorDetail = message('Error', {
  code: field(1, string),
  message: field(2, string),
})

// Produce

export const produceRequest = message('ProduceRequest', {
  topic: field(1, string),
  partition: optional(2, int32),
  ack: field(3, ack),
  records: unread(4, record),
  recordBatch: field(5, bytes),
})

export const producedPartition = message('ProducedPartition', {
  partition: field(1, int32),
  baseOffset: field(2, int64),
  recordCount: field(3, uint32),
  appendTimeMs: field(4, int64),
  isDuplicate: field(5, bool),
})

export const produceResponse = message('ProduceResponse', {
  partitions: repeated(1, producedPartition),
  ack: field(2, ack),
})

export const produceStreamRequest = message('ProduceStreamRequest', {
  sequence: field(1, uint64),
  request: optional(2, produceRequest),
})

export const produceOutcome = message('ProduceOutcome', {
  sequence: field(1, uint64),
  result: oneof({
    produced: { number: 2, type: produceResponse },
    error: { number: 3, type: errorDetail },
  }),
})

export const produceStreamResponse = message('ProduceStreamResponse', {
  outcomes: repeated(1, produceOutcome),
})

// Consume

export const position = message('Position', {
  at: oneof({
    bound: { number: 1, type: bound },
    offset: { number: 2, type: int64 },
    timestampMs: { number: 3, type: int64 },
  }),
})

export const partitionStart = message('PartitionStart', {
  partition: field(1, int32),
  start: optional(2, position),
})

export const consumeRequest = message('ConsumeRequest', {
  topic: field(1, string),
  start: optional(2, position),
  partitions: repeated(3, partitionStart),
  follow: field(4, bool),
  maxRecords: field(5, uint64),
  format: field(6, format),
})

export const consumedRecord = message('ConsumedRecord', {
  offset: field(1, int64),
  timestampMs: field(2, int64),
  key: optional(3, bytes),
  value: optional(4, bytes),
  headers: repeated(5, header),
})

export const consumeResponse = message('ConsumeResponse', {
  partition: field(1, int32),
  records: repeated(2, consumedRecord),
  recordBatches: repeated(3, bytes),
  nextOffset: field(4, int64),
  highWatermark: field(5, int64),
})

export const fetchPosition = message('FetchPosition', {
  topic: field(1, string),
  partition: field(2, int32),
  offset: field(3, int64),
})

export const fetchRequest = message('FetchRequest', {
  positions: repeated(1, fetchPosition),
  maxBytes: field(2, uint32),
  minBytes: field(3, uint32),
  maxWaitMs: field(4, uint32),
  format: field(5, format),
})

export const fetchedPartition = message('FetchedPartition', {
  topic: field(1, string),
  partition: field(2, int32),
  records: repeated(3, consumedRecord),
  recordBatches: repeated(4, bytes),
  nextOffset: field(5, int64),
  highWatermark: field(6, int64),
  logStartOffset: field(7, int64),
  error: optional(8, errorDetail),
})

export const fetchResponse = message('FetchResponse', {
  partitions: repeated(1, fetchedPartition),
})

// Topics

export const topicConfig = message('TopicConfig', {
  durability: field(1, durability),
  retentionMs: optional(2, int64),
  retentionBytes: optional(3, int64),
  maxMessageBytes: optional(4, int32),
  timestampType: field(5, timestampType),
})

export const partitionState = message('PartitionState', {
  partition: field(1, int32),
  isAvailable: field(2, bool),
  logStartOffset: field(3, int64),
  highWatermark: field(4, int64),
})

export const topic = message('Topic', {
  name: field(1, string),
  id: field(2, string),
  createdAtMs: field(3, int64),
  isInternal: field(4, bool),
  config: optional(5, topicConfig),
  partitionCount: field(6, int32),
  partitions: repeated(7, partitionState),
})

export const listTopicsRequest = message('ListTopicsRequest', {})
export const listTopicsResponse = message('ListTopicsResponse', { topics: repeated(1, topic) })
export const describeTopicRequest = message('DescribeTopicRequest', { name: field(1, string) })
export const describeTopicResponse = message('DescribeTopicResponse', { topic: optional(1, topic) })
export const createTopicRequest = message('CreateTopicRequest', {
  name: field(1, string),
  partitionCount: field(2, int32),
  config: optional(3, topicConfig),
})
export const createTopicResponse = message('CreateTopicResponse', { topic: optional(1, topic) })
export const deleteTopicRequest = message('DeleteTopicRequest', { name: field(1, string) })
export const deleteTopicResponse = message('DeleteTopicResponse', {})

// Groups

export const partitionOffset = message('PartitionOffset', {
  topic: field(1, string),
  partition: field(2, int32),
  offset: field(3, int64),
  metadata: field(4, string),
})

export const topicPartition = message('TopicPartition', {
  topic: field(1, string),
  partition: field(2, int32),
})

export const commitOffsetsRequest = message('CommitOffsetsRequest', {
  group: field(1, string),
  offsets: repeated(2, partitionOffset),
})
export const commitOffsetsResponse = message('CommitOffsetsResponse', {})
export const committedOffsetsRequest = message('CommittedOffsetsRequest', {
  group: field(1, string),
  partitions: repeated(2, topicPartition),
})
export const committedOffsetsResponse = message('CommittedOffsetsResponse', { offsets: repeated(1, partitionOffset) })

export const group = message('Group', {
  id: field(1, string),
  state: field(2, string),
  protocolType: field(3, string),
  generation: field(4, int32),
  memberCount: field(5, int32),
})
export const listGroupsRequest = message('ListGroupsRequest', {})
export const listGroupsResponse = message('ListGroupsResponse', { groups: repeated(1, group) })

export const logService = {
  name: 'Log',
  methods: {
    Produce: unary(produceRequest, produceResponse),
    ProduceStream: bidirectional(produceStreamRequest, produceStreamResponse),
    Consume: serverStream(consumeRequest, consumeResponse),
    Fetch: unary(fetchRequest, fetchResponse),
    ListTopics: unary(listTopicsRequest, listTopicsResponse),
    DescribeTopic: unary(describeTopicRequest, describeTopicResponse),
    CreateTopic: unary(createTopicRequest, createTopicResponse),
    DeleteTopic: unary(deleteTopicRequest, deleteTopicResponse),
    CommitOffsets: unary(commitOffsetsRequest, commitOffsetsResponse),
    CommittedOffsets: unary(committedOffsetsRequest, committedOffsetsResponse),
    ListGroups: unary(listGroupsRequest, listGroupsResponse),
  },
} satisfies Service

export const logFile: ProtoFile = {
  name: 'millrace/log/v1/log.proto',
  package: 'millrace.log.v1',
  enumerations: [ack, format, bound, durability, timestampType],
  messages: [
    header,
    record,
    errorDetail,
    produceRequest,
    producedPartition,
    produceResponse,
    produceStreamRequest,
    produceOutcome,
    produceStreamResponse,
    position,
    partitionStart,
    consumeRequest,
    consumedRecord,
    consumeResponse,
    fetchPosition,
    fetchRequest,
    fetchedPartition,
    fetchResponse,
    topicConfig,
    partitionState,
    topic,
    listTopicsRequest,
    listTopicsResponse,
    describeTopicRequest,
    describeTopicResponse,
    createTopicRequest,
    createTopicResponse,
    deleteTopicRequest,
    deleteTopicResponse,
    partitionOffset,
    topicPartition,
    commitOffsetsRequest,
    commitOffsetsResponse,
    committedOffsetsRequest,
    committedOffsetsResponse,
    group,
    listGroupsRequest,
    listGroupsResponse,
  ],
  services: [logService],
}
