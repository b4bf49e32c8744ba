import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '#lib/errors.ts'

const derive = promisify(pbkdf2)

/** The SCRAM mechanisms, RFC 5802 and RFC 7677, and their hashes. */
export const scramHashes = {
  'SCRAM-SHA-256': { name: 'sha256', sizeBytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', sizeBytes: 64 },
} as const
export type ScramMechanism = keyof typeof scramHashes

/** Rounds of PBKDF2 where nobody says how many; RFC 5802 §5.1 and Kafka ask for 4096 at least. */
export const defaultIterations = 8192
export const minIterations = 4096
export const maxIterations = 16_384

/** What the server keeps in place of a password, RFC 5802 §3. */
export type ScramCredential = {
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
  readonly iterations: number
}

/** The credential of a password; takes milliseconds, on another thread. */
export async function deriveCredential(
  mechanism: ScramMechanism,
  { password, salt, iterations }: { password: string; salt: Buffer; iterations: number },
): Promise<ScramCredential> {
  const { name, sizeBytes } = scramHashes[mechanism]
  // SASLprep (RFC 4013) in essence: what looks the same is the same.
  const saltedPassword = await derive(password.normalize('NFKC'), salt, iterations, sizeBytes, name)
  return credentialOf(mechanism, { saltedPassword, salt, iterations })
}

/** The credential of a password that the client has salted already. */
export function credentialOf(
  mechanism: ScramMechanism,
  { saltedPassword, salt, iterations }: { saltedPassword: Buffer; salt: Buffer; iterations: number },
): ScramCredential {
  const storedKey = hash(mechanism, hmac(mechanism, saltedPassword, 'Client Key'))
  return { salt, storedKey, serverKey: hmac(mechanism, saltedPassword, 'Server Key'), iterations }
}

/** The first message of a client: who it is, and its nonce. Throws `MALFORMED`, `UNSUPPORTED`. RFC 5802 §7, client-first-message. */
export function parseClientFirst(text: string): ClientFirst {
  const match = /^(n|y|p=[^,]*),(?:a=([^,]*))?,(.*)$/s.exec(text)
  if (!match) throw malformed('its first message')
  const [, binding = '', , bare = ''] = match
  if (binding.startsWith('p')) throw new AppError('UNSUPPORTED', 'SCRAM with channel binding is not possible; use it without')
  const fields = /^n=([^,]+),r=([\x21-\x2b\x2d-\x7e]{1,512})(?:,|$)/.exec(bare)
  if (!fields) throw malformed('its first message')
  const [, name = '', nonce = ''] = fields
  if (/=(?!2C|3D)/.test(name)) throw malformed('the user name')
  const user = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return { header: text.slice(0, text.length - bare.length), bare, user, nonce }
}
export type ClientFirst = { readonly header: string; readonly bare: string; readonly user: string; readonly nonce: string }

/** The answer to the first message, and what is needed to judge the second. `serverNonce` must never come twice. */
export function challenge(
  first: ClientFirst,
  credential: ScramCredential,
  serverNonce = randomBytes(24).toString('base64'),
): ScramChallenge {
  const nonce = first.nonce + serverNonce
  const text = `r=${nonce},s=${credential.salt.toString('base64')},i=${credential.iterations}`
  return { text, nonce, header: first.header, signed: `${first.bare},${text}`, credential }
}
export type ScramChallenge = {
  /** server-first-message. */
  readonly text: string
  readonly nonce: string
  readonly header: string
  readonly signed: string
  readonly credential: ScramCredential
}

/**
 * Whether the client's second message proves that it knows the password: the server's own proof for it (server-final-message), or `undefined`.
 * Throws `MALFORMED`.
 */
export function verifyFinal(mechanism: ScramMechanism, given: ScramChallenge, text: string): string | undefined {
  const match = /^(c=([^,]+),r=([^,]+)(?:,.*)?),p=([^,]+)$/s.exec(text)
  if (!match) throw malformed('its second message')
  const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match
  const { credential } = given
  const message = `${given.signed},${withoutProof}`
  const signature = hmac(mechanism, credential.storedKey, message)
  const clientKey = xor(signature, Buffer.from(proof, 'base64'))
  const isSame = isEqual(hash(mechanism, clientKey), credential.storedKey)
  // librdkafka before 2.6.1 puts its own nonce in front once more; the server's part is at the end either way.
  const isBound = binding === Buffer.from(given.header).toString('base64') && nonce.endsWith(given.nonce)
  if (!isSame || !isBound) return undefined
  return `v=${hmac(mechanism, credential.serverKey, message).toString('base64')}`
}

/** Compares in a time that tells nothing of the bytes. */
export function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function malformed(what: string): AppError {
  return new AppError('MALFORMED', `the SCRAM client sent ${what} in a form that RFC 5802 does not have`)
}

function hash(mechanism: ScramMechanism, bytes: Buffer): Buffer {
  return createHash(scramHashes[mechanism].name).update(bytes).digest()
}

function hmac(mechanism: ScramMechanism, key: Buffer, text: string): Buffer {
  return createHmac(scramHashes[mechanism].name, key).update(text).digest()
}

/** As long as `a`; a shorter `b` counts as zeros. */
function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)))
}
