import type { Call } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import { saslMechanisms } from '../sasl.ts'

/** A wrong password is answered this late, whatever was wrong with it: guessing takes long, and the time tells nothing. */
const failureDelayMs = 300
const noToken = Buffer.alloc(0)

/** Chooses the mechanism of a login. */
export const saslHandshake: Handler<'saslHandshake'> = ({ mechanism }, call) => {
  const isKnown = call.client.login.choose(mechanism, { isRaw: call.version === 0 })
  return { errorCode: isKnown ? kafkaErrors.NONE : call.refuse('UNSUPPORTED_SASL_MECHANISM'), mechanisms: saslMechanisms }
}

/** Carries one token of a login, and the answer to it. */
export const saslAuthenticate: Handler<'saslAuthenticate'> = async ({ authBytes }, call) => {
  const token = await takeToken(call, authBytes)
  if (token.kind === 'accepted') return { errorCode: kafkaErrors.NONE, errorMessage: null, authBytes: token.answer }
  call.client.endAfterAnswer()
  return { ...call.refusal(token.errorName, token.message), authBytes: noToken }
}

type TokenTaken =
  | { readonly kind: 'accepted'; readonly answer: Buffer }
  | {
      readonly kind: 'refused'
      readonly errorName: 'ILLEGAL_SASL_STATE' | 'SASL_AUTHENTICATION_FAILED'
      readonly message: string
    }

/** Takes a token, however it came. Logs and counts logins; one that failed takes its time. Throws `LIMIT_EXCEEDED` when too many log in at once. */
export async function takeToken(
  { client, context, clientId }: Pick<Call, 'client' | 'context' | 'clientId'>,
  token: Buffer,
): Promise<TokenTaken> {
  const { login, principal } = client
  const { mechanism } = login
  const step = await login.take(token)
  if (!step) return { kind: 'refused', errorName: 'ILLEGAL_SASL_STATE', message: 'no login has begun; send SaslHandshake first' }
  if (step.kind !== 'failed') {
    if (step.kind === 'done')
      context.log.debug({ user: step.user, mechanism, clientId, remoteHost: principal.host }, 'kafka client logged in')
    return { kind: 'accepted', answer: step.token }
  }
  context.counters.failedLogins += 1
  const failures = context.complaints.count(`login ${principal.host}`)
  if (failures !== undefined) {
    context.log.warn({ user: step.user, mechanism, clientId, remoteHost: principal.host, failures }, 'kafka login failed')
  }
  await new Promise<void>((resolve) => {
    context.timers.after(failureDelayMs, resolve)
  })
  return { kind: 'refused', errorName: 'SASL_AUTHENTICATION_FAILED', message: 'wrong user or password' }
}
