import { hash, timingSafeEqual } from 'node:crypto'

const hashNames = { MD5: 'md5', 'SHA-256': 'sha256' } as const
type DigestAlgorithm = keyof typeof hashNames

/** What a server asks for. */
export type Challenge = { readonly scheme: 'basic'; readonly realm: string } | DigestChallenge

/** RFC 7616 §3.3. `hasQop`: the answer must be of quality of protection `auth`; without, it is as in RFC 2069. */
type DigestChallenge = {
  readonly scheme: 'digest'
  readonly realm: string
  readonly nonce: string
  readonly algorithm: DigestAlgorithm
  readonly hasQop: boolean
  readonly opaque: string | undefined
  readonly isStale: boolean
}

/** What a client shows. */
export type Credentials =
  | { readonly scheme: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly scheme: 'digest'
      readonly username: string
      readonly realm: string
      readonly nonce: string
      readonly uri: string
      readonly response: string
      readonly algorithm: DigestAlgorithm
      readonly qop: { readonly value: string; readonly nc: string; readonly cnonce: string } | undefined
    }

/**
 * The challenge to answer among the `WWW-Authenticate` headers: the first digest that can be computed, else the first `Basic`.
 * Of several digests only the first is believed, because some TP-Link cameras announce a second one that they do not check.
 */
export function chooseChallenge(headers: readonly string[]): Challenge | undefined {
  const challenges = headers.map(parseChallenge).filter((challenge) => challenge !== undefined)
  return challenges.find(({ scheme }) => scheme === 'digest') ?? challenges[0]
}

/** One `WWW-Authenticate` header; `undefined` for schemes and algorithms that are not known. Unknown fields are left out. */
export function parseChallenge(header: string): Challenge | undefined {
  const { scheme, fields } = parseFields(header)
  const realm = fields.get('realm') ?? ''
  if (scheme === 'basic') return { scheme, realm }
  const algorithm = parseAlgorithm(fields.get('algorithm'))
  const nonce = fields.get('nonce')
  if (scheme !== 'digest' || !algorithm || nonce === undefined) return undefined
  const qop = fields.get('qop')
  const hasQop = qop !== undefined && qop.split(',').some((value) => value.trim().toLowerCase() === 'auth')
  if (qop !== undefined && qop !== '' && !hasQop) return undefined
  const isStale = fields.get('stale')?.toLowerCase() === 'true'
  return { scheme, realm, nonce, algorithm, hasQop, opaque: fields.get('opaque'), isStale }
}

/**
 * The `WWW-Authenticate` headers of a server, one a line: digest with MD5, then Basic. SHA-256 is not offered: FFmpeg takes it and
 * then computes MD5.
 */
export function writeChallenges({ realm, nonce, isStale }: { realm: string; nonce: string; isStale: boolean }): string[] {
  const stale = isStale ? ', stale=true' : ''
  return [`Digest realm="${quote(realm)}", nonce="${quote(nonce)}", algorithm=MD5${stale}`, `Basic realm="${quote(realm)}"`]
}

type DigestRequest = { readonly method: string; readonly uri: string; readonly cnonce: string; readonly count: number }

/** The `Authorization` header that answers a challenge; `cnonce` and `count` matter when the challenge asks for a `qop`. */
export function writeAuthorization(
  challenge: Challenge,
  login: { readonly username: string; readonly password: string },
  request: DigestRequest,
): string {
  const { username, password } = login
  if (challenge.scheme === 'basic') return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const { realm, nonce, algorithm, opaque } = challenge
  const { method, uri, cnonce } = request
  const nc = request.count.toString(16).padStart(8, '0')
  const qop = challenge.hasQop ? { value: 'auth', nc, cnonce } : undefined
  const response = digest({ username, realm, password, method, uri, nonce, algorithm, qop })
  return [
    `Digest username="${quote(username)}"`,
    `realm="${quote(realm)}"`,
    `nonce="${quote(nonce)}"`,
    `uri="${quote(uri)}"`,
    ...(algorithm === 'MD5' ? [] : [`algorithm=${algorithm}`]),
    ...(qop ? [`qop=auth`, `nc=${nc}`, `cnonce="${quote(cnonce)}"`] : []),
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque="${quote(opaque)}"`]),
  ].join(', ')
}

/** One `Authorization` header; `undefined` when it cannot be read. Unknown fields, as Hikvision's, are left out. */
export function parseAuthorization(header: string): Credentials | undefined {
  const basic = /^\s*Basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(header)
  if (basic) {
    const text = Buffer.from(basic[1] ?? '', 'base64').toString()
    const at = text.indexOf(':')
    return at < 0 ? undefined : { scheme: 'basic', username: text.slice(0, at), password: text.slice(at + 1) }
  }
  const { scheme, fields } = parseFields(header)
  const algorithm = parseAlgorithm(fields.get('algorithm'))
  const [username, realm, nonce, uri, response] = ['username', 'realm', 'nonce', 'uri', 'response'].map((name) =>
    fields.get(name),
  )
  if (scheme !== 'digest' || !algorithm) return undefined
  if (username === undefined || realm === undefined || nonce === undefined || uri === undefined || !response) return undefined
  const value = fields.get('qop')
  const qop = value ? { value, nc: fields.get('nc') ?? '', cnonce: fields.get('cnonce') ?? '' } : undefined
  return { scheme, username, realm, nonce, uri, response: response.toLowerCase(), algorithm, qop }
}

/** Whether the credentials were made with this password; for a digest also for this method. Takes the same time for any wrong one. */
export function isPasswordShown(credentials: Credentials, { password, method }: { password: string; method: string }): boolean {
  if (credentials.scheme === 'basic') return equalsSlowly(credentials.password, password)
  return equalsSlowly(credentials.response, digest({ ...credentials, password, method }))
}

type DigestInput = Omit<Extract<Credentials, { scheme: 'digest' }>, 'scheme' | 'response'> & { password: string; method: string }

/** RFC 7616 §3.4.1. */
function digest({ username, realm, password, method, uri, nonce, algorithm, qop }: DigestInput): string {
  const name = hashNames[algorithm]
  const a1 = hash(name, `${username}:${realm}:${password}`)
  const a2 = hash(name, `${method}:${uri}`)
  const middle = qop ? `${nonce}:${qop.nc}:${qop.cnonce}:${qop.value}` : nonce
  return hash(name, `${a1}:${middle}:${a2}`)
}

function equalsSlowly(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}

function parseAlgorithm(text: string | undefined): DigestAlgorithm | undefined {
  const name = text?.toUpperCase() || 'MD5'
  return name === 'MD5' || name === 'SHA-256' ? name : undefined
}

/** `Digest realm="a", nonce=b`: scheme and names in lower case. */
function parseFields(header: string): { scheme: string; fields: Map<string, string> } {
  const match = /^\s*([A-Za-z]+)(?:\s+|$)/.exec(header)
  const fields = new Map<string, string>()
  const field = /([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/g
  for (const [, name = '', quoted, bare = ''] of header.slice(match?.[0].length ?? 0).matchAll(field)) {
    const key = name.toLowerCase()
    if (!fields.has(key)) fields.set(key, quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1'))
  }
  return { scheme: match?.[1]?.toLowerCase() ?? '', fields }
}

function quote(text: string): string {
  return text.replace(/["\\]/g, '\\$&')
}
