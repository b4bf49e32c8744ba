import type { Reader } from '#bytes/reader.ts'
import type { Api, ApiName } from '#formats/kafka/apis.ts'
import { decodeRequest, encodeResponseChunks } from '#formats/kafka/frame.ts'
import type { Call } from './call.ts'
import type { Handler } from './handler.ts'
import { createAcls, deleteAcls, describeAcls } from './handlers/acls.ts'
import { apiVersions } from './handlers/api-versions.ts'
import { alterConfigs, describeConfigs, incrementalAlterConfigs } from './handlers/configs.ts'
import { describeCluster } from './handlers/describe-cluster.ts'
import { fetch } from './handlers/fetch.ts'
import { deleteGroups, describeGroups, findCoordinator, listGroups } from './handlers/group-admin.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from './handlers/group-membership.ts'
import { offsetCommit, offsetDelete, offsetFetch } from './handlers/group-offsets.ts'
import { initProducerId } from './handlers/init-producer-id.ts'
import { metadata } from './handlers/metadata.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from './handlers/offsets.ts'
import { produce } from './handlers/produce.ts'
import { saslAuthenticate, saslHandshake } from './handlers/sasl.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from './handlers/scram-credentials.ts'
import { createPartitions, createTopics, deleteTopics } from './handlers/topics.ts'

/**
 * When a request is begun: `at-once`, when it is read, so that producers fill a sync of the disk together and members are alive behind a long poll;
 * `in-turn`, when all earlier ones of the connection are answered, so that only one large answer is in memory. Answers leave in order either way.
 */
export type Pace = 'at-once' | 'in-turn'

type Route<N extends ApiName> = { readonly handle: Handler<N>; readonly pace: Pace; readonly isBeforeLogin?: boolean }

const routes: { readonly [N in ApiName]: Route<N> } = {
  produce: { handle: produce, pace: 'at-once' },
  fetch: { handle: fetch, pace: 'in-turn' },
  listOffsets: { handle: listOffsets, pace: 'in-turn' },
  metadata: { handle: metadata, pace: 'in-turn' },
  offsetCommit: { handle: offsetCommit, pace: 'at-once' },
  offsetFetch: { handle: offsetFetch, pace: 'in-turn' },
  findCoordinator: { handle: findCoordinator, pace: 'in-turn' },
  joinGroup: { handle: joinGroup, pace: 'at-once' },
  heartbeat: { handle: heartbeat, pace: 'at-once' },
  leaveGroup: { handle: leaveGroup, pace: 'at-once' },
  syncGroup: { handle: syncGroup, pace: 'at-once' },
  describeGroups: { handle: describeGroups, pace: 'in-turn' },
  listGroups: { handle: listGroups, pace: 'in-turn' },
  saslHandshake: { handle: saslHandshake, pace: 'in-turn', isBeforeLogin: true },
  apiVersions: { handle: apiVersions, pace: 'in-turn', isBeforeLogin: true },
  createTopics: { handle: createTopics, pace: 'in-turn' },
  deleteTopics: { handle: deleteTopics, pace: 'in-turn' },
  deleteRecords: { handle: deleteRecords, pace: 'in-turn' },
  initProducerId: { handle: initProducerId, pace: 'in-turn' },
  offsetForLeaderEpoch: { handle: offsetForLeaderEpoch, pace: 'in-turn' },
  describeAcls: { handle: describeAcls, pace: 'in-turn' },
  createAcls: { handle: createAcls, pace: 'in-turn' },
  deleteAcls: { handle: deleteAcls, pace: 'in-turn' },
  describeConfigs: { handle: describeConfigs, pace: 'in-turn' },
  alterConfigs: { handle: alterConfigs, pace: 'in-turn' },
  saslAuthenticate: { handle: saslAuthenticate, pace: 'in-turn', isBeforeLogin: true },
  createPartitions: { handle: createPartitions, pace: 'in-turn' },
  deleteGroups: { handle: deleteGroups, pace: 'in-turn' },
  incrementalAlterConfigs: { handle: incrementalAlterConfigs, pace: 'in-turn' },
  offsetDelete: { handle: offsetDelete, pace: 'in-turn' },
  describeUserScramCredentials: { handle: describeUserScramCredentials, pace: 'in-turn' },
  alterUserScramCredentials: { handle: alterUserScramCredentials, pace: 'in-turn' },
  describeCluster: { handle: describeCluster, pace: 'in-turn' },
}

export function paceOf(name: ApiName): Pace {
  return routes[name].pace
}

/** Whether clients may ask this before they have shown who they are. */
export function isBeforeLogin(name: ApiName): boolean {
  return routes[name].isBeforeLogin ?? false
}

/**
 * Reads the message of a request, carries it out, and gives the answer as chunks to be sent in order; `undefined`: there is none. Throws what makes the
 * connection useless: `TRUNCATED`, `MALFORMED`, `UNSUPPORTED`, `LIMIT_EXCEEDED`, and faults of our own.
 */
export async function dispatch<N extends ApiName>(
  api: Api<N>,
  name: N,
  { call, correlationId, message }: { call: Call; correlationId: number; message: Reader },
): Promise<readonly Buffer[] | undefined> {
  const { handle }: Route<N> = routes[name]
  const body = await handle(decodeRequest(api, call.version, message), call)
  return body && encodeResponseChunks(api, call.version, correlationId, body)
}
