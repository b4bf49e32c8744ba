/** An object store for tests of workers: files in memory behind URLs that can be made to expire, to be read by ranges and written in parts. */
import { createHash, randomBytes } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import type { FinishedUpload, Upload } from '../worker-protocol.ts'

const partBytes = 100_000
const params = Type.Object({ token: Type.String() })

export class TestObjects {
  readonly objects = new Map<string, Buffer>()
  /** Statuses in place of the next answers. */
  readonly statuses: number[] = []
  /** Bytes of objects that were sent. */
  sentBytes = 0
  readonly #tokens = new Map<string, { readonly key: string; isExpired: boolean }>()
  readonly #parts = new Map<string, Map<number, Buffer>>()

  put(key: string, bytes: Buffer = randomBytes(1000)): Buffer {
    this.objects.set(key, bytes)
    return bytes
  }

  /** All URLs that were given so far are refused from now on. */
  expireUrls(): void {
    for (const token of this.#tokens.values()) token.isExpired = true
  }

  urlOf(key: string): string {
    const token = randomBytes(8).toString('hex')
    this.#tokens.set(token, { key, isExpired: false })
    return `/objects/${token}`
  }

  openUpload(key: string, name: string, sizeBytes: number): Upload {
    const uploadId = `${key}@${randomBytes(4).toString('hex')}`
    this.#parts.set(uploadId, new Map())
    const partCount = Math.max(1, Math.ceil(sizeBytes / partBytes))
    const partUrls = Array.from({ length: partCount }, (_, part) => this.urlOf(`${uploadId}#${part}`))
    return { name, uploadId, partBytes, partUrls }
  }

  /** Refuses what is not what was announced. */
  closeUpload({ uploadId, etags, sizeBytes }: FinishedUpload): void {
    const parts = etags.map((_, part) => this.#parts.get(uploadId)?.get(part) ?? Buffer.alloc(0))
    const bytes = Buffer.concat(parts)
    if (bytes.length !== sizeBytes || !parts.every((part, at) => etagOf(part) === etags[at])) {
      throw new AppError('REQUEST_INVALID', `upload ${uploadId} is not what was announced`)
    }
    this.objects.set(uploadId.slice(0, uploadId.indexOf('@')), bytes)
  }

  route(fastify: FastifyInstance): void {
    const app = fastify.withTypeProvider<TypeBoxTypeProvider>()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.get('/objects/:token', { schema: { params } }, (request, reply) => {
      const refusal = this.#refusalOf(request.params.token)
      if (refusal) return reply.code(refusal).send()
      const bytes = this.objects.get(this.#keyOf(request.params.token))
      if (!bytes) return reply.code(404).send()
      const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
      if (Number(first) >= bytes.length) return reply.code(416).header('content-range', `bytes */${bytes.length}`).send()
      const end = Math.min(bytes.length - 1, last === '' ? Infinity : Number(last))
      const body = bytes.subarray(Number(first), end + 1)
      this.sentBytes += body.length
      const headers = { 'content-range': `bytes ${first}-${end}/${bytes.length}`, etag: etagOf(bytes) }
      return reply.code(206).headers(headers).send(body)
    })
    app.put('/objects/:token', { schema: { params } }, (request, reply) => {
      const refusal = this.#refusalOf(request.params.token)
      if (refusal) return reply.code(refusal).send()
      const [uploadId = '', part = ''] = this.#keyOf(request.params.token).split('#')
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      this.#parts.get(uploadId)?.set(Number(part), body)
      return reply.header('etag', etagOf(body)).send()
    })
  }

  #keyOf(token: string): string {
    return this.#tokens.get(token)?.key ?? ''
  }

  #refusalOf(token: string): number | undefined {
    const known = this.#tokens.get(token)
    return known && !known.isExpired ? this.statuses.shift() : 403
  }
}

/** Kept: a large file is asked for often. */
const etags = new WeakMap<Buffer, string>()

function etagOf(bytes: Buffer): string {
  const etag = etags.get(bytes) ?? `"${createHash('md5').update(bytes).digest('hex')}"`
  etags.set(bytes, etag)
  return etag
}
