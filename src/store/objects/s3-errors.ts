import type * as S3 from '@aws-sdk/client-s3'
import { AppError } from '#lib/errors.ts'
import { rangeError } from './object-store.ts'

/** Whether the service says that it does not know `If-None-Match` on PUT. */
export function isNotImplemented(error: unknown, sdk: typeof S3): boolean {
  return error instanceof sdk.S3ServiceException && error.$metadata.httpStatusCode === 501
}

/** What the SDK threw as a coded error. `target` names the bucket and where it is. */
export function translateS3Error(error: unknown, { sdk, target, key }: { sdk: typeof S3; target: string; key: string }): unknown {
  if (error instanceof AppError || error instanceof TypeError || !(error instanceof Error)) return error
  const options = { cause: error }
  if (!(error instanceof sdk.S3ServiceException)) {
    const message = `${target} does not answer: ${error.message || error.name}; check objects.endpoint and the network`
    return new AppError('OBJECTS_UNAVAILABLE', message, options)
  }
  const { httpStatusCode: status = 0 } = error.$metadata
  if (status === 404 && error.name !== 'NoSuchBucket')
    return new AppError('OBJECT_NOT_FOUND', `there is no object "${key}"`, options)
  if (status === 412) return new AppError('OBJECT_EXISTS', `object "${key}" exists already`, options)
  if (status === 416) return rangeError(key, 'begins behind its end')
  return new AppError(
    'OBJECTS_UNAVAILABLE',
    `${target} refuses (${status} ${error.name}): ${error.message}; check bucket and credentials in [objects]`,
    options,
  )
}
