import { noAuthorizedOperations } from '#formats/kafka/messages/metadata.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

const brokers = 1

/** Which nodes there are. */
export const describeCluster: Handler<'describeCluster'> = ({ endpointType }, call) => {
  const { hub, clusterId } = call.context
  const answer = { throttleTimeMs: 0, clusterId, clusterAuthorizedOperations: noAuthorizedOperations, endpointType }
  if (endpointType !== brokers) {
    const refusal = call.refusal(
      'INVALID_REQUEST',
      `there are no endpoints of type ${endpointType}; ask for brokers, type ${brokers}`,
    )
    return { ...answer, ...refusal, controllerId: -1, brokers: [] }
  }
  return {
    ...answer,
    errorCode: kafkaErrors.NONE,
    errorMessage: null,
    controllerId: hub.nodeId,
    brokers: [{ brokerId: hub.nodeId, ...call.client.endpoint, rack: null }],
  }
}
