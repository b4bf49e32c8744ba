import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import { clusterName, type Operation } from '../authorizer.ts'
import type { Call, Fault } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import { credentialOf, maxIterations, minIterations, scramHashes, type ScramMechanism } from '../scram.ts'

/** Numbers of the mechanisms. https://kafka.apache.org/protocol.html#The_Messages_AlterUserScramCredentials */
const mechanisms = new Map<number, ScramMechanism>([
  [1, 'SCRAM-SHA-256'],
  [2, 'SCRAM-SHA-512'],
])
const maxCredentials = 10_000
const done = { errorCode: kafkaErrors.NONE, errorMessage: null }

function refusalOf(call: Call, operation: Operation): Fault | undefined {
  if (call.isAllowed(operation, 'cluster', clusterName)) return undefined
  return call.refusal('CLUSTER_AUTHORIZATION_FAILED', `you may not ${operation} the cluster`)
}

type DescribedUser = ResponseInputOf<'describeUserScramCredentials'>['results'][number]

/** Which users have SCRAM credentials that were stored over this protocol; never the credentials themselves. */
export const describeUserScramCredentials: Handler<'describeUserScramCredentials'> = ({ users }, call) => {
  const refusal = refusalOf(call, 'describe')
  if (refusal) return { throttleTimeMs: 0, ...refusal, results: [] }
  const { stored } = call.context.credentials
  const asked = users === null || users.length === 0 ? stored.map(({ user }) => user) : users.map(({ name }) => name)
  return { throttleTimeMs: 0, ...done, results: [...new Set(asked)].map((user) => describeUser(call, user)) }
}

function describeUser(call: Call, user: string): DescribedUser {
  const rows = call.context.credentials.stored.filter((row) => row.user === user)
  if (rows.length === 0)
    return { user, ...call.refusal('RESOURCE_NOT_FOUND', `no SCRAM credential is stored for "${user}"`), credentialInfos: [] }
  const credentialInfos = [...mechanisms].flatMap(([mechanism, name]) => {
    const row = rows.find((one) => one.mechanism === name)
    return row ? [{ mechanism, iterations: row.iterations }] : []
  })
  return { user, ...done, credentialInfos }
}

type Request = RequestOf<'alterUserScramCredentials'>
type Change = {
  readonly user: string
  readonly mechanism: number
  readonly apply: (mechanism: ScramMechanism) => Promise<Fault | undefined>
}

/** Stores and removes SCRAM credentials. The client has salted the password, which never comes here. The changes of a user are made in order, up to one that is refused. */
export const alterUserScramCredentials: Handler<'alterUserScramCredentials'> = async (request, call) => {
  const byUser = Map.groupBy(changesOf(request, call), ({ user }) => user)
  const refusal = refusalOf(call, 'alter')
  const results: ResponseInputOf<'alterUserScramCredentials'>['results'][number][] = []
  for (const [user, changes] of byUser) results.push({ user, ...(refusal ?? (await changeUser(call, user, changes)) ?? done) })
  return { throttleTimeMs: 0, results }
}

function changesOf({ deletions, upsertions }: Request, call: Call): Change[] {
  return [
    ...deletions.map(({ name, mechanism }) => ({
      user: name,
      mechanism,
      apply: (known: ScramMechanism) => remove(call, name, known),
    })),
    ...upsertions.map((upsertion) => ({
      user: upsertion.name,
      mechanism: upsertion.mechanism,
      apply: (known: ScramMechanism) => store(call, upsertion, known),
    })),
  ]
}

async function changeUser(call: Call, user: string, changes: readonly Change[]): Promise<Fault | undefined> {
  if (new Set(changes.map(({ mechanism }) => mechanism)).size < changes.length) {
    return call.refusal('DUPLICATE_RESOURCE', 'the same credential is in the request twice')
  }
  if (user === '' || user.length > 255) return call.refusal('UNACCEPTABLE_CREDENTIAL', 'a user name has 1 to 255 characters')
  try {
    for (const { mechanism, apply } of changes) {
      const known = mechanisms.get(mechanism)
      if (!known) return call.refusal('UNSUPPORTED_SASL_MECHANISM', `there is no SCRAM mechanism ${mechanism}; use 1 or 2`)
      const fault = await apply(known)
      if (fault) return fault
    }
    call.context.log.info({ user, by: call.client.principal.user, changes: changes.length }, 'SCRAM credentials changed')
    return undefined
  } catch (thrown) {
    return call.fault(thrown)
  }
}

async function remove(call: Call, user: string, mechanism: ScramMechanism): Promise<Fault | undefined> {
  if (await call.context.credentials.delete({ user, mechanism })) return undefined
  return call.refusal('RESOURCE_NOT_FOUND', `no ${mechanism} credential is stored for "${user}"`)
}

async function store(call: Call, asked: Request['upsertions'][number], mechanism: ScramMechanism): Promise<Fault | undefined> {
  const { name, iterations, salt, saltedPassword } = asked
  const { credentials } = call.context
  const refuse = (message: string): Fault => call.refusal('UNACCEPTABLE_CREDENTIAL', message)
  if (iterations < minIterations || iterations > maxIterations) {
    return refuse(`${iterations} iterations are not possible; use ${minIterations} to ${maxIterations}`)
  }
  if (saltedPassword.length !== scramHashes[mechanism].sizeBytes)
    return refuse(`a salted password of ${mechanism} has ${scramHashes[mechanism].sizeBytes} bytes`)
  if (salt.length === 0 || salt.length > 256) return refuse('a salt has 1 to 256 bytes')
  if (credentials.isConfigured(name)) return refuse(`"${name}" is a user of the configuration file; change the password there`)
  if (credentials.stored.length >= maxCredentials) return refuse(`there may be ${maxCredentials} stored credentials; delete some`)
  const credential = credentialOf(mechanism, { saltedPassword, salt: Buffer.from(salt), iterations })
  await credentials.save({ user: name, mechanism, ...credential })
  return undefined
}
