import type { ApiName, RequestOf } from '../apis.ts'
import { sampleBatch } from './record-batch.fixture.ts'

/** A request of each API with all its fields, nearly all of them different. */
export const requests: { readonly [N in ApiName]: RequestOf<N> } = {
  produce: {
    transactionalId: 'transactional-id-1',
    acks: -1,
    timeoutMs: 70_002,
    topicData: [{ name: 'name-4', partitionData: [{ index: 70_006, records: sampleBatch }] }],
  },
  fetch: {
    clusterId: 'cluster-id-1',
    replicaId: -1,
    maxWaitMs: 70_002,
    minBytes: 70_003,
    maxBytes: 70_004,
    isolationLevel: 65,
    sessionId: 70_006,
    sessionEpoch: 70_007,
    topics: [
      {
        topic: 'topic-9',
        partitions: [
          {
            partition: 70_011,
            currentLeaderEpoch: 70_012,
            fetchOffset: 13 * 2 ** 34 + 13,
            lastFetchedEpoch: 70_014,
            logStartOffset: -1,
            partitionMaxBytes: 70_015,
          },
        ],
      },
    ],
    forgottenTopicsData: [{ topic: 'topic-17', partitions: [70_018, 70_019] }],
    rackId: 'rack-id-20',
  },
  listOffsets: {
    replicaId: -1,
    isolationLevel: 61,
    topics: [
      { name: 'name-3', partitions: [{ partitionIndex: 70_005, currentLeaderEpoch: 70_006, timestamp: 7 * 2 ** 34 + 7 }] },
    ],
  },
  metadata: {
    topics: [{ topicId: '00000002-89ab-4cde-8f01-23456789abcd', name: 'name-3' }],
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: true,
    includeTopicAuthorizedOperations: true,
  },
  offsetCommit: {
    groupId: 'group-id-1',
    generationIdOrMemberEpoch: 70_002,
    memberId: 'member-id-3',
    groupInstanceId: 'group-instance-id-4',
    retentionTimeMs: -1,
    topics: [
      {
        name: 'name-6',
        partitions: [
          {
            partitionIndex: 70_008,
            committedOffset: 9 * 2 ** 34 + 9,
            committedLeaderEpoch: 70_010,
            committedMetadata: 'committed-metadata-11',
          },
        ],
      },
    ],
  },
  offsetFetch: {
    groupId: 'group-id-1',
    topics: [{ name: 'name-3', partitionIndexes: [70_004, 70_005] }],
    groups: [{ groupId: 'group-id-7', topics: [{ name: 'name-9', partitionIndexes: [70_010, 70_011] }] }],
    requireStable: true,
  },
  findCoordinator: { key: 'key-1', keyType: 62, coordinatorKeys: ['coordinator-key-3', 'coordinator-key-4'] },
  joinGroup: {
    groupId: 'group-id-1',
    sessionTimeoutMs: 70_002,
    rebalanceTimeoutMs: 70_003,
    memberId: 'member-id-4',
    groupInstanceId: 'group-instance-id-5',
    protocolType: 'protocol-type-6',
    protocols: [{ name: 'name-8', metadata: Buffer.from('metadata-9') }],
    reason: 'reason-10',
  },
  heartbeat: { groupId: 'group-id-1', generationId: 70_002, memberId: 'member-id-3', groupInstanceId: 'group-instance-id-4' },
  leaveGroup: {
    groupId: 'group-id-1',
    memberId: 'member-id-2',
    members: [{ memberId: 'member-id-4', groupInstanceId: 'group-instance-id-5', reason: 'reason-6' }],
  },
  syncGroup: {
    groupId: 'group-id-1',
    generationId: 70_002,
    memberId: 'member-id-3',
    groupInstanceId: 'group-instance-id-4',
    protocolType: 'protocol-type-5',
    protocolName: 'protocol-name-6',
    assignments: [{ memberId: 'member-id-8', assignment: Buffer.from('assignment-9') }],
  },
  describeGroups: { groups: ['group-1', 'group-2'], includeAuthorizedOperations: true },
  listGroups: { statesFilter: ['states-filter-1', 'states-filter-2'] },
  saslHandshake: { mechanism: 'mechanism-1' },
  apiVersions: { clientSoftwareName: 'client-software-name-1', clientSoftwareVersion: 'client-software-version-2' },
  createTopics: {
    topics: [
      {
        name: 'name-2',
        numPartitions: 70_003,
        replicationFactor: 204,
        assignments: [{ partitionIndex: 70_006, brokerIds: [70_007, 70_008] }],
        configs: [{ name: 'name-10', value: 'value-11' }],
      },
    ],
    timeoutMs: 70_012,
    validateOnly: true,
  },
  deleteTopics: {
    topics: [{ name: 'name-2', topicId: '00000003-89ab-4cde-8f01-23456789abcd' }],
    topicNames: ['topic-name-4', 'topic-name-5'],
    timeoutMs: 70_006,
  },
  deleteRecords: {
    topics: [{ name: 'name-2', partitions: [{ partitionIndex: 70_004, offset: 5 * 2 ** 34 + 5 }] }],
    timeoutMs: 70_006,
  },
  initProducerId: {
    transactionalId: 'transactional-id-1',
    transactionTimeoutMs: 70_002,
    producerId: 3 * 2 ** 34 + 3,
    producerEpoch: 204,
  },
  offsetForLeaderEpoch: {
    replicaId: -1,
    topics: [{ topic: 'topic-2', partitions: [{ partition: 70_004, currentLeaderEpoch: 70_005, leaderEpoch: 70_006 }] }],
  },
  describeAcls: {
    resourceTypeFilter: 61,
    resourceNameFilter: 'resource-name-filter-2',
    patternTypeFilter: 63,
    principalFilter: 'principal-filter-4',
    hostFilter: 'host-filter-5',
    operation: 66,
    permissionType: 67,
  },
  createAcls: {
    creations: [
      {
        resourceType: 62,
        resourceName: 'resource-name-3',
        resourcePatternType: 64,
        principal: 'principal-5',
        host: 'host-6',
        operation: 67,
        permissionType: 68,
      },
    ],
  },
  deleteAcls: {
    filters: [
      {
        resourceTypeFilter: 62,
        resourceNameFilter: 'resource-name-filter-3',
        patternTypeFilter: 64,
        principalFilter: 'principal-filter-5',
        hostFilter: 'host-filter-6',
        operation: 67,
        permissionType: 68,
      },
    ],
  },
  describeConfigs: {
    resources: [
      { resourceType: 62, resourceName: 'resource-name-3', configurationKeys: ['configuration-key-4', 'configuration-key-5'] },
    ],
    includeSynonyms: true,
    includeDocumentation: true,
  },
  alterConfigs: {
    resources: [{ resourceType: 62, resourceName: 'resource-name-3', configs: [{ name: 'name-5', value: 'value-6' }] }],
    validateOnly: true,
  },
  saslAuthenticate: { authBytes: Buffer.from('auth-bytes-1') },
  createPartitions: {
    topics: [{ name: 'name-2', count: 70_003, assignments: [{ brokerIds: [70_005, 70_006] }] }],
    timeoutMs: 70_007,
    validateOnly: true,
  },
  deleteGroups: { groupsNames: ['groups-name-1', 'groups-name-2'] },
  incrementalAlterConfigs: {
    resources: [
      { resourceType: 62, resourceName: 'resource-name-3', configs: [{ name: 'name-5', configOperation: 66, value: 'value-7' }] },
    ],
    validateOnly: true,
  },
  offsetDelete: { groupId: 'group-id-1', topics: [{ name: 'name-3', partitions: [{ partitionIndex: 70_005 }] }] },
  describeUserScramCredentials: { users: [{ name: 'name-2' }] },
  alterUserScramCredentials: {
    deletions: [{ name: 'name-2', mechanism: 63 }],
    upsertions: [
      {
        name: 'name-5',
        mechanism: 66,
        iterations: 70_007,
        salt: Buffer.from('salt-8'),
        saltedPassword: Buffer.from('salted-password-9'),
      },
    ],
  },
  describeCluster: { includeClusterAuthorizedOperations: true, endpointType: 62 },
}
