import type { Clock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import type { ObjectStore } from './object-store.ts'

/** A request to the store that has ended. `result` is `ok` or an error code; `seconds` is until the answer, without what is read of it. */
export type StoreRequest = { readonly operation: string; readonly result: string; readonly seconds: number }

/** The same store, which tells of each request how long it took. */
export function observeObjectStore(
  store: ObjectStore,
  { clock, onRequest }: { clock: Clock; onRequest: (request: StoreRequest) => void },
): ObjectStore {
  const timed = async <T>(operation: string, step: () => Promise<T>): Promise<T> => {
    const startedAtMs = clock.monotonicMs()
    const seconds = (): number => (clock.monotonicMs() - startedAtMs) / 1000
    try {
      const answer = await step()
      onRequest({ operation, result: 'ok', seconds: seconds() })
      return answer
    } catch (error) {
      onRequest({ operation, result: toAppError(error).code, seconds: seconds() })
      throw error
    }
  }
  const signGet = store.signGet?.bind(store)
  const signPart = store.signPart?.bind(store)
  const place = store.place?.bind(store)

  return {
    put: (key, body, options) => timed('put', () => store.put(key, body, options)),
    get: (key, options) => timed('get', () => store.get(key, options)),
    head: (key, options) => timed('head', () => store.head(key, options)),
    delete: (key) => timed('delete', () => store.delete(key)),
    deleteMany: (keys) => timed('delete', () => store.deleteMany(keys)),
    list: (options) => timed('list', () => store.list(options)),
    beginParts: (key, options) => timed('begin-parts', () => store.beginParts(key, options)),
    putPart: (upload, part, body, options) => timed('put-part', () => store.putPart(upload, part, body, options)),
    completeParts: (upload, etags) => timed('complete-parts', () => store.completeParts(upload, etags)),
    abortParts: (upload) => timed('abort-parts', () => store.abortParts(upload)),
    // Signing asks nobody.
    ...(signGet ? { signGet } : {}),
    ...(signPart ? { signPart } : {}),
    ...(place ? { place } : {}),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
