/** How API keys begin. */
export const apiKeyPrefix = 'mrk_'

/** The header `Authorization` for a credential as people write it: an API key, or `name:password`. */
export function authorizationOf(credential: string): string {
  // A key has no colon; a name that begins like one is followed by one.
  if (credential.startsWith(apiKeyPrefix) && !credential.includes(':')) return `Bearer ${credential}`
  return `Basic ${Buffer.from(credential).toString('base64')}`
}

/** The credential in an address: `http://name:password@host`, or `http://mrk_…@host`. Undefined when it has none. */
export function credentialOf({ username, password }: Pick<URL, 'username' | 'password'>): string | undefined {
  const name = decodeURIComponent(username)
  if (name === '') return undefined
  return password === '' && name.startsWith(apiKeyPrefix) ? name : `${name}:${decodeURIComponent(password)}`
}
