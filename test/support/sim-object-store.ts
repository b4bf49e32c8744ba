import { Readable } from 'node:stream'
import { AppError } from '#lib/errors.ts'
import {
  chunksOf,
  pageLimit,
  resolveRange,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectContent,
  type ObjectInfo,
  type ObjectPage,
  type ObjectStore,
  type PutOptions,
} from '#store/objects/object-store.ts'

type Operation = 'put' | 'get' | 'head' | 'delete' | 'list'

type Options = {
  /** Does an operation, or does not, or loses its answer. */
  readonly request: <T>(operation: Operation, step: () => Promise<T>) => Promise<T>
  /** May throw in place of a deletion. */
  readonly beforeDelete?: (key: string) => Promise<void>
  /** Whether the next stream ends before its end. */
  readonly isCut?: () => boolean
}

/** The objects of a simulated store. */
export type SimObjects = Map<string, Buffer>

/** A store in memory; several may share the objects. An object that would be replaced by another is an `INTERNAL` error: keys are never used twice. */
export function simObjectStore(objects: SimObjects, { request, beforeDelete, isCut = () => false }: Options): ObjectStore {
  return {
    async put(key, body, { ifNoneMatch, signal }: PutOptions = {}) {
      const bytes = await collect(body)
      const step = async (): Promise<void> => {
        const there = objects.get(key)
        if (there && ifNoneMatch === '*') throw new AppError('OBJECT_EXISTS', `object "${key}" exists`)
        if (there) throw new AppError('INTERNAL', `object "${key}" was about to be overwritten`)
        objects.set(key, bytes)
      }
      await unlessAborted(request('put', step), signal)
    },
    async get(key, { range, signal }: GetOptions = {}): Promise<ObjectContent> {
      const step = async (): Promise<ObjectContent> => {
        const bytes = find(objects, key)
        const { first, last } = range ? resolveRange(key, bytes.length, range) : { first: 0, last: bytes.length - 1 }
        const part = Buffer.from(bytes.subarray(first, last + 1))
        return { ...infoOf(key, bytes), stream: Readable.from([isCut() ? part.subarray(0, part.length / 2) : part]) }
      }
      return await unlessAborted(request('get', step), signal)
    },
    head: (key) => request('head', async () => infoOf(key, find(objects, key))),
    delete: (key) => request('delete', () => remove(key)),
    async deleteMany(keys) {
      for (const key of keys) await request('delete', () => remove(key))
    },
    list: (options = {}) => request('list', async () => list(objects, options)),
    beginParts: withoutParts,
    putPart: withoutParts,
    completeParts: withoutParts,
    abortParts: withoutParts,
    async [Symbol.asyncDispose]() {},
  }

  async function remove(key: string): Promise<void> {
    await beforeDelete?.(key)
    objects.delete(key)
  }
}

async function collect(body: ObjectBody): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunksOf(body)))
}

function find(objects: SimObjects, key: string): Buffer {
  const bytes = objects.get(key)
  if (bytes) return bytes
  throw new AppError('OBJECT_NOT_FOUND', `there is no object "${key}"`)
}

function infoOf(key: string, { length: sizeBytes }: Buffer): ObjectInfo {
  return { key, sizeBytes, etag: '"simulated"', modifiedAt: new Date(0) }
}

function list(objects: SimObjects, { prefix = '', after = '', limit }: ListOptions): ObjectPage {
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).toSorted()
  const page = keys.slice(0, pageLimit(limit))
  const next = page.length < keys.length ? page.at(-1) : undefined
  return { objects: page.map((key) => infoOf(key, find(objects, key))), ...(next === undefined ? {} : { next }) }
}

async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await answer
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([answer, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    aborted.promise.catch(() => undefined)
    answer.catch(() => undefined)
  }
}

function withoutParts(): never {
  throw new AppError('UNSUPPORTED', 'the simulated object store takes no parts')
}
