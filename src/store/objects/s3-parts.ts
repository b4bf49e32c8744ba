import type * as S3 from '@aws-sdk/client-s3'
import type { BeginPartsOptions, SignOptions } from './object-store.ts'
import { checkEtags, partMismatch, partRange, partUpload, uploadNotFound, type PartUpload } from './part-upload.ts'

type Options = { readonly sdk: typeof S3; readonly client: S3.S3Client; readonly bucket: string }

/** Multipart uploads of a bucket whose parts others bring, and URLs that need no credentials. Throws what the SDK throws. */
export class S3Parts {
  readonly #sdk: typeof S3
  readonly #client: S3.S3Client
  readonly #bucket: string

  constructor({ sdk, client, bucket }: Options) {
    this.#sdk = sdk
    this.#client = client
    this.#bucket = bucket
  }

  async begin(key: string, { sizeBytes, contentType }: BeginPartsOptions): Promise<PartUpload> {
    // A size that cannot be is refused before anything is begun.
    partUpload({ key, uploadId: '', sizeBytes })
    const command = new this.#sdk.CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key, ContentType: contentType })
    const { UploadId } = await this.#client.send(command)
    if (UploadId === undefined) throw new Error(`the service began no upload of "${key}"`)
    return partUpload({ key, uploadId: UploadId, sizeBytes })
  }

  async put(upload: PartUpload, part: number, bytes: Uint8Array, options: { abortSignal?: AbortSignal }): Promise<string> {
    const command = new this.#sdk.UploadPartCommand({ ...this.#partAt(upload, part), Body: bytes })
    try {
      const { ETag = '' } = await this.#client.send(command, options)
      return ETag
    } catch (error) {
      throw isNotFound(error, this.#sdk) ? uploadNotFound(upload.key, error) : error
    }
  }

  async complete(upload: PartUpload, etags: readonly string[]): Promise<void> {
    checkEtags(upload, etags)
    const Parts = etags.map((ETag, part) => ({ ETag, PartNumber: part + 1 }))
    const command = new this.#sdk.CompleteMultipartUploadCommand({ ...this.#at(upload), MultipartUpload: { Parts } })
    try {
      await this.#client.send(command)
    } catch (error) {
      if (isRefusedPart(error, this.#sdk)) throw await this.#findMismatch(upload, etags)
      if (!isNotFound(error, this.#sdk)) throw error
      await this.#requireCompleted(upload, error)
    }
  }

  async abort(upload: PartUpload): Promise<void> {
    try {
      await this.#client.send(new this.#sdk.AbortMultipartUploadCommand(this.#at(upload)))
    } catch (error) {
      if (!isNotFound(error, this.#sdk)) throw error
    }
  }

  async signGet(key: string, { ttlSeconds }: SignOptions): Promise<string> {
    const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
    const command = new this.#sdk.GetObjectCommand({ Bucket: this.#bucket, Key: key })
    return await getSignedUrl(this.#client, command, { expiresIn: ttlSeconds })
  }

  async signPart(upload: PartUpload, part: number, { ttlSeconds }: SignOptions): Promise<string> {
    const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
    const { sizeBytes: ContentLength } = partRange(upload, part)
    const command = new this.#sdk.UploadPartCommand({ ...this.#partAt(upload, part), ContentLength })
    // The length is signed too: the service refuses a body of another size.
    return await getSignedUrl(this.#client, command, {
      expiresIn: ttlSeconds,
      signableHeaders: new Set(['host', 'content-length']),
    })
  }

  #at({ key, uploadId }: PartUpload): { Bucket: string; Key: string; UploadId: string } {
    return { Bucket: this.#bucket, Key: key, UploadId: uploadId }
  }

  #partAt(upload: PartUpload, part: number) {
    partRange(upload, part)
    return { ...this.#at(upload), PartNumber: part + 1 }
  }

  /** After a completion whose answer was lost there is no upload any more, but an object. */
  async #requireCompleted({ key, sizeBytes }: PartUpload, cause: unknown): Promise<void> {
    const command = new this.#sdk.HeadObjectCommand({ Bucket: this.#bucket, Key: key })
    const found = await this.#client.send(command).catch((error: unknown) => {
      if (isNotFound(error, this.#sdk)) return undefined
      throw error
    })
    if (found?.ContentLength !== sizeBytes) throw uploadNotFound(key, cause)
  }

  /** Which part it was that the service refused. */
  async #findMismatch(upload: PartUpload, etags: readonly string[]): Promise<Error> {
    const kept = new Map<number | undefined, string | undefined>()
    // Swift names a next page also where there is none: the SDK's paginator would not end.
    for (let marker: string | undefined, hasMore = true; hasMore;) {
      const page = await this.#client.send(new this.#sdk.ListPartsCommand({ ...this.#at(upload), PartNumberMarker: marker }))
      for (const { PartNumber, ETag } of page.Parts ?? []) kept.set(PartNumber, ETag)
      marker = page.NextPartNumberMarker
      hasMore = page.IsTruncated === true
    }
    const part = etags.findIndex((etag, index) => kept.get(index + 1) !== etag)
    return partMismatch(upload.key, Math.max(0, part))
  }
}

/** An upload that is over is `NoSuchUpload` for most services, `NoSuchKey` for some. */
function isNotFound(error: unknown, sdk: typeof S3): boolean {
  return error instanceof sdk.S3ServiceException && error.$metadata.httpStatusCode === 404 && error.name !== 'NoSuchBucket'
}

function isRefusedPart(error: unknown, sdk: typeof S3): boolean {
  return error instanceof sdk.S3ServiceException && ['InvalidPart', 'EntityTooSmall'].includes(error.name)
}
