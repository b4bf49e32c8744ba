import { stat } from 'node:fs/promises'
import type { Agent } from 'node:https'
import { basename } from 'node:path'
import type { SourceComplete, SourceCreate, SourceUpload } from '#api/job-contract.ts'
import { anySignal, sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { putPart } from './put-part.ts'

type Call = { readonly signal: AbortSignal }
/** What an upload needs of the server. */
interface SourceApi {
  beginSource(source: SourceCreate, call: Call): Promise<SourceUpload>
  completeSource(source: SourceComplete, call: Call): Promise<void>
}

export type UploadOptions = {
  readonly api: SourceApi
  readonly file: string
  /** Makes connections over TLS; absent: that of Node. */
  readonly agent?: Agent | undefined
  readonly onProgress: (doneBytes: number, totalBytes: number) => void
  readonly signal: AbortSignal
  /** Waits between tries; tests make them short. */
  readonly retryFirstMs?: number
}

const partsAtOnce = 3
/** Tries of one part in a row. */
const maxFailures = 6

/** Puts a local file into the object store, parts side by side, each tried again where it fails. Returns its key. */
export async function uploadSource({ api, file, agent, onProgress, signal, retryFirstMs = 500 }: UploadOptions): Promise<string> {
  const { size: sizeBytes, mtimeMs } = await fileFacts(file)
  if (sizeBytes === 0) throw new AppError('USAGE', `${file} is empty; nothing can be made of it`)
  const name = basename(file).slice(-200)
  const { object, upload } = await api.beginSource({ name, sizeBytes }, { signal })
  const { uploadId, partBytes } = upload
  const urls = new PartUrls(upload.partUrls, async () => {
    const again = await api.beginSource({ name, sizeBytes, resume: { object, uploadId, partBytes } }, { signal })
    return again.upload.partUrls
  })
  const etags: string[] = []
  const sentBytes = new Map<number, number>()
  const tell = (part: number, bytes: number): void => {
    sentBytes.set(part, bytes)
    onProgress(
      sentBytes.values().reduce((sum, count) => sum + count, 0),
      sizeBytes,
    )
  }
  await eachPart(upload.partUrls.length, signal, async (index, stop) => {
    const startByte = index * partBytes
    const part = { file, startByte, endByte: Math.min(sizeBytes, startByte + partBytes) }
    const onSent = (bytes: number): void => tell(index, bytes)
    etags[index] = await putSurely({ part, index, urls, agent, onSent, signal: stop, retryFirstMs })
  })
  const after = await fileFacts(file)
  if (after.size !== sizeBytes || after.mtimeMs !== mtimeMs)
    throw new AppError('USAGE', `${file} changed while it was uploaded; submit it when nobody writes to it`)
  await api.completeSource({ object, uploadId, partBytes, sizeBytes, etags }, { signal })
  return object
}

async function fileFacts(file: string): Promise<{ size: number; mtimeMs: number }> {
  try {
    return await stat(file)
  } catch (cause) {
    throw new AppError('USAGE', `${file} cannot be read: ${toAppError(cause).message}`, { cause })
  }
}

/** URLs of parts, made anew when they have expired; those who find out together ask once. */
class PartUrls {
  #urls: readonly string[]
  #renewal: Promise<void> | undefined
  readonly #load: () => Promise<readonly string[]>

  constructor(urls: readonly string[], load: () => Promise<readonly string[]>) {
    this.#urls = urls
    this.#load = load
  }

  get(part: number): string {
    return this.#urls[part] ?? ''
  }

  async renew(part: number, expired: string): Promise<void> {
    if (this.get(part) !== expired) return
    this.#renewal ??= this.#load()
      .then((urls) => void (this.#urls = urls))
      .finally(() => (this.#renewal = undefined))
    await this.#renewal
  }
}

type PutSurely = {
  readonly part: { readonly file: string; readonly startByte: number; readonly endByte: number }
  readonly index: number
  readonly urls: PartUrls
  readonly agent: Agent | undefined
  readonly onSent: (bytes: number) => void
  readonly signal: AbortSignal
  readonly retryFirstMs: number
}

async function putSurely({ part, index, urls, agent, onSent, signal, retryFirstMs }: PutSurely): Promise<string> {
  const backoff = new Backoff({ firstMs: retryFirstMs, maxMs: 15_000 })
  for (;;) {
    const url = urls.get(index)
    let sent = 0
    try {
      const outcome = await putPart({ url, part, agent, signal, onBytes: (count) => onSent((sent += count)) })
      if (outcome.kind === 'stored') return outcome.etag
      if (backoff.attempts >= maxFailures)
        throw new AppError('FORBIDDEN', 'the object store refuses the upload, also with fresh URLs')
      await urls.renew(index, url)
    } catch (error) {
      const isWorthATry = error instanceof AppError && error.code === 'API_UNREACHABLE'
      if (signal.aborted || !isWorthATry || backoff.attempts >= maxFailures) throw error
    }
    onSent(0)
    await sleep(backoff.nextMs(), signal)
    signal.throwIfAborted()
  }
}

/** Runs `put` for each part, a few at once. The first failure stops the others and is thrown when they have stopped. */
async function eachPart(
  count: number,
  signal: AbortSignal,
  put: (index: number, stop: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const stop = anySignal(signal, failed.signal)
  let next = 0
  const run = async (): Promise<void> => {
    try {
      while (next < count && !stop.aborted) await put(next++, stop)
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  await Promise.allSettled(Array.from({ length: partsAtOnce }, run))
  stop.throwIfAborted()
}
