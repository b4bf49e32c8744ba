import { message, type Field, type Message } from './codec.ts'
import {
  describeAclsRequest,
  describeAclsResponse,
  createAclsRequest,
  createAclsResponse,
  deleteAclsRequest,
  deleteAclsResponse,
} from './messages/acls.ts'
import { apiVersionsRequest, apiVersionsResponse } from './messages/api-versions.ts'
import {
  describeConfigsRequest,
  describeConfigsResponse,
  alterConfigsRequest,
  alterConfigsResponse,
  incrementalAlterConfigsRequest,
} from './messages/configs.ts'
import { createPartitionsRequest, createPartitionsResponse } from './messages/create-partitions.ts'
import { createTopicsRequest, createTopicsResponse } from './messages/create-topics.ts'
import { deleteGroupsRequest, deleteGroupsResponse } from './messages/delete-groups.ts'
import { deleteRecordsRequest, deleteRecordsResponse } from './messages/delete-records.ts'
import { deleteTopicsRequest, deleteTopicsResponse } from './messages/delete-topics.ts'
import { describeClusterRequest, describeClusterResponse } from './messages/describe-cluster.ts'
import { describeGroupsRequest, describeGroupsResponse } from './messages/describe-groups.ts'
import { fetchRequest, fetchResponse } from './messages/fetch.ts'
import { findCoordinatorRequest, findCoordinatorResponse } from './messages/find-coordinator.ts'
import { heartbeatRequest, heartbeatResponse } from './messages/heartbeat.ts'
import { initProducerIdRequest, initProducerIdResponse } from './messages/init-producer-id.ts'
import { joinGroupRequest, joinGroupResponse } from './messages/join-group.ts'
import { leaveGroupRequest, leaveGroupResponse } from './messages/leave-group.ts'
import { listGroupsRequest, listGroupsResponse } from './messages/list-groups.ts'
import { listOffsetsRequest, listOffsetsResponse } from './messages/list-offsets.ts'
import { metadataRequest, metadataResponse } from './messages/metadata.ts'
import { offsetCommitRequest, offsetCommitResponse } from './messages/offset-commit.ts'
import { offsetDeleteRequest, offsetDeleteResponse } from './messages/offset-delete.ts'
import { offsetFetchRequest, offsetFetchResponse } from './messages/offset-fetch.ts'
import { offsetForLeaderEpochRequest, offsetForLeaderEpochResponse } from './messages/offset-for-leader-epoch.ts'
import { produceRequest, produceResponse } from './messages/produce.ts'
import {
  saslHandshakeRequest,
  saslHandshakeResponse,
  saslAuthenticateRequest,
  saslAuthenticateResponse,
} from './messages/sasl.ts'
import {
  describeUserScramCredentialsRequest,
  describeUserScramCredentialsResponse,
  alterUserScramCredentialsRequest,
  alterUserScramCredentialsResponse,
} from './messages/scram-credentials.ts'
import { syncGroupRequest, syncGroupResponse } from './messages/sync-group.ts'

const never = Number.POSITIVE_INFINITY

/**
 * The APIs of the Kafka protocol that Millrace speaks, with the versions it advertises: https://kafka.apache.org/protocol.html#protocol_api_keys
 * Old versions are there where clients still need them. Produce 0 to 2 are, because librdkafka up to 2.10 sees by them whether a broker knows
 * compression; they carry message sets of an older format and are to be answered with UNSUPPORTED_VERSION.
 *
 *   codec.ts   the words of a schema          messages/   the schemas, a file for each API or family
 *   frame.ts   whole requests and responses   records.ts, record-batch.ts   what lies in fields of records
 */
const table = {
  produce: api('produce', { key: 0, min: 0, max: 9, flexibleFrom: 9 }, produceRequest, produceResponse),
  fetch: api('fetch', { key: 1, min: 4, max: 12, flexibleFrom: 12 }, fetchRequest, fetchResponse),
  listOffsets: api('listOffsets', { key: 2, min: 1, max: 7, flexibleFrom: 6 }, listOffsetsRequest, listOffsetsResponse),
  metadata: api('metadata', { key: 3, min: 0, max: 12, flexibleFrom: 9 }, metadataRequest, metadataResponse),
  offsetCommit: api('offsetCommit', { key: 8, min: 2, max: 8, flexibleFrom: 8 }, offsetCommitRequest, offsetCommitResponse),
  offsetFetch: api('offsetFetch', { key: 9, min: 1, max: 8, flexibleFrom: 6 }, offsetFetchRequest, offsetFetchResponse),
  findCoordinator: api(
    'findCoordinator',
    { key: 10, min: 0, max: 4, flexibleFrom: 3 },
    findCoordinatorRequest,
    findCoordinatorResponse,
  ),
  joinGroup: api('joinGroup', { key: 11, min: 0, max: 9, flexibleFrom: 6 }, joinGroupRequest, joinGroupResponse),
  heartbeat: api('heartbeat', { key: 12, min: 0, max: 4, flexibleFrom: 4 }, heartbeatRequest, heartbeatResponse),
  leaveGroup: api('leaveGroup', { key: 13, min: 0, max: 5, flexibleFrom: 4 }, leaveGroupRequest, leaveGroupResponse),
  syncGroup: api('syncGroup', { key: 14, min: 0, max: 5, flexibleFrom: 4 }, syncGroupRequest, syncGroupResponse),
  describeGroups: api(
    'describeGroups',
    { key: 15, min: 0, max: 5, flexibleFrom: 5 },
    describeGroupsRequest,
    describeGroupsResponse,
  ),
  listGroups: api('listGroups', { key: 16, min: 0, max: 4, flexibleFrom: 3 }, listGroupsRequest, listGroupsResponse),
  saslHandshake: api(
    'saslHandshake',
    { key: 17, min: 0, max: 1, flexibleFrom: never },
    saslHandshakeRequest,
    saslHandshakeResponse,
  ),
  apiVersions: api('apiVersions', { key: 18, min: 0, max: 4, flexibleFrom: 3 }, apiVersionsRequest, apiVersionsResponse),
  createTopics: api('createTopics', { key: 19, min: 2, max: 7, flexibleFrom: 5 }, createTopicsRequest, createTopicsResponse),
  deleteTopics: api('deleteTopics', { key: 20, min: 1, max: 6, flexibleFrom: 4 }, deleteTopicsRequest, deleteTopicsResponse),
  deleteRecords: api('deleteRecords', { key: 21, min: 0, max: 2, flexibleFrom: 2 }, deleteRecordsRequest, deleteRecordsResponse),
  initProducerId: api(
    'initProducerId',
    { key: 22, min: 0, max: 4, flexibleFrom: 2 },
    initProducerIdRequest,
    initProducerIdResponse,
  ),
  offsetForLeaderEpoch: api(
    'offsetForLeaderEpoch',
    { key: 23, min: 2, max: 4, flexibleFrom: 4 },
    offsetForLeaderEpochRequest,
    offsetForLeaderEpochResponse,
  ),
  describeAcls: api('describeAcls', { key: 29, min: 1, max: 3, flexibleFrom: 2 }, describeAclsRequest, describeAclsResponse),
  createAcls: api('createAcls', { key: 30, min: 1, max: 3, flexibleFrom: 2 }, createAclsRequest, createAclsResponse),
  deleteAcls: api('deleteAcls', { key: 31, min: 1, max: 3, flexibleFrom: 2 }, deleteAclsRequest, deleteAclsResponse),
  describeConfigs: api(
    'describeConfigs',
    { key: 32, min: 1, max: 4, flexibleFrom: 4 },
    describeConfigsRequest,
    describeConfigsResponse,
  ),
  alterConfigs: api('alterConfigs', { key: 33, min: 0, max: 2, flexibleFrom: 2 }, alterConfigsRequest, alterConfigsResponse),
  saslAuthenticate: api(
    'saslAuthenticate',
    { key: 36, min: 0, max: 2, flexibleFrom: 2 },
    saslAuthenticateRequest,
    saslAuthenticateResponse,
  ),
  createPartitions: api(
    'createPartitions',
    { key: 37, min: 0, max: 3, flexibleFrom: 2 },
    createPartitionsRequest,
    createPartitionsResponse,
  ),
  deleteGroups: api('deleteGroups', { key: 42, min: 0, max: 2, flexibleFrom: 2 }, deleteGroupsRequest, deleteGroupsResponse),
  incrementalAlterConfigs: api(
    'incrementalAlterConfigs',
    { key: 44, min: 0, max: 1, flexibleFrom: 1 },
    incrementalAlterConfigsRequest,
    alterConfigsResponse,
  ),
  offsetDelete: api('offsetDelete', { key: 47, min: 0, max: 0, flexibleFrom: never }, offsetDeleteRequest, offsetDeleteResponse),
  describeUserScramCredentials: api(
    'describeUserScramCredentials',
    { key: 50, min: 0, max: 0, flexibleFrom: 0 },
    describeUserScramCredentialsRequest,
    describeUserScramCredentialsResponse,
  ),
  alterUserScramCredentials: api(
    'alterUserScramCredentials',
    { key: 51, min: 0, max: 0, flexibleFrom: 0 },
    alterUserScramCredentialsRequest,
    alterUserScramCredentialsResponse,
  ),
  describeCluster: api(
    'describeCluster',
    { key: 60, min: 0, max: 1, flexibleFrom: 0 },
    describeClusterRequest,
    describeClusterResponse,
  ),
}

/** An API by its name in Kafka's documents, as a property. */
export type ApiName = keyof typeof table
/** What a request reads as. */
export type RequestOf<N extends ApiName> = Requests[N]
/** What a request can be written from. */
export type RequestInputOf<N extends ApiName> = RequestInputs[N]
/** What a response reads as. */
export type ResponseOf<N extends ApiName> = Responses[N]
/** What a response can be written from: what has a default may be left out. */
export type ResponseInputOf<N extends ApiName> = ResponseInputs[N]

/** The key of an API, the lowest and highest version advertised, and the first flexible one (infinite where there is none). */
export type ApiVersions = { readonly key: number; readonly min: number; readonly max: number; readonly flexibleFrom: number }

/** One API with its messages; without a name, any of them. Generic code over `N` keeps request and response together. */
export type Api<N extends ApiName = ApiName> = {
  readonly [K in N]: ApiVersions & {
    readonly name: K
    readonly request: Message<Requests[K], RequestInputs[K]>
    readonly response: Message<Responses[K], ResponseInputs[K]>
  }
}[N]

/** All APIs by name. */
export const apis: { readonly [N in ApiName]: Api<N> } = table

const byKey = new Map<number, Api>(Object.values(apis).map((each) => [each.key, each]))

/** The API with this key on the wire. */
export function apiByKey(key: number): Api | undefined {
  return byKey.get(key)
}

/** The versions to answer an ApiVersions request with, by key. */
export function advertisedVersions(): { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[] {
  return Object.values(apis).map(({ key, min, max }) => ({ apiKey: key, minVersion: min, maxVersion: max }))
}

type Requests = { readonly [N in ApiName]: OutOf<(typeof table)[N]['request']> }
type RequestInputs = { readonly [N in ApiName]: InOf<(typeof table)[N]['request']> }
type Responses = { readonly [N in ApiName]: OutOf<(typeof table)[N]['response']> }
type ResponseInputs = { readonly [N in ApiName]: InOf<(typeof table)[N]['response']> }
type OutOf<M> = M extends Message<infer Out, never> ? Out : never
type InOf<M> = M extends Message<unknown, infer In> ? In : never

function api<const N extends string, Q, QIn, P, PIn>(
  name: N,
  versions: ApiVersions,
  request: Field<Q, QIn>,
  response: Field<P, PIn>,
) {
  const { flexibleFrom } = versions
  return { name, ...versions, request: message(request, flexibleFrom), response: message(response, flexibleFrom) }
}
