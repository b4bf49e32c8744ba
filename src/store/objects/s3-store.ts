import { addAbortSignal, PassThrough, Readable } from 'node:stream'
import type * as S3 from '@aws-sdk/client-s3'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { checkObjectKey, isObjectKey } from './object-key.ts'
import {
  checkRange,
  chunksOf,
  pageLimit,
  releaseBody,
  sizeOf,
  type BeginPartsOptions,
  type ByteRange,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectContent,
  type ObjectInfo,
  type ObjectPage,
  type ObjectStore,
  type PutOptions,
  type SignOptions,
} from './object-store.ts'
import { checkPartSize, partBytesOf, type PartUpload } from './part-upload.ts'
import { isNotImplemented, translateS3Error } from './s3-errors.ts'
import { S3Parts } from './s3-parts.ts'

/** Bodies above this go in parts. */
const wholeBytes = 8 * 2 ** 20
/** Parts in memory and on the way at once. */
const partsAtOnce = 4
const deletesAtOnce = 16

export type S3Options = {
  readonly bucket: string
  readonly region: string
  readonly pathStyle: boolean
  readonly endpoint?: string
  /** Without them the SDK asks environment, shared files and instance role. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly log: Logger
}

/**
 * Objects in a bucket. `If-None-Match: *` decides between writers on services that know it (AWS, MinIO, Ceph, R2). On one that answers
 * 501 to it, such as OpenStack Swift, the key is looked up first: two writers in the same moment may then both succeed.
 */
export class S3Store implements ObjectStore {
  readonly #sdk: typeof S3
  readonly #client: S3.S3Client
  readonly #bucket: string
  readonly #target: string
  readonly #log: Logger
  readonly #parts: S3Parts
  #hasConditionalPuts = true

  private constructor(sdk: typeof S3, { bucket, region, pathStyle, endpoint, credentials, log }: S3Options) {
    this.#sdk = sdk
    this.#bucket = bucket
    this.#target = `bucket ${bucket} at ${endpoint ?? `AWS ${region}`}`
    this.#log = log
    this.#client = new sdk.S3Client({
      region,
      forcePathStyle: pathStyle,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
      // Backoff is exponential with jitter, from 0.1 s.
      maxAttempts: 4,
      retryMode: 'standard',
      requestHandler: {
        connectionTimeout: 5_000,
        socketTimeout: 30_000,
        httpAgent: { maxSockets: 64, keepAlive: true },
        httpsAgent: { maxSockets: 64, keepAlive: true },
      },
      // Checksums in trailers are refused by services that are not AWS.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
    this.#parts = new S3Parts({ sdk, client: this.#client, bucket })
  }

  /** Loads the SDK, which costs its users alone. Talks to nobody yet. */
  static async open(options: S3Options): Promise<S3Store> {
    return new S3Store(await import('@aws-sdk/client-s3'), options)
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    const sizeBytes = sizeOf(body)
    try {
      await this.#guard({ key, signal: options.signal }, async () => {
        if (sizeBytes > wholeBytes) return await this.#putParts(key, body, { ...options, sizeBytes })
        const [bytes = Buffer.alloc(0)] = await Array.fromAsync(partsOf(body, { ...options, partBytes: wholeBytes }))
        return await this.#putWhole(key, bytes, options)
      })
    } finally {
      releaseBody(body)
    }
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<ObjectContent> {
    return await this.#guard({ key, signal }, async () => {
      const input = { ...this.#at(key), ...(range ? { Range: rangeHeader(key, range) } : {}) }
      const response = await this.#client.send(new this.#sdk.GetObjectCommand(input), abortBy(signal))
      const { Body, ContentRange, ContentLength = 0 } = response
      if (!(Body instanceof Readable)) throw new AppError('OBJECTS_UNAVAILABLE', `${this.#target} sent no body for "${key}"`)
      const sizeBytes = ContentRange === undefined ? ContentLength : Number(ContentRange.split('/')[1])
      return { ...infoOf(key, sizeBytes, response), stream: this.#codedStream(Body, { key, signal }) }
    })
  }

  async head(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<ObjectInfo> {
    return await this.#guard({ key, signal }, async () => {
      const response = await this.#client.send(new this.#sdk.HeadObjectCommand(this.#at(key)), abortBy(signal))
      return infoOf(key, response.ContentLength, response)
    })
  }

  async delete(key: string): Promise<void> {
    await this.#guard({ key }, () => this.#client.send(new this.#sdk.DeleteObjectCommand(this.#at(key))))
  }

  /** One request each: services differ in the checksum that they want on the request for many (CRC-32 or MD5). */
  async deleteMany(keys: readonly string[]): Promise<void> {
    keys.forEach(checkObjectKey)
    const rest = keys.values()
    const worker = async () => {
      for (const key of rest) await this.delete(key)
    }
    const ends = await Promise.allSettled(Array.from({ length: deletesAtOnce }, worker))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  async list({ prefix, after, limit, signal }: ListOptions = {}): Promise<ObjectPage> {
    return await this.#guard({ signal }, async () => {
      const input = { Bucket: this.#bucket, Prefix: prefix, StartAfter: after, MaxKeys: pageLimit(limit) }
      const page = await this.#client.send(new this.#sdk.ListObjectsV2Command(input), abortBy(signal))
      const contents = page.Contents ?? []
      const objects = contents.flatMap((object) => {
        // Others may keep things in the bucket that no key here can name.
        return object.Key !== undefined && isObjectKey(object.Key) ? [infoOf(object.Key, object.Size, object)] : []
      })
      const last = contents.at(-1)?.Key
      return { objects, ...(page.IsTruncated === true && last !== undefined ? { next: last } : {}) }
    })
  }

  async beginParts(key: string, options: BeginPartsOptions): Promise<PartUpload> {
    return await this.#guard({ key }, () => this.#parts.begin(key, options))
  }

  async putPart(upload: PartUpload, part: number, body: ObjectBody, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    try {
      return await this.#guard({ key: upload.key, signal }, async () => {
        checkPartSize(upload, part, sizeOf(body))
        const options = { partBytes: upload.partBytes, ...(signal ? { signal } : {}) }
        const [bytes = Buffer.alloc(0)] = await Array.fromAsync(partsOf(body, options))
        return await this.#parts.put(upload, part, bytes, abortBy(signal))
      })
    } finally {
      releaseBody(body)
    }
  }

  async completeParts(upload: PartUpload, etags: readonly string[]): Promise<void> {
    await this.#guard({ key: upload.key }, () => this.#parts.complete(upload, etags))
  }

  async abortParts(upload: PartUpload): Promise<void> {
    await this.#guard({ key: upload.key }, () => this.#parts.abort(upload))
  }

  async signGet(key: string, options: SignOptions): Promise<string> {
    return await this.#guard({ key }, () => this.#parts.signGet(key, options))
  }

  async signPart(upload: PartUpload, part: number, options: SignOptions): Promise<string> {
    return await this.#guard({ key: upload.key }, () => this.#parts.signPart(upload, part, options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy()
  }

  #at(key: string): { Bucket: string; Key: string } {
    checkObjectKey(key)
    return { Bucket: this.#bucket, Key: key }
  }

  async #putWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    const { ifNoneMatch, contentType, signal } = options
    const isConditional = ifNoneMatch !== undefined && this.#hasConditionalPuts
    if (ifNoneMatch !== undefined && !isConditional) await this.#requireAbsent(key, signal)
    const condition = isConditional ? { IfNoneMatch: ifNoneMatch } : {}
    const input = { ...this.#at(key), Body: bytes, ContentType: contentType, ...condition }
    try {
      await this.#client.send(new this.#sdk.PutObjectCommand(input), abortBy(signal))
    } catch (error) {
      if (!isConditional || !isNotImplemented(error, this.#sdk)) throw error
      this.#hasConditionalPuts = false
      this.#log.warn({ bucket: this.#bucket }, 'object store has no conditional writes; keys are looked up before')
      await this.#putWhole(key, bytes, options)
    }
  }

  async #putParts(key: string, body: ObjectBody, options: PutOptions & { sizeBytes: number }): Promise<void> {
    const { ifNoneMatch, contentType, signal, sizeBytes } = options
    // Before much is sent, and for services that overlook the condition at the end.
    if (ifNoneMatch !== undefined) await this.#requireAbsent(key, signal)
    const upload = new this.#sdk.CreateMultipartUploadCommand({ ...this.#at(key), ContentType: contentType })
    const { UploadId } = await this.#client.send(upload, abortBy(signal))
    const target = { ...this.#at(key), UploadId }
    try {
      const partBytes = partBytesOf(sizeBytes)
      const Parts = await this.#sendParts(target, partsOf(body, { ...options, partBytes }), signal)
      const condition = ifNoneMatch !== undefined && this.#hasConditionalPuts ? { IfNoneMatch: ifNoneMatch } : {}
      const complete = new this.#sdk.CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts }, ...condition })
      await this.#client.send(complete, abortBy(signal))
    } catch (error) {
      // When this fails too, the bucket's own rule for unfinished uploads has to clean up; the first error tells more.
      await this.#client.send(new this.#sdk.AbortMultipartUploadCommand(target)).catch(() => undefined)
      throw error
    }
  }

  async #sendParts(
    target: { Bucket: string; Key: string; UploadId: string | undefined },
    parts: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<S3.CompletedPart[]> {
    const sent: S3.CompletedPart[] = []
    const send = async (Body: Uint8Array, index: number) => {
      const PartNumber = sent.length + index + 1
      const part = new this.#sdk.UploadPartCommand({ ...target, PartNumber, Body })
      const { ETag } = await this.#client.send(part, abortBy(signal))
      return { ETag, PartNumber }
    }
    let batch: Uint8Array[] = []
    for await (const part of parts) {
      batch.push(part)
      if (batch.length < partsAtOnce) continue
      sent.push(...(await Promise.all(batch.map(send))))
      batch = []
    }
    sent.push(...(await Promise.all(batch.map(send))))
    return sent
  }

  async #requireAbsent(key: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.head(key, signal ? { signal } : {})
    } catch (error) {
      if (error instanceof AppError && error.code === 'OBJECT_NOT_FOUND') return
      throw error
    }
    throw new AppError('OBJECT_EXISTS', `object "${key}" exists already`)
  }

  /** A body that breaks off ends with a coded error too. */
  #codedStream(body: Readable, { key, signal }: { key: string; signal: AbortSignal | undefined }): Readable {
    const stream = new PassThrough()
    body.on('error', (error) => stream.destroy(this.#toError(error, key)))
    stream.once('close', () => body.destroy())
    body.pipe(stream)
    return signal ? addAbortSignal(signal, stream) : stream
  }

  #toError(error: Error, key: string): Error {
    const coded = translateS3Error(error, { sdk: this.#sdk, target: this.#target, key })
    return coded instanceof Error ? coded : error
  }

  async #guard<T>({ key, signal }: { key?: string; signal?: AbortSignal | undefined }, step: () => Promise<T>): Promise<T> {
    if (key !== undefined) checkObjectKey(key)
    signal?.throwIfAborted()
    try {
      return await step()
    } catch (error) {
      throw signal?.aborted ? signal.reason : translateS3Error(error, { sdk: this.#sdk, target: this.#target, key: key ?? '' })
    }
  }
}

/** A body in pieces of `partBytes`, the last one shorter; whole pieces are in memory, so that a request can be tried again. */
async function* partsOf(
  body: ObjectBody,
  { partBytes, signal }: { partBytes: number; signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    for (let at = 0; at < body.length; at += partBytes) yield body.subarray(at, at + partBytes)
    return
  }
  let part = Buffer.allocUnsafe(Math.min(partBytes, body.sizeBytes))
  let filled = 0
  let left = body.sizeBytes
  for await (const chunk of chunksOf(body, signal)) {
    for (let at = 0; at < chunk.length;) {
      const copied = Math.min(chunk.length - at, part.length - filled)
      part.set(chunk.subarray(at, at + copied), filled)
      at += copied
      filled += copied
      if (filled < part.length) continue
      yield part
      left -= filled
      part = Buffer.allocUnsafe(Math.min(partBytes, left))
      filled = 0
    }
  }
}

function infoOf(
  key: string,
  sizeBytes = 0,
  { ETag = '', LastModified }: { ETag?: string | undefined; LastModified?: Date | undefined },
): ObjectInfo {
  return { key, sizeBytes, etag: ETag, modifiedAt: LastModified ?? new Date(0) }
}

function rangeHeader(key: string, range: ByteRange): string {
  checkRange(key, range)
  const { offsetBytes, lengthBytes } = range
  return `bytes=${offsetBytes}-${lengthBytes === undefined ? '' : offsetBytes + lengthBytes - 1}`
}

function abortBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {}
}
