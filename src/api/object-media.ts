import type { ObjectStore } from '#store/objects/object-store.ts'
import type { Media } from './media-answer.ts'

/** An object as media that `sendMedia` answers with. Throws `OBJECT_NOT_FOUND`. */
export async function openObjectMedia(objects: Pick<ObjectStore, 'head' | 'get'>, key: string): Promise<Media> {
  const { sizeBytes, etag } = await objects.head(key)
  const stop = new AbortController()
  return {
    sizeBytes,
    etag: etag.replaceAll('"', ''),
    async *read({ start, end }) {
      if (end <= start) return
      const range = { offsetBytes: start, lengthBytes: end - start }
      const { stream } = await objects.get(key, { range, signal: stop.signal })
      yield* stream
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
    },
  }
}
