import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { apis, type Api, type ApiName, type RequestOf } from '../apis.ts'
import { decodeResponse, encodeRequest, encodeResponse } from '../frame.ts'
import { leaves } from './leaves.fixture.ts'
import { requests } from './requests.fixture.ts'
import { responses } from './responses.fixture.ts'

/**
 * What kafkajs 2.2.4 writes must be, byte for byte, what is written here from the same values, and what is written here must come out of
 * its decoders. It has the versions that are not flexible.
 */

type Encoder = { readonly buffer: Buffer }
type PeerRequest = { readonly apiVersion: number; encode(): Promise<Encoder> }
type PeerVersion = (options: unknown) => {
  readonly request: PeerRequest
  readonly response: { decode(bytes: Buffer): Promise<unknown> }
}
type PeerApi = { readonly versions: readonly string[]; protocol(options: { version: number }): PeerVersion }

const require = createRequire(import.meta.url)
const { requests: peers }: { requests: Readonly<Record<string, PeerApi>> } = require('kafkajs/src/protocol/requests/index.js')
const frameOf: (options: {
  correlationId: number
  clientId: string
  request: PeerRequest
}) => Promise<Encoder> = require('kafkajs/src/protocol/request.js')

/** Before it, produce requests carry message sets, which are not for Millrace. */
const firstRecordBatches = 3
const record = { key: 'key-1', value: 'value-1', timestamp: 1_700_000_000_000, headers: { h: 'v' } }

/** The options with which kafkajs writes our sample request, for each API that it has. */
const options: { readonly [N in ApiName]?: (request: RequestOf<N>, version: number) => unknown } = {
  produce: ({ acks, timeoutMs, transactionalId, topicData }) => ({
    acks,
    timeout: timeoutMs,
    transactionalId,
    topicData: topicData.map(({ name, partitionData }) => ({
      topic: name,
      partitions: partitionData.map(({ index }) => ({ partition: index, firstSequence: 0, messages: [record] })),
    })),
  }),
  fetch: ({ maxWaitMs, topics, forgottenTopicsData, ...others }) => ({
    ...others,
    maxWaitTime: maxWaitMs,
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partitionMaxBytes, ...partition }) => ({ ...partition, maxBytes: partitionMaxBytes })),
    })),
    forgottenTopics: forgottenTopicsData,
  }),
  listOffsets: ({ topics, isolationLevel }) => ({
    isolationLevel,
    topics: topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions.map(({ partitionIndex, timestamp }) => ({ partition: partitionIndex, timestamp })),
    })),
  }),
  metadata: ({ topics, allowAutoTopicCreation }) => ({ topics: topics?.map(({ name }) => name), allowAutoTopicCreation }),
  offsetCommit: ({ groupId, generationIdOrMemberEpoch, memberId, topics }) => ({
    groupId,
    groupGenerationId: generationIdOrMemberEpoch,
    memberId,
    topics: topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions.map(({ partitionIndex, committedOffset, committedMetadata }) => ({
        partition: partitionIndex,
        offset: committedOffset,
        metadata: committedMetadata,
      })),
    })),
  }),
  offsetFetch: ({ groupId, topics }) => ({
    groupId,
    topics: topics?.map(({ name, partitionIndexes }) => ({
      topic: name,
      partitions: partitionIndexes.map((partition) => ({ partition })),
    })),
  }),
  findCoordinator: ({ key, keyType }) => ({ groupId: key, coordinatorType: keyType }),
  joinGroup: ({ sessionTimeoutMs, rebalanceTimeoutMs, protocols, ...others }) => ({
    ...others,
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: rebalanceTimeoutMs,
    groupProtocols: protocols,
  }),
  heartbeat: ({ generationId, ...others }) => ({ ...others, groupGenerationId: generationId }),
  leaveGroup: ({ groupId, memberId, members: [member] }, version) =>
    version < 3 ? { groupId, memberId } : { groupId, ...member },
  syncGroup: ({ assignments, ...others }) => ({
    ...others,
    groupAssignment: assignments.map(({ memberId, assignment }) => ({ memberId, memberAssignment: assignment })),
  }),
  describeGroups: ({ groups }) => ({ groupIds: groups }),
  listGroups: () => ({}),
  saslHandshake: (request) => request,
  apiVersions: () => ({}),
  createTopics: ({ topics, timeoutMs, validateOnly }) => ({
    topics: topics.map(({ name, numPartitions, replicationFactor, assignments, configs }) => ({
      topic: name,
      numPartitions,
      replicationFactor,
      replicaAssignment: assignments.map(({ partitionIndex, brokerIds }) => ({ partition: partitionIndex, replicas: brokerIds })),
      configEntries: configs,
    })),
    timeout: timeoutMs,
    validateOnly,
  }),
  deleteTopics: ({ topicNames, timeoutMs }) => ({ topics: topicNames, timeout: timeoutMs }),
  deleteRecords: ({ topics, timeoutMs }) => ({
    topics: topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions.map(({ partitionIndex, offset }) => ({ partition: partitionIndex, offset })),
    })),
    timeout: timeoutMs,
  }),
  initProducerId: ({ transactionalId, transactionTimeoutMs }) => ({ transactionalId, transactionTimeout: transactionTimeoutMs }),
  describeAcls: (request) => peerFilter(request),
  createAcls: (request) => request,
  deleteAcls: ({ filters }) => ({ filters: filters.map(peerFilter) }),
  describeConfigs: ({ resources, includeSynonyms }) => ({
    resources: resources.map(({ resourceType, resourceName, configurationKeys }) => ({
      type: resourceType,
      name: resourceName,
      configNames: configurationKeys,
    })),
    includeSynonyms,
  }),
  alterConfigs: ({ resources, validateOnly }) => ({
    resources: resources.map(({ resourceType, resourceName, configs }) => ({
      type: resourceType,
      name: resourceName,
      configEntries: configs,
    })),
    validateOnly,
  }),
  saslAuthenticate: ({ authBytes }) => ({ authBytes: Buffer.concat([uint32(authBytes.length), authBytes]) }),
  createPartitions: ({ topics, timeoutMs, validateOnly }) => ({
    topicPartitions: topics.map(({ name, count, assignments }) => ({
      topic: name,
      count,
      assignments: assignments?.map(({ brokerIds }) => brokerIds),
    })),
    timeout: timeoutMs,
    validateOnly,
  }),
  deleteGroups: ({ groupsNames }) => groupsNames,
}

let comparedVersions = 0
for (const { name } of Object.values(apis)) {
  for (const [version, peer] of peerVersions(apis[name])) {
    comparedVersions++
    test(`${name} v${version} requests are those of kafkajs`, () => compareRequest(name, version, peer))
    // kafkajs gives the bytes of SaslAuthenticate a length of its own.
    if (name === 'saslAuthenticate') continue
    test(`${name} v${version} responses are read by kafkajs`, () => compareResponse(name, version, peer))
  }
}

test('none of the versions that kafkajs has is left out', () => assert.equal(comparedVersions, 83))

async function compareRequest<N extends ApiName>(name: N, version: number, peer: PeerVersion): Promise<void> {
  const { request } = peer(options[name]?.(requests[name], version))
  assert.equal(request.apiVersion, version)
  const theirs = await frameOf({ correlationId: 7, clientId: 'tester', request })
  const ours = encodeRequest(apis[name], version, { correlationId: 7, clientId: 'tester' }, requests[name])
  assert.equal(ours.toString('hex'), theirs.buffer.toString('hex'))
}

async function compareResponse<N extends ApiName>(name: N, version: number, peer: PeerVersion): Promise<void> {
  const frame = encodeResponse(apis[name], version, 7, responses[name]).subarray(4)
  const theirs = new Set(leaves(await peer(options[name]?.(requests[name], version)).response.decode(frame.subarray(4))))
  const ours = new Set(leaves(decodeResponse(apis[name], version, frame).body))
  assert.deepEqual(ours.difference(theirs), new Set())
}

function peerVersions({ key, min, max }: Api): [number, PeerVersion][] {
  const keys: Readonly<Record<string, number>> = require('kafkajs/src/protocol/requests/apiKeys.js')
  const peerName = Object.keys(keys).find((each) => keys[each] === key)
  const peer = peerName === undefined ? undefined : peers[peerName]
  if (peer === undefined) return []
  const lowest = key === apis.produce.key ? firstRecordBatches : min
  const versions = peer.versions.map(Number).filter((version) => version >= lowest && version <= max)
  return versions.map((version) => [version, peer.protocol({ version })])
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

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
