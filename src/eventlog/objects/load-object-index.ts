import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { decodeFooter, decodeObjectIndex, footerBytes, type ObjectIndex } from './object-index.ts'
import { readRange } from '#store/objects/read-range.ts'

/** Read first: the footer, and with it most indexes. */
const firstReadBytes = 64 * 2 ** 10

type Options = { readonly key: string; readonly sizeBytes: number; readonly signal?: AbortSignal | undefined }

/**
 * The index of an object in the store, with one or two ranged reads. Throws `OBJECT_NOT_FOUND`, `OBJECTS_UNAVAILABLE`, and, with the key in the message,
 * `LOG_DAMAGED` or `UNSUPPORTED` for what is no object of the log that this program can read.
 */
export async function loadObjectIndex(objects: ObjectStore, { key, sizeBytes, signal }: Options): Promise<ObjectIndex> {
  if (sizeBytes < footerBytes) throw damaged(key, `it has ${sizeBytes} bytes, too few for a footer`)
  let tail = await loadTail(Math.min(sizeBytes, firstReadBytes))
  try {
    const neededBytes = decodeFooter(tail, sizeBytes).lengthBytes + footerBytes
    if (neededBytes > tail.length) tail = await loadTail(neededBytes)
    return decodeObjectIndex(tail, sizeBytes)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'UNSUPPORTED') throw new AppError('UNSUPPORTED', `${key}: ${error.message}`, { cause: error })
    if (['LOG_DAMAGED', 'TRUNCATED', 'MALFORMED'].includes(error.code)) throw damaged(key, error.message, error)
    throw error
  }

  async function loadTail(lengthBytes: number): Promise<Buffer> {
    const { bytes, objectBytes } = await readRange(objects, { key, offsetBytes: sizeBytes - lengthBytes, lengthBytes, signal })
    if (objectBytes !== sizeBytes) throw damaged(key, `it has ${objectBytes} bytes where ${sizeBytes} were written`)
    return bytes
  }
}

function damaged(key: string, fault: string, cause?: AppError): AppError {
  return new AppError('LOG_DAMAGED', `object ${key} is damaged: ${fault}`, { cause, details: { objectKey: key } })
}
