import { mkdir, open, readdir, rm, rmdir, stat, unlink } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { addAbortSignal } from 'node:stream'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import { openDirect, writeStaged } from './direct-write.ts'
import { codeOf, ignore, publish } from './directory-files.ts'
import { DirectoryParts } from './directory-parts.ts'
import { listKeys } from './directory-listing.ts'
import { checkObjectKey } from './object-key.ts'
import { checkPartSize, uploadNotFound, type PartUpload } from './part-upload.ts'
import {
  chunksOf,
  pageLimit,
  releaseBody,
  resolveRange,
  sizeOf,
  type BeginPartsOptions,
  type GetOptions,
  type ListOptions,
  type ObjectBody,
  type ObjectContent,
  type ObjectInfo,
  type ObjectPage,
  type ObjectStore,
  type PutOptions,
} from './object-store.ts'
import { placeOf, proofName, temporaryFolder, type StorePlace } from './store-place.ts'

/** A file that nobody has written to for this long belongs to no running put, also of another process. */
const leftoverAgeMs = 60 * 60_000
/** Parts of an upload may be far apart: a worker that was away goes on with it. */
const leftoverPartsAgeMs = 24 * 60 * 60_000
const sweepIntervalMs = 60 * 60_000
/** Smaller objects are written in one piece, as usual: they are gone from memory soon anyway. */
const directBytes = 262_144
/** Ranges up to this size are read in one piece: in pieces of 64 KiB, Node's own, the event log read 188 MB/s of what nobody had read before, so 217. */
const onePieceBytes = 1_048_576

/** Objects as files below one directory, where the key is the path. Several processes may share it. */
export class DirectoryStore implements ObjectStore {
  readonly #root: string
  readonly #clock: Clock
  readonly #parts: DirectoryParts
  #sweptAtMs = 0

  private constructor(root: string, clock: Clock) {
    this.#root = root
    this.#clock = clock
    this.#parts = new DirectoryParts(join(root, temporaryFolder))
  }

  /** Makes the directory when it is missing, and removes what a crash left unfinished. */
  static async open({ directory, clock }: { directory: string; clock: Clock }): Promise<DirectoryStore> {
    const store = new DirectoryStore(directory, clock)
    await store.#guard({}, () => store.#sweep())
    return store
  }

  async put(key: string, body: ObjectBody, { ifNoneMatch, signal }: PutOptions = {}): Promise<void> {
    const temporary = join(this.#root, temporaryFolder, newId(this.#clock.nowMs()))
    try {
      await this.#guard({ key, signal }, async () => {
        const path = this.#path(key)
        await writeDurably(temporary, body, signal)
        await publish(temporary, path, { isNew: ifNoneMatch === '*' })
      })
    } finally {
      releaseBody(body)
      await rm(temporary, { force: true }).catch(ignore('ENOTDIR'))
    }
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<ObjectContent> {
    return await this.#guard({ key, signal }, async () => {
      const file = await open(this.#path(key), 'r')
      try {
        const info = infoOf(key, await file.stat({ bigint: true }))
        const bytes = range ? resolveRange(key, info.sizeBytes, range) : undefined
        const stream = file.createReadStream(bytes ? readOptions(bytes) : {})
        return { ...info, stream: signal ? addAbortSignal(signal, stream) : stream }
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  async head(key: string, { signal }: { signal?: AbortSignal } = {}): Promise<ObjectInfo> {
    return await this.#guard({ key, signal }, async () => infoOf(key, await stat(this.#path(key), { bigint: true })))
  }

  async delete(key: string): Promise<void> {
    await this.#guard({ key }, async () => {
      await this.#requireRoot()
      await unlink(this.#path(key)).catch(ignore('ENOENT', 'ENOTDIR', 'EISDIR'))
      await this.#prune(dirname(key))
    })
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    keys.forEach(checkObjectKey)
    for (const key of keys) await this.delete(key)
  }

  async list({ prefix = '', after = '', limit, signal }: ListOptions = {}): Promise<ObjectPage> {
    const count = pageLimit(limit)
    return await this.#guard({ signal }, async () => {
      await this.#requireRoot()
      const keys: string[] = []
      for await (const key of listKeys(this.#root, { prefix, after })) {
        signal?.throwIfAborted()
        keys.push(key)
        if (keys.length > count) break
      }
      const page = keys.slice(0, count)
      const infos = await Promise.all(page.map((key) => this.#find(key)))
      const next = keys.length > count ? page.at(-1) : undefined
      return { objects: infos.filter((info) => info !== undefined), ...(next === undefined ? {} : { next }) }
    })
  }

  async beginParts(key: string, { sizeBytes }: BeginPartsOptions): Promise<PartUpload> {
    return await this.#guard({ key }, async () => {
      checkObjectKey(key)
      await this.#requireRoot()
      if (this.#clock.nowMs() - this.#sweptAtMs > sweepIntervalMs) await this.#sweep()
      return await this.#parts.begin({ key, sizeBytes, uploadId: newId(this.#clock.nowMs()) })
    })
  }

  async putPart(upload: PartUpload, part: number, body: ObjectBody, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    try {
      return await this.#guard({ key: upload.key, signal }, async () => {
        checkPartSize(upload, part, sizeOf(body))
        await this.#requireRoot()
        return await this.#parts.put(upload, part, chunksOf(body, signal))
      })
    } finally {
      releaseBody(body)
    }
  }

  async completeParts(upload: PartUpload, etags: readonly string[]): Promise<void> {
    const { key, sizeBytes } = upload
    await this.#guard({ key }, async () => {
      const path = this.#path(key)
      await this.#requireRoot()
      if (await this.#parts.complete(upload, { etags, path })) return
      // Over: completed before, unless another object has the key.
      const there = await this.#find(key)
      if (there?.sizeBytes !== sizeBytes) throw uploadNotFound(key)
    })
  }

  async abortParts({ key, uploadId }: PartUpload): Promise<void> {
    await this.#guard({ key }, () => this.#parts.remove(uploadId))
  }

  async place(): Promise<StorePlace> {
    return await this.#guard({}, async () => {
      await this.#requireRoot()
      return await placeOf(resolve(this.#root))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #path(key: string): string {
    checkObjectKey(key)
    return join(this.#root, key)
  }

  /** An empty mount point is no empty store: the folder made at the start is on the real disk only. */
  async #requireRoot(): Promise<void> {
    try {
      await stat(join(this.#root, temporaryFolder))
    } catch (cause) {
      const message = `objects directory ${this.#root} is not there any more; is its disk mounted?`
      throw new AppError('OBJECTS_UNAVAILABLE', message, { cause })
    }
  }

  /** Deleted since it was listed: `undefined`. */
  async #find(key: string): Promise<ObjectInfo | undefined> {
    const found = await stat(join(this.#root, key), { bigint: true }).catch(ignore('ENOENT', 'ENOTDIR'))
    return found ? infoOf(key, found) : undefined
  }

  /** Removes folders that are empty, from this one upwards. */
  async #prune(folder: string): Promise<void> {
    for (let path = folder; path !== '.'; path = dirname(path)) {
      const isGone = await rmdir(join(this.#root, path)).then(
        () => true,
        () => false, // has entries, or another delete was faster
      )
      if (!isGone) return
    }
  }

  async #sweep(): Promise<void> {
    const folder = join(this.#root, temporaryFolder)
    this.#sweptAtMs = this.#clock.nowMs()
    await mkdir(folder, { recursive: true })
    for (const name of await readdir(folder)) {
      if (name === proofName) continue
      const path = join(folder, name)
      const entry = await stat(path).catch(ignore('ENOENT'))
      if (!entry) continue
      // A folder is an upload; each part that is put renews its time.
      const keptMs = entry.isDirectory() ? leftoverPartsAgeMs : leftoverAgeMs
      if (this.#clock.nowMs() - entry.mtimeMs > keptMs) await rm(path, { force: true, recursive: true })
    }
  }

  async #guard<T>({ key, signal }: { key?: string; signal?: AbortSignal | undefined }, step: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await step()
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) await this.#requireRoot()
      throw translate(error, { root: this.#root, key: key ?? '' })
    }
  }
}

function readOptions({ first, last }: { first: number; last: number }): { start: number; end: number; highWaterMark?: number } {
  const sizeBytes = last - first + 1
  return { start: first, end: last, ...(sizeBytes <= onePieceBytes ? { highWaterMark: sizeBytes } : {}) }
}

async function writeDurably(path: string, body: ObjectBody, signal: AbortSignal | undefined): Promise<void> {
  const chunks = chunksOf(body, signal)
  const isLarge = sizeOf(body) >= directBytes
  await using file = await (isLarge ? openDirect(path) : open(path, 'wx'))
  if (isLarge) await writeStaged(file, chunks)
  else await file.writeFile(Buffer.concat(await Array.fromAsync(chunks)))
  await file.datasync()
}

function infoOf(key: string, file: BigIntStats): ObjectInfo {
  if (!file.isFile()) throw notFound(key)
  const { size, ino, mtimeNs } = file
  const etag = `"${mtimeNs.toString(36)}-${ino.toString(36)}-${size.toString(36)}"`
  return { key, sizeBytes: Number(size), etag, modifiedAt: file.mtime }
}

function translate(error: unknown, { root, key }: { root: string; key: string }): unknown {
  if (error instanceof AppError || !(error instanceof Error && 'syscall' in error)) return error
  const options = { cause: error }
  const code = codeOf(error)
  const isRead = error.syscall === 'open' || error.syscall === 'stat'
  if (isRead && ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(code)) return notFound(key, error)
  if (error.syscall === 'link' && code === 'EEXIST')
    return new AppError('OBJECT_EXISTS', `object "${key}" exists already`, options)
  if (['EEXIST', 'ENOTDIR', 'EISDIR'].includes(code)) {
    return new AppError('OBJECT_EXISTS', `object "${key}" and another one would be file and folder of one name`, options)
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AppError('DISK_FULL', `object "${key}" does not fit on the disk of ${root}; free some space`, options)
  }
  return new AppError('OBJECTS_UNAVAILABLE', `objects directory ${root} fails: ${error.message}`, options)
}

function notFound(key: string, cause?: unknown): AppError {
  return new AppError('OBJECT_NOT_FOUND', `there is no object "${key}"`, { cause })
}
