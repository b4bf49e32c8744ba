import { AppError } from '#lib/errors.ts'

/** Also the least that S3 takes, with room. A multiple of every block size, so that no two parts share a block. */
const minPartBytes = 8 * 2 ** 20
/** Of S3. */
const maxParts = 10_000

/**
 * An upload in parts of one size; the last may be shorter. Nothing is visible under the key before it is completed. It is told by `key`, `uploadId`
 * and `sizeBytes` alone: whoever kept these three makes it again with `partUpload`.
 */
export type PartUpload = {
  readonly key: string
  readonly uploadId: string
  readonly sizeBytes: number
  readonly partBytes: number
  /** At least 1: an empty object has one empty part. */
  readonly partCount: number
}

/** An upload with the sizes of its parts. Throws `LIMIT_EXCEEDED` for a size that can be no object's. */
export function partUpload({ key, uploadId, sizeBytes }: Pick<PartUpload, 'key' | 'uploadId' | 'sizeBytes'>): PartUpload {
  const partBytes = partBytesOf(sizeBytes)
  return { key, uploadId, sizeBytes, partBytes, partCount: Math.max(1, Math.ceil(sizeBytes / partBytes)) }
}

/** As small as may be: a broken connection loses at most one part. Whole mebibytes. */
export function partBytesOf(sizeBytes: number): number {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > maxParts * 5 * 2 ** 30) {
    throw new AppError(
      'LIMIT_EXCEEDED',
      `an object of ${sizeBytes} bytes cannot be; the largest have 5 GiB in each of ${maxParts} parts`,
    )
  }
  return Math.max(minPartBytes, Math.ceil(sizeBytes / maxParts / 2 ** 20) * 2 ** 20)
}

/** Where a part lies in its object. Parts count from 0. Throws `REQUEST_INVALID` for one that the upload does not have. */
export function partRange(
  { key, sizeBytes, partBytes, partCount }: PartUpload,
  part: number,
): { offsetBytes: number; sizeBytes: number } {
  if (!Number.isInteger(part) || part < 0 || part >= partCount) {
    throw new AppError('REQUEST_INVALID', `the upload of "${key}" has no part ${part}; they are 0 to ${partCount - 1}`)
  }
  const offsetBytes = part * partBytes
  return { offsetBytes, sizeBytes: Math.min(partBytes, sizeBytes - offsetBytes) }
}

/** Throws `TRUNCATED` or `LIMIT_EXCEEDED` unless the part is of this size. */
export function checkPartSize(upload: PartUpload, part: number, bodyBytes: number): void {
  const { sizeBytes } = partRange(upload, part)
  if (bodyBytes === sizeBytes) return
  const message = `part ${part} of "${upload.key}" has ${sizeBytes} bytes; ${bodyBytes} were sent`
  throw new AppError(bodyBytes < sizeBytes ? 'TRUNCATED' : 'LIMIT_EXCEEDED', message)
}

/** Throws `TRUNCATED` or `LIMIT_EXCEEDED` unless the whole object is of this size. */
export function checkUploadSize({ key, sizeBytes }: PartUpload, fileBytes: number): void {
  if (fileBytes === sizeBytes) return
  const message = `the upload of "${key}" was begun with ${sizeBytes} bytes; the file has ${fileBytes}`
  throw new AppError(fileBytes < sizeBytes ? 'TRUNCATED' : 'LIMIT_EXCEEDED', message)
}

/** Throws `REQUEST_INVALID` unless there is a tag for each part. */
export function checkEtags({ key, partCount }: PartUpload, etags: readonly string[]): void {
  if (etags.length === partCount) return
  throw new AppError('REQUEST_INVALID', `the upload of "${key}" has ${partCount} parts, ${etags.length} tags were given`)
}

export function uploadNotFound(key: string, cause?: unknown): AppError {
  return new AppError('OBJECT_NOT_FOUND', `the upload of "${key}" is over or was never begun; begin another one`, { cause })
}

/** A part is missing, or is not the one that was put last. */
export function partMismatch(key: string, part: number): AppError {
  return new AppError('TRUNCATED', `part ${part} of "${key}" is not there, or was put again since; put it once more`)
}
