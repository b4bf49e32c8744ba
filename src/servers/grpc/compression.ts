import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { AppError } from '#lib/errors.ts'

const gunzipAsync = promisify(gunzip)
const gzipAsync = promisify(gzip)

/** Throws `LIMIT_EXCEEDED` when the message is larger than `maxBytes`, `MALFORMED` for what is not gzip. */
export async function decompressMessage(bytes: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    const reason = error instanceof Error ? error.message : String(error)
    if (!isTooLarge) throw new AppError('MALFORMED', `a message marked as compressed is not gzip: ${reason}`, { cause: error })
    const message = `a message has more than ${maxBytes} bytes (grpc.maxMessageBytes) when decompressed; send less at once`
    throw new AppError('LIMIT_EXCEEDED', message, { cause: error })
  }
}

/** At the lowest level, as in record batches: higher ones cost more time than the network saves. */
export async function compressMessage(bytes: Buffer): Promise<Buffer> {
  return await gzipAsync(bytes, { level: 1 })
}
