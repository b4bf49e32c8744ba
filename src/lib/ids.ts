import { randomBytes } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** A sortable unique id: 10 characters of time, 12 of chance, Crockford base 32 in lower case (as ULID, 2 characters shorter). */
export function newId(nowMs: number): string {
  let time = ''
  for (let rest = Math.floor(nowMs), i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = (alphabet[rest % 32] ?? '0') + time
  let chance = ''
  for (const byte of randomBytes(12)) chance += alphabet[byte % 32] ?? '0'
  return time + chance
}
