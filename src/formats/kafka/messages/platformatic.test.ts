import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { apis, type ApiName, type RequestOf } from '../apis.ts'
import { zeroUuid } from '../codec.ts'
import { decodeResponse, encodeRequest, encodeResponse } from '../frame.ts'
import { leaves } from './leaves.fixture.ts'
import { requests } from './requests.fixture.ts'
import { responses } from './responses.fixture.ts'

/**
 * What @platformatic/kafka 2.12.1 writes must be, byte for byte, what is written here from the same values, and what is written here must
 * come out of its decoders. It has all versions, the flexible ones among them.
 */

type PeerReader = { readonly remaining: number }
type PeerVersion = {
  createRequest(...parameters: readonly unknown[]): { readonly buffer: Buffer }
  parseResponse(correlationId: number, apiKey: number, apiVersion: number, reader: PeerReader): unknown
}

const require = createRequire(import.meta.url)
const peers: Readonly<Record<string, PeerVersion>> = require('@platformatic/kafka')
const { Reader }: { readonly Reader: { from(bytes: Buffer): PeerReader } } = require('@platformatic/kafka')

/** It never says which cluster it means, and asks for topics by id from version 12 of Metadata on. */
const samples = { ...requests, fetch: { ...requests.fetch, clusterId: null } }
const samplesByName = { ...samples, metadata: { ...requests.metadata, topics: [{ topicId: zeroUuid, name: 'topic' }] } }

/** The parameters with which it writes our sample request. */
const parameters: { readonly [N in ApiName]: (request: RequestOf<N>, version: number) => readonly unknown[] } = {
  produce: ({ acks, timeoutMs, transactionalId, topicData }) => [
    acks,
    timeoutMs,
    topicData.flatMap(({ name, partitionData }) =>
      partitionData.map(({ index }) => ({
        topic: name,
        partition: index,
        key: Buffer.from('key-1'),
        value: Buffer.from('value-1'),
        headers: new Map([[Buffer.from('h'), Buffer.from('v')]]),
        timestamp: 1_700_000_000_000n,
      })),
    ),
    { transactionalId },
  ],
  fetch: (request) => [
    request.maxWaitMs,
    request.minBytes,
    request.maxBytes,
    request.isolationLevel,
    request.sessionId,
    request.sessionEpoch,
    request.topics.map(({ topic, partitions }) => ({
      topicId: topic,
      partitions: partitions.map((partition) => ({ ...partition, fetchOffset: BigInt(partition.fetchOffset) })),
    })),
    request.forgottenTopicsData,
    request.rackId,
  ],
  listOffsets: ({ replicaId, isolationLevel, topics }) => [
    replicaId,
    isolationLevel,
    topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((partition) => ({ ...partition, timestamp: BigInt(partition.timestamp) })),
    })),
  ],
  metadata: (request) => [
    request.topics,
    request.allowAutoTopicCreation,
    request.includeTopicAuthorizedOperations,
    request.includeClusterAuthorizedOperations,
  ],
  offsetCommit: (request) => [
    request.groupId,
    request.generationIdOrMemberEpoch,
    request.memberId,
    request.groupInstanceId,
    request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((partition) => ({ ...partition, committedOffset: BigInt(partition.committedOffset) })),
    })),
  ],
  offsetFetch: ({ groupId, topics, groups, requireStable }, version) => [
    version < 8 ? [{ groupId, topics }] : groups,
    requireStable,
  ],
  findCoordinator: ({ key, keyType, coordinatorKeys }, version) => [keyType, version < 4 ? [key] : coordinatorKeys],
  joinGroup: (request) => [
    request.groupId,
    request.sessionTimeoutMs,
    request.rebalanceTimeoutMs,
    request.memberId,
    request.groupInstanceId,
    request.protocolType,
    request.protocols,
    request.reason,
  ],
  heartbeat: (request) => [request.groupId, request.generationId, request.memberId, request.groupInstanceId],
  leaveGroup: ({ groupId, memberId, members }, version) => [groupId, version < 3 ? [{ memberId }] : members],
  syncGroup: (request) => [
    request.groupId,
    request.generationId,
    request.memberId,
    request.groupInstanceId,
    request.protocolType,
    request.protocolName,
    request.assignments,
  ],
  describeGroups: ({ groups, includeAuthorizedOperations }) => [groups, includeAuthorizedOperations],
  listGroups: ({ statesFilter }) => [statesFilter],
  saslHandshake: ({ mechanism }) => [mechanism],
  apiVersions: ({ clientSoftwareName, clientSoftwareVersion }) => [clientSoftwareName, clientSoftwareVersion],
  createTopics: ({ topics, timeoutMs, validateOnly }) => [topics, timeoutMs, validateOnly],
  deleteTopics: ({ topics, topicNames, timeoutMs }, version) => [
    version < 6 ? topicNames.map((name) => ({ name })) : topics,
    timeoutMs,
  ],
  deleteRecords: ({ topics, timeoutMs }) => [
    topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, offset }) => ({ partitionIndex, offset: BigInt(offset) })),
    })),
    timeoutMs,
  ],
  initProducerId: (request) => [
    request.transactionalId,
    request.transactionTimeoutMs,
    BigInt(request.producerId),
    request.producerEpoch,
  ],
  offsetForLeaderEpoch: ({ replicaId, topics }) => [
    replicaId,
    topics.map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.map(({ partition, ...others }) => ({ partitionIndex: partition, ...others })),
    })),
  ],
  describeAcls: (request) => [peerFilter(request)],
  createAcls: ({ creations }) => [creations],
  deleteAcls: ({ filters }) => [filters.map(peerFilter)],
  describeConfigs: (request) => [request.resources, request.includeSynonyms, request.includeDocumentation],
  alterConfigs: ({ resources, validateOnly }) => [resources, validateOnly],
  saslAuthenticate: ({ authBytes }) => [authBytes],
  createPartitions: ({ topics, timeoutMs, validateOnly }) => [topics, timeoutMs, validateOnly],
  deleteGroups: ({ groupsNames }) => [groupsNames],
  incrementalAlterConfigs: ({ resources, validateOnly }) => [resources, validateOnly],
  offsetDelete: ({ groupId, topics }) => [groupId, topics],
  describeUserScramCredentials: ({ users }) => [users],
  alterUserScramCredentials: ({ deletions, upsertions }) => [deletions, upsertions],
  describeCluster: (request) => [request.includeClusterAuthorizedOperations, request.endpointType],
}

let comparedVersions = 0
for (const { name, min, max } of Object.values(apis)) {
  for (let version = min; version <= max; version++) {
    const peer = peers[`${name}V${version}`]
    if (peer === undefined) continue
    comparedVersions++
    test(`${name} v${version} requests are those of @platformatic/kafka`, () => compareRequest(name, version, peer))
    test(`${name} v${version} responses are read by @platformatic/kafka`, () => compareResponse(name, version, peer))
  }
}

test('none of the versions that @platformatic/kafka has is left out', () => assert.equal(comparedVersions, 157))

function compareRequest<N extends ApiName>(name: N, version: number, peer: PeerVersion): void {
  const sample: RequestOf<N> = version < 12 ? samplesByName[name] : samples[name]
  const theirs = peer.createRequest(...parameters[name](sample, version)).buffer
  const ours = encodeRequest(apis[name], version, { correlationId: 7, clientId: null }, sample)
  const headerBytes = 4 + 10 + (version >= apis[name].flexibleFrom ? 1 : 0)
  assert.equal(ours.subarray(headerBytes).toString('hex'), theirs.toString('hex'))
}

function compareResponse<N extends ApiName>(name: N, version: number, peer: PeerVersion): void {
  const { key, flexibleFrom } = apis[name]
  const frame = encodeResponse(apis[name], version, 7, responses[name]).subarray(4)
  const headerBytes = version >= flexibleFrom && name !== 'apiVersions' ? 5 : 4
  const reader = Reader.from(frame.subarray(headerBytes))
  const theirs = new Set(leaves(parsed(() => peer.parseResponse(7, key, version, reader))))
  assert.equal(reader.remaining, 0)
  const ours = new Set(leaves(decodeResponse(apis[name], version, frame).body))
  if (name === 'createTopics' && version < 7) ours.delete(String(responses.createTopics.topics[0]?.topicConfigErrorCode)) // passed over there
  assert.deepEqual(ours.difference(theirs), new Set())
}

/** It throws responses with an error code in them. */
function parsed(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Error && 'response' in error) return error.response
    throw error
  }
}

function peerFilter(filter: RequestOf<'describeAcls'>): unknown {
  return {
    resourceType: filter.resourceTypeFilter,
    resourceName: filter.resourceNameFilter,
    resourcePatternType: filter.patternTypeFilter,
    principal: filter.principalFilter,
    host: filter.hostFilter,
    operation: filter.operation,
    permissionType: filter.permissionType,
  }
}
