import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { apiKeyPrefix } from '#lib/authorization.ts'

const secretBytes = 32

/** A key as whoever has it keeps it: `mrk_<id>_<secret>`. */
export type KeyText = { readonly id: string; readonly secret: string }

/** 256 bits of chance. */
export function newSecret(): string {
  return randomBytes(secretBytes).toString('base64url')
}

export function writeKeyText({ id, secret }: KeyText): string {
  return `${apiKeyPrefix}${id}_${secret}`
}

/** Undefined for text that is no key. */
export function readKeyText(text: string): KeyText | undefined {
  const [, id, secret] = /^mrk_([0-9a-z]{22})_([\w-]{43})$/.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** What is stored of a secret, hexadecimal. SHA-256 suffices: nobody guesses 256 bits, so nothing is won by a slow hash. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** In time that tells nothing of where they differ. */
export function isSameHash(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one, 'hex'), Buffer.from(other, 'hex')]
  return first.length === second.length && timingSafeEqual(first, second)
}
