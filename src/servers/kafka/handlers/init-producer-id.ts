import { clusterName } from '../authorizer.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

const noProducer = { producerId: -1, producerEpoch: -1 }

/**
 * An id for an idempotent producer. There are no transactions: of the codes that clients give up at, 53 is the one that librdkafka and the Java client
 * both take as final; with others librdkafka asks until its time is over.
 */
export const initProducerId: Handler<'initProducerId'> = async ({ transactionalId }, call) => {
  const { context, client, clientId } = call
  if (transactionalId !== null) {
    context.log.warn(
      { clientId, remoteHost: client.principal.host },
      'a kafka producer asked for transactions, which there are not; leave transactional.id out',
    )
    return { throttleTimeMs: 0, errorCode: call.refuse('TRANSACTIONAL_ID_AUTHORIZATION_FAILED'), ...noProducer }
  }
  const isWriter = context.authorizer.isAllowedSomewhere(client.principal, 'write', 'topic')
  if (!isWriter && !call.isAllowed('idempotent-write', 'cluster', clusterName)) {
    return { throttleTimeMs: 0, errorCode: call.refuse('CLUSTER_AUTHORIZATION_FAILED'), ...noProducer }
  }
  try {
    const producerId = await context.hub.allocateProducerId()
    return { throttleTimeMs: 0, errorCode: kafkaErrors.NONE, producerId, producerEpoch: 0 }
  } catch (thrown) {
    return { throttleTimeMs: 0, errorCode: call.groupFault(thrown).errorCode, ...noProducer }
  }
}
