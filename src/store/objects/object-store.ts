/**
 * Objects: immutable byte strings under keys, in a directory or in an S3 bucket.
 *
 *   openObjectStore ─► directory-store.ts ─► directory-listing.ts, directory-parts.ts
 *                 └──► s3-store.ts ─► s3-parts.ts, s3-errors.ts
 *
 * Whoever has no way to the store itself moves bytes with the URLs of transfers.ts; on the same machine it may see the files themselves: store-place.ts.
 *
 * Keys are paths such as `library/asset/segment-1.m4s`; what is allowed is in object-key.ts. No key may be the folder of another.
 * Both keep the contract below; `test/conformance/objects-suite.ts` holds them to it.
 */
import { addAbortSignal, type Readable } from 'node:stream'
import { AppError } from '#lib/errors.ts'
import type { PartUpload } from './part-upload.ts'
import type { StorePlace } from './store-place.ts'

/**
 * Bytes; or a stream with its exact length, which the store owns from the call on and destroys in the end; or what lies in memory in many chunks, small ones too,
 * none of which costs more than its copy.
 */
export type ObjectBody =
  | Uint8Array
  | { readonly stream: Readable; readonly sizeBytes: number }
  | { readonly chunks: Iterable<Uint8Array>; readonly sizeBytes: number }

export type ObjectInfo = {
  readonly key: string
  readonly sizeBytes: number
  /** Changes with the content; quoted, as in the HTTP header. */
  readonly etag: string
  readonly modifiedAt: Date
}

/** `sizeBytes` is the whole object's, whatever range was asked for. Whoever got the stream reads it to the end or destroys it. */
export type ObjectContent = ObjectInfo & { readonly stream: Readable }

/** Without `lengthBytes`: to the end. A longer one is cut at the end. */
export type ByteRange = { readonly offsetBytes: number; readonly lengthBytes?: number }

export type PutOptions = {
  /**
   * Fails with `OBJECT_EXISTS` in place of overwriting. Where a request was tried again after a broken connection, the object that is in
   * the way may be of the first try: whoever has a key to himself compares and goes on.
   */
  readonly ifNoneMatch?: '*'
  /** Kept by S3 for those who fetch from the bucket; a directory has no place for it. */
  readonly contentType?: string
  readonly signal?: AbortSignal
}

export type GetOptions = { readonly range?: ByteRange; readonly signal?: AbortSignal }

/** `after`: keys above this one only; `limit`: 1 to 1000, default 1000. */
export type ListOptions = {
  readonly prefix?: string
  readonly after?: string
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** At most `limit` objects; `next`, when there may be more, is the `after` of the next page. */
export type ObjectPage = { readonly objects: readonly ObjectInfo[]; readonly next?: string }

/** `contentType` is kept as for a put. */
export type BeginPartsOptions = { readonly sizeBytes: number; readonly contentType?: string }

/** At most 7 days. Temporary credentials of the store may end sooner. */
export type SignOptions = { readonly ttlSeconds: number }

/**
 * All fail with `OBJECT_KEY_INVALID` for keys outside the rule, and with `OBJECTS_UNAVAILABLE` when the store does not answer or
 * refuses. A fired `signal` rejects with its reason.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Readers see the old object or the whole new one. Kept, also across a power cut, when it returns. */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<void>
  /** Throws `OBJECT_NOT_FOUND`, and `RANGE_NOT_SATISFIABLE` for a range that begins at or behind the end. */
  get(key: string, options?: GetOptions): Promise<ObjectContent>
  /** Throws `OBJECT_NOT_FOUND`. */
  head(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectInfo>
  /** Deleting what is not there succeeds. */
  delete(key: string): Promise<void>
  /** The same for many; after a failure some may be gone. */
  deleteMany(keys: readonly string[]): Promise<void>
  /** In order of the keys' UTF-8 bytes. A page may be shorter than `limit` although there are more. */
  list(options?: ListOptions): Promise<ObjectPage>

  /**
   * Begins an upload whose parts come one by one, in any order and several at once. One that nobody completes is removed after a
   * day, in a bucket by the bucket's own rule.
   */
  beginParts(key: string, options: BeginPartsOptions): Promise<PartUpload>
  /**
   * Puts a part, from 0; gives its tag, quoted. A part may be put again, which replaces it. Throws `TRUNCATED` and `LIMIT_EXCEEDED` for a
   * body of another size, `OBJECT_NOT_FOUND` for an upload that is over.
   */
  putPart(upload: PartUpload, part: number, body: ObjectBody, options?: { readonly signal?: AbortSignal }): Promise<string>
  /**
   * Makes the object of its parts, whose tags come in their order; it replaces what is there. Kept when it returns; asked again after it has succeeded, it
   * succeeds. Throws `TRUNCATED` when a part is missing or has another tag, `OBJECT_NOT_FOUND` for an upload that is over.
   */
  completeParts(upload: PartUpload, etags: readonly string[]): Promise<void>
  /** Forgets an upload and its parts; one that is over already is none. */
  abortParts(upload: PartUpload): Promise<void>

  /** An URL to GET the object with, which needs no credentials and is valid for so long. Absent: the store has none of its own. */
  signGet?(key: string, options: SignOptions): Promise<string>
  /** An URL to PUT the part to, which answers with its tag in the header ETag. The body must have the exact size. */
  signPart?(upload: PartUpload, part: number, options: SignOptions): Promise<string>
  /** For processes on the same machine, which then need not send bytes around. Absent: objects are no files. */
  place?(): Promise<StorePlace>
}

export function sizeOf(body: ObjectBody): number {
  return body instanceof Uint8Array ? body.length : body.sizeBytes
}

/** First and last byte of a range in an object, both included. */
export function resolveRange(key: string, sizeBytes: number, range: ByteRange): { first: number; last: number } {
  checkRange(key, range)
  const { offsetBytes: first, lengthBytes = Infinity } = range
  if (first >= sizeBytes) throw rangeError(key, `begins at ${first}, the object has ${sizeBytes} bytes`)
  return { first, last: Math.min(sizeBytes, first + lengthBytes) - 1 }
}

/** Refuses ranges that can be in no object. */
export function checkRange(key: string, { offsetBytes, lengthBytes = 1 }: ByteRange): void {
  const isSound = Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 && Number.isSafeInteger(lengthBytes) && lengthBytes > 0
  if (!isSound) throw rangeError(key, `of ${lengthBytes} bytes at ${offsetBytes} is none`)
}

export function rangeError(key: string, message: string): AppError {
  return new AppError('RANGE_NOT_SATISFIABLE', `range of object "${key}" ${message}`)
}

export function pageLimit(limit = 1000): number {
  return Math.min(1000, Math.max(1, limit))
}

/** The bytes of a body, one chunk after the other, until the signal fires. Throws `TRUNCATED` or `LIMIT_EXCEEDED` when they are not as many as announced. */
export function chunksOf(body: ObjectBody, signal?: AbortSignal): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (body instanceof Uint8Array) return [body]
  if ('chunks' in body) return exactlyInMemory(body.chunks, body.sizeBytes, signal)
  return exactly(body.stream, body.sizeBytes, signal)
}

/** To be called when a body is not needed any more. */
export function releaseBody(body: ObjectBody): void {
  if ('stream' in body) body.stream.destroy()
}

async function* exactly(stream: Readable, sizeBytes: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  let received = 0
  for await (const chunk of signal ? addAbortSignal(signal, stream) : stream) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
    received += bytes.length
    checkLength(received, sizeBytes)
    yield bytes
  }
  checkEnd(received, sizeBytes)
}

function* exactlyInMemory(
  chunks: Iterable<Uint8Array>,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Generator<Uint8Array, void, undefined> {
  let received = 0
  for (const chunk of chunks) {
    signal?.throwIfAborted()
    received += chunk.length
    checkLength(received, sizeBytes)
    yield chunk
  }
  checkEnd(received, sizeBytes)
}

function checkLength(received: number, sizeBytes: number): void {
  if (received > sizeBytes) throw new AppError('LIMIT_EXCEEDED', `body is longer than the ${sizeBytes} bytes announced`)
}

function checkEnd(received: number, sizeBytes: number): void {
  if (received < sizeBytes) throw new AppError('TRUNCATED', `body ended after ${received} of ${sizeBytes} bytes`)
}
