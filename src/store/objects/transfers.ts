import { createHmac, timingSafeEqual } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Check } from 'typebox/value'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from './object-store.ts'
import { partRange, partUpload, type PartUpload } from './part-upload.ts'

/** Below the API's address; the token is in the query, which no log has. */
export const transferPath = '/api/v1/objects/transfer'

/** URLs for whoever moves bytes without credentials of the store. */
export type TransferUrls = {
  /** GET and HEAD, with ranges. */
  readonly get: (key: string) => Promise<string>
  /** PUT of one part, from 0; it answers with the part's tag in the header ETag. */
  readonly put: (upload: PartUpload, part: number) => Promise<string>
}

/** What a token permits. */
export type Transfer =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'put'; readonly upload: PartUpload; readonly part: number }

const expirySchema = Type.Integer({ minimum: 0, description: 'Seconds since the Unix epoch.' })
const claimsSchema = Type.Union([
  Type.Tuple([Type.Literal('get'), Type.String(), expirySchema]),
  Type.Tuple([Type.Literal('put'), Type.String(), Type.String(), Type.Integer(), Type.Integer(), expirySchema]),
])
/** Method, key, (upload, size of the object, part,) expiry. */
type Claims = Static<typeof claimsSchema>

export type ObjectTransfersOptions = {
  readonly objects: ObjectStore
  /** Of this server alone, or of all nodes that stand behind one address. At least 32 bytes. */
  readonly secret: Buffer
  readonly clock: Clock
  readonly ttlSeconds: number
}

/** Signs URLs: the store's own where it has some, so that bytes do not pass through the API; else the API's, `<base>/api/v1/objects/transfer?token=…`. */
export class ObjectTransfers {
  readonly #objects: ObjectStore
  readonly #secret: Buffer
  readonly #clock: Clock
  readonly #ttlSeconds: number

  constructor({ objects, secret, clock, ttlSeconds }: ObjectTransfersOptions) {
    if (secret.length < 32) throw new AppError('CONFIG_INVALID', 'the secret of transfers has fewer than 32 bytes')
    this.#objects = objects
    this.#secret = secret
    this.#clock = clock
    this.#ttlSeconds = ttlSeconds
  }

  /** `baseUrl` is the API's address as the asker reaches it: `http://10.0.0.5:3000`. */
  urls(baseUrl: string): TransferUrls {
    const objects = this.#objects
    const ttlSeconds = this.#ttlSeconds
    return {
      get: async (key) => (await objects.signGet?.(key, { ttlSeconds })) ?? this.#url(baseUrl, ['get', key, this.#expiry]),
      put: async (upload, part) => {
        partRange(upload, part)
        const signed = await objects.signPart?.(upload, part, { ttlSeconds })
        const { key, uploadId, sizeBytes } = upload
        return signed ?? this.#url(baseUrl, ['put', key, uploadId, sizeBytes, part, this.#expiry])
      },
    }
  }

  /** What a token of ours permits. Throws `FORBIDDEN` for one that is forged or over. */
  verify(token: string): Transfer {
    const [payload = '', tag = '', ...rest] = token.split('.')
    const expected = this.#tag(payload)
    const given = Buffer.from(tag, 'base64url')
    const isOurs = rest.length === 0 && given.length === expected.length && timingSafeEqual(given, expected)
    const claims = isOurs ? parseClaims(payload) : undefined
    if (!claims) throw new AppError('FORBIDDEN', 'the URL is not one that this server has signed')
    const expiresAt = claims[0] === 'get' ? claims[2] : claims[5]
    if (this.#clock.nowMs() >= expiresAt * 1000) throw new AppError('FORBIDDEN', 'the URL has expired; ask for a fresh one')
    if (claims[0] === 'get') return { kind: 'get', key: claims[1] }
    const [, key, uploadId, sizeBytes, part] = claims
    return { kind: 'put', upload: partUpload({ key, uploadId, sizeBytes }), part }
  }

  get #expiry(): number {
    return Math.ceil(this.#clock.nowMs() / 1000) + this.#ttlSeconds
  }

  #url(baseUrl: string, claims: Claims): string {
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
    return `${baseUrl.replace(/\/$/, '')}${transferPath}?token=${payload}.${this.#tag(payload).toString('base64url')}`
  }

  #tag(payload: string): Buffer {
    return createHmac('sha256', this.#secret).update(`object transfer\n${payload}`).digest()
  }
}

function parseClaims(payload: string): Claims | undefined {
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return Check(claimsSchema, claims) ? claims : undefined
}
