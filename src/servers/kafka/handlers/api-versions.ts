import { advertisedVersions } from '#formats/kafka/apis.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'

/** KIP-511: what a client may call itself. */
const softwareNames = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const namedSince = 3

/** Which APIs there are, in which versions: the first question of every client, also before it logs in. */
export const apiVersions: Handler<'apiVersions'> = ({ clientSoftwareName, clientSoftwareVersion }, call) => {
  const isNamed = [clientSoftwareName, clientSoftwareVersion].every((text) => softwareNames.test(text))
  if (call.version >= namedSince && !isNamed) return { errorCode: call.refuse('INVALID_REQUEST'), apiKeys: [] }
  return { errorCode: kafkaErrors.NONE, apiKeys: advertisedVersions() }
}
