import type { ApiName, ResponseOf } from '../apis.ts'
import { sampleBatch } from './record-batch.fixture.ts'

/** A response of each API with all its fields, nearly all of them different. */
export const responses: { readonly [N in ApiName]: ResponseOf<N> } = {
  produce: {
    responses: [
      {
        name: 'name-2',
        partitionResponses: [
          {
            index: 70_004,
            errorCode: 6,
            baseOffset: 6 * 2 ** 34 + 6,
            logAppendTimeMs: 7 * 2 ** 34 + 7,
            logStartOffset: 8 * 2 ** 34 + 8,
            recordErrors: [{ batchIndex: 70_010, batchIndexErrorMessage: 'batch-index-error-message-11' }],
            errorMessage: 'error-message-12',
          },
        ],
      },
    ],
    throttleTimeMs: 70_013,
  },
  fetch: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    sessionId: 70_003,
    responses: [
      {
        topic: 'topic-5',
        partitions: [
          {
            partitionIndex: 70_007,
            errorCode: 9,
            highWatermark: 9 * 2 ** 34 + 9,
            lastStableOffset: 10 * 2 ** 34 + 10,
            logStartOffset: 11 * 2 ** 34 + 11,
            divergingEpoch: { epoch: 70_013, endOffset: 14 * 2 ** 34 + 14 },
            currentLeader: { leaderId: 70_016, leaderEpoch: 70_017 },
            snapshotId: { endOffset: 19 * 2 ** 34 + 19, epoch: 70_020 },
            abortedTransactions: [{ producerId: 22 * 2 ** 34 + 22, firstOffset: 23 * 2 ** 34 + 23 }],
            preferredReadReplica: 70_024,
            records: sampleBatch,
          },
        ],
      },
    ],
  },
  listOffsets: {
    throttleTimeMs: 70_001,
    topics: [
      {
        name: 'name-3',
        partitions: [
          { partitionIndex: 70_005, errorCode: 7, timestamp: 7 * 2 ** 34 + 7, offset: 8 * 2 ** 34 + 8, leaderEpoch: 70_009 },
        ],
      },
    ],
  },
  metadata: {
    throttleTimeMs: 70_001,
    brokers: [{ nodeId: 70_003, host: 'host-4', port: 70_005, rack: 'rack-6' }],
    clusterId: 'cluster-id-7',
    controllerId: 70_008,
    topics: [
      {
        errorCode: 11,
        name: 'name-11',
        topicId: '00000012-89ab-4cde-8f01-23456789abcd',
        isInternal: true,
        partitions: [
          {
            errorCode: 16,
            partitionIndex: 70_016,
            leaderId: 70_017,
            leaderEpoch: 70_018,
            replicaNodes: [70_019, 70_020],
            isrNodes: [70_021, 70_022],
            offlineReplicas: [70_023, 70_024],
          },
        ],
        topicAuthorizedOperations: 70_025,
      },
    ],
    clusterAuthorizedOperations: 70_026,
  },
  offsetCommit: { throttleTimeMs: 70_001, topics: [{ name: 'name-3', partitions: [{ partitionIndex: 70_005, errorCode: 7 }] }] },
  offsetFetch: {
    throttleTimeMs: 70_001,
    topics: [
      {
        name: 'name-3',
        partitions: [
          {
            partitionIndex: 70_005,
            committedOffset: 6 * 2 ** 34 + 6,
            committedLeaderEpoch: 70_007,
            metadata: 'metadata-8',
            errorCode: 10,
          },
        ],
      },
    ],
    errorCode: 11,
    groups: [
      {
        groupId: 'group-id-12',
        topics: [
          {
            name: 'name-14',
            partitions: [
              {
                partitionIndex: 70_016,
                committedOffset: 17 * 2 ** 34 + 17,
                committedLeaderEpoch: 70_018,
                metadata: 'metadata-19',
                errorCode: 21,
              },
            ],
          },
        ],
        errorCode: 22,
      },
    ],
  },
  findCoordinator: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    errorMessage: 'error-message-3',
    nodeId: 70_004,
    host: 'host-5',
    port: 70_006,
    coordinators: [
      { key: 'key-8', nodeId: 70_009, host: 'host-10', port: 70_011, errorCode: 13, errorMessage: 'error-message-13' },
    ],
  },
  joinGroup: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    generationId: 70_003,
    protocolType: 'protocol-type-4',
    protocolName: 'protocol-name-5',
    leader: 'leader-6',
    skipAssignment: true,
    memberId: 'member-id-8',
    members: [{ memberId: 'member-id-10', groupInstanceId: 'group-instance-id-11', metadata: Buffer.from('metadata-12') }],
  },
  heartbeat: { throttleTimeMs: 70_001, errorCode: 3 },
  leaveGroup: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    members: [{ memberId: 'member-id-4', groupInstanceId: 'group-instance-id-5', errorCode: 7 }],
  },
  syncGroup: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    protocolType: 'protocol-type-3',
    protocolName: 'protocol-name-4',
    assignment: Buffer.from('assignment-5'),
  },
  describeGroups: {
    throttleTimeMs: 70_001,
    groups: [
      {
        errorCode: 4,
        groupId: 'group-id-4',
        groupState: 'group-state-5',
        protocolType: 'protocol-type-6',
        protocolData: 'protocol-data-7',
        members: [
          {
            memberId: 'member-id-9',
            groupInstanceId: 'group-instance-id-10',
            clientId: 'client-id-11',
            clientHost: 'client-host-12',
            memberMetadata: Buffer.from('member-metadata-13'),
            memberAssignment: Buffer.from('member-assignment-14'),
          },
        ],
        authorizedOperations: 70_015,
      },
    ],
  },
  listGroups: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    groups: [{ groupId: 'group-id-4', protocolType: 'protocol-type-5', groupState: 'group-state-6' }],
  },
  saslHandshake: { errorCode: 2, mechanisms: ['mechanism-2', 'mechanism-3'] },
  apiVersions: {
    errorCode: 0,
    apiKeys: [{ apiKey: 203, minVersion: 204, maxVersion: 205 }],
    throttleTimeMs: 70_006,
    supportedFeatures: [{ name: 'name-8', minVersion: 209, maxVersion: 210 }],
    finalizedFeaturesEpoch: 11 * 2 ** 34 + 11,
    finalizedFeatures: [{ name: 'name-13', maxVersionLevel: 214, minVersionLevel: 215 }],
    zkMigrationReady: true,
  },
  createTopics: {
    throttleTimeMs: 70_001,
    topics: [
      {
        name: 'name-3',
        topicId: '00000004-89ab-4cde-8f01-23456789abcd',
        errorCode: 6,
        errorMessage: 'error-message-6',
        topicConfigErrorCode: 8,
        numPartitions: 70_008,
        replicationFactor: 209,
        configs: [{ name: 'name-11', value: 'value-12', readOnly: true, configSource: 74, isSensitive: true }],
      },
    ],
  },
  deleteTopics: {
    throttleTimeMs: 70_001,
    responses: [
      { name: 'name-3', topicId: '00000004-89ab-4cde-8f01-23456789abcd', errorCode: 6, errorMessage: 'error-message-6' },
    ],
  },
  deleteRecords: {
    throttleTimeMs: 70_001,
    topics: [{ name: 'name-3', partitions: [{ partitionIndex: 70_005, lowWatermark: 6 * 2 ** 34 + 6, errorCode: 8 }] }],
  },
  initProducerId: { throttleTimeMs: 70_001, errorCode: 3, producerId: 3 * 2 ** 34 + 3, producerEpoch: 204 },
  offsetForLeaderEpoch: {
    throttleTimeMs: 70_001,
    topics: [
      { topic: 'topic-3', partitions: [{ errorCode: 6, partition: 70_006, leaderEpoch: 70_007, endOffset: 8 * 2 ** 34 + 8 }] },
    ],
  },
  describeAcls: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    errorMessage: 'error-message-3',
    resources: [
      {
        resourceType: 65,
        resourceName: 'resource-name-6',
        patternType: 67,
        acls: [{ principal: 'principal-9', host: 'host-10', operation: 71, permissionType: 72 }],
      },
    ],
  },
  createAcls: { throttleTimeMs: 70_001, results: [{ errorCode: 4, errorMessage: 'error-message-4' }] },
  deleteAcls: {
    throttleTimeMs: 70_001,
    filterResults: [
      {
        errorCode: 4,
        errorMessage: 'error-message-4',
        matchingAcls: [
          {
            errorCode: 7,
            errorMessage: 'error-message-7',
            resourceType: 68,
            resourceName: 'resource-name-9',
            patternType: 70,
            principal: 'principal-11',
            host: 'host-12',
            operation: 73,
            permissionType: 74,
          },
        ],
      },
    ],
  },
  describeConfigs: {
    throttleTimeMs: 70_001,
    results: [
      {
        errorCode: 4,
        errorMessage: 'error-message-4',
        resourceType: 65,
        resourceName: 'resource-name-6',
        configs: [
          {
            name: 'name-8',
            value: 'value-9',
            readOnly: true,
            isDefault: true,
            configSource: 71,
            isSensitive: true,
            synonyms: [{ name: 'name-14', value: 'value-15', source: 76 }],
            configType: 77,
            documentation: 'documentation-18',
          },
        ],
      },
    ],
  },
  alterConfigs: {
    throttleTimeMs: 70_001,
    responses: [{ errorCode: 4, errorMessage: 'error-message-4', resourceType: 65, resourceName: 'resource-name-6' }],
  },
  saslAuthenticate: {
    errorCode: 2,
    errorMessage: 'error-message-2',
    authBytes: Buffer.from('auth-bytes-3'),
    sessionLifetimeMs: 4 * 2 ** 34 + 4,
  },
  createPartitions: { throttleTimeMs: 70_001, results: [{ name: 'name-3', errorCode: 5, errorMessage: 'error-message-5' }] },
  deleteGroups: { throttleTimeMs: 70_001, results: [{ groupId: 'group-id-3', errorCode: 5 }] },
  incrementalAlterConfigs: {
    throttleTimeMs: 70_001,
    responses: [{ errorCode: 4, errorMessage: 'error-message-4', resourceType: 65, resourceName: 'resource-name-6' }],
  },
  offsetDelete: {
    errorCode: 2,
    throttleTimeMs: 70_002,
    topics: [{ name: 'name-4', partitions: [{ partitionIndex: 70_006, errorCode: 8 }] }],
  },
  describeUserScramCredentials: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    errorMessage: 'error-message-3',
    results: [
      { user: 'user-5', errorCode: 7, errorMessage: 'error-message-7', credentialInfos: [{ mechanism: 69, iterations: 70_010 }] },
    ],
  },
  alterUserScramCredentials: {
    throttleTimeMs: 70_001,
    results: [{ user: 'user-3', errorCode: 5, errorMessage: 'error-message-5' }],
  },
  describeCluster: {
    throttleTimeMs: 70_001,
    errorCode: 3,
    errorMessage: 'error-message-3',
    endpointType: 64,
    clusterId: 'cluster-id-5',
    controllerId: 70_006,
    brokers: [{ brokerId: 70_008, host: 'host-9', port: 70_010, rack: 'rack-11' }],
    clusterAuthorizedOperations: 70_012,
  },
}
