import type { Readable } from 'node:stream'
import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from './object-store.ts'

type Range = {
  readonly key: string
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The bytes of a range, fewer when the object ends in it, and the size of the whole object. Throws what the store throws, and `OBJECTS_UNAVAILABLE` when the
 * store sends more or less than it was asked for.
 */
export async function readRange(
  objects: Pick<ObjectStore, 'get'>,
  range: Range,
): Promise<{ bytes: Buffer; objectBytes: number }> {
  const { key, offsetBytes, lengthBytes, signal } = range
  const content = await objects.get(key, { range: { offsetBytes, lengthBytes }, ...(signal ? { signal } : {}) })
  const objectBytes = content.sizeBytes
  const bytes = await fill(content.stream, { key, sizeBytes: Math.min(lengthBytes, objectBytes - offsetBytes) })
  return { bytes, objectBytes }
}

/** A buffer of its own for each range, so that a view into it keeps nothing else in memory. */
async function fill(stream: Readable, { key, sizeBytes }: { key: string; sizeBytes: number }): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  let filled = 0
  for await (const chunk of chunksOf(stream)) {
    if (filled + chunk.length > sizeBytes) throw wrongLength(key, `more than the ${sizeBytes} bytes asked for`)
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  if (filled < sizeBytes) throw wrongLength(key, `${filled} of the ${sizeBytes} bytes asked for`)
  return bytes
}

/** The chunks of a stream of bytes, typed; leaving the loop destroys the stream. */
export async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw new AppError('INTERNAL', 'the object store sent text in place of bytes')
    yield chunk
  }
}

function wrongLength(key: string, sent: string): AppError {
  return new AppError('OBJECTS_UNAVAILABLE', `the object store sent ${sent} of object ${key}; repeat`)
}
