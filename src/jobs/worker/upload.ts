import { openAsBlob } from 'node:fs'
import { stat } from 'node:fs/promises'
import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import type { FinishedUpload, Upload } from '../worker-protocol.ts'
import { Tries, type Patience } from './patience.ts'
import type { AnnouncedFile } from './worker-client.ts'
import type { TlsConnections } from './worker-tls.ts'

const partsAtOnce = 2
/** As many as one message holds. */
const maxFiles = 200
/** Times that a file is begun anew after its addresses were refused: they expire. */
const maxRenewals = 5
/** Tries in a row that fail before another node is asked. */
const movingFailures = 6
/** While the API is away its workers go on; a task that nobody waits for any more is stopped by it. */
const uploadPatience = { firstMs: 250, maxMs: 15_000, giveUpMs: 3_600_000 }
/** A part that goes more slowly than this is sent anew. */
const slowestBytesPerSecond = 32 << 10
const shortestPartMs = 30_000
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504])

export type LocalFile = { readonly name: string; readonly path: string; readonly contentType: string }

export type UploadOptions = {
  readonly files: readonly LocalFile[]
  /** Where files go; asked again for one whose addresses have expired. */
  readonly announce: (files: readonly AnnouncedFile[]) => Promise<readonly Upload[]>
  /** There are other nodes of the API: when the one that gave the addresses is away, another gives fresh ones. */
  readonly isMovable?: boolean
  /** Moves a whole file to where the URL of its first part leads; undefined where it must be sent. Absent: all are sent. */
  readonly adopt?: (url: string, path: string) => Promise<string[] | undefined>
  /** For addresses with `https:`; absent: those of Node. */
  readonly tls?: Pick<TlsConnections, 'dispatcher'> | undefined
  readonly signal: AbortSignal
  /** Bytes that have arrived, more each time, of all. */
  readonly onProgress?: (sentBytes: number, totalBytes: number) => void
  readonly patience?: Patience
}

/**
 * Puts files where the API says: in parts, two at a time, each repeated until it is there. Gives back what `complete` needs. Throws `OBJECTS_UNAVAILABLE` when
 * a file cannot be put; the reason of the signal when it fires.
 */
export async function uploadFiles(options: UploadOptions): Promise<FinishedUpload[]> {
  const { files, announce } = options
  if (files.length > maxFiles) {
    throw new AppError(
      'LIMIT_EXCEEDED',
      `the task made ${files.length} files, and ${maxFiles} are the most; make the clip shorter`,
    )
  }
  const announced = await Promise.all(files.map(describe))
  const uploads = announced.length === 0 ? [] : await announce(announced)
  const totalBytes = announced.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const sending = files.map((file, at) => ({
    file,
    announced: announced[at] ?? missing(file.name),
    upload: uploads.find(({ name }) => name === file.name) ?? missing(file.name),
  }))
  const finished: FinishedUpload[] = []
  let sentBefore = 0
  for (const one of sending) {
    const onSent = (sentBytes: number): void => options.onProgress?.(sentBefore + sentBytes, totalBytes)
    finished.push(await sendFile(one, options, onSent))
    sentBefore += one.announced.sizeBytes
  }
  return finished
}

async function describe({ name, path, contentType }: LocalFile): Promise<AnnouncedFile> {
  const { size } = await stat(path)
  return { name, sizeBytes: size, contentType }
}

type Sending = { readonly file: LocalFile; readonly announced: AnnouncedFile; readonly upload: Upload }

async function sendFile(
  { file, announced, upload: first }: Sending,
  options: UploadOptions,
  onSent: (bytes: number) => void,
): Promise<FinishedUpload> {
  let upload = first
  for (let renewals = 0; ; renewals++) {
    const sending = { file, announced, upload }
    const etags = (await adoptFile(sending, options, onSent)) ?? (await sendParts(sending, options, onSent))
    if (etags) return { name: file.name, uploadId: upload.uploadId, etags, sizeBytes: announced.sizeBytes }
    if (renewals >= maxRenewals) {
      throw new AppError('OBJECTS_UNAVAILABLE', `the object store refuses "${file.name}" each time, also at fresh addresses`)
    }
    const renewed = await options.announce([announced])
    upload = renewed.find(({ name }) => name === file.name) ?? missing(file.name)
  }
}

/** The ETags of all parts of a file that needs no sending. */
async function adoptFile(
  { file, announced, upload }: Sending,
  { adopt }: UploadOptions,
  onSent: (bytes: number) => void,
): Promise<string[] | undefined> {
  const [firstUrl] = upload.partUrls
  const etags = firstUrl === undefined ? undefined : await adopt?.(firstUrl, file.path)
  if (etags) onSent(announced.sizeBytes)
  return etags
}

/** The ETags of all parts, or undefined when the addresses are not taken any more. */
async function sendParts(
  { file, announced, upload }: Sending,
  { isMovable = false, tls, signal, patience = uploadPatience }: UploadOptions,
  onSent: (bytes: number) => void,
): Promise<string[] | undefined> {
  const content = await openAsBlob(file.path)
  const etags: string[] = []
  const over = new AbortController()
  const stopped = anySignal(signal, over.signal)
  const state = { next: 0, sentBytes: 0, isRefused: false }
  const sendNext = async (): Promise<void> => {
    while (!state.isRefused) {
      const part = state.next++
      const url = upload.partUrls[part]
      if (url === undefined) return
      const bytes = content.slice(part * upload.partBytes, Math.min(announced.sizeBytes, (part + 1) * upload.partBytes))
      const etag = await sendPart({ url, bytes, name: file.name, signal: stopped, patience, isMovable, tls })
      if (etag === undefined) {
        state.isRefused = true
        return
      }
      etags[part] = etag
      state.sentBytes += bytes.size
      onSent(state.sentBytes)
    }
  }
  try {
    await Promise.all(Array.from({ length: partsAtOnce }, sendNext))
    return state.isRefused ? undefined : etags
  } finally {
    over.abort(new AppError('SHUTTING_DOWN', 'another part of the file failed'))
  }
}

type Part = {
  readonly url: string
  readonly bytes: Blob
  readonly name: string
  readonly signal: AbortSignal
  readonly patience: Patience
  readonly isMovable: boolean
  readonly tls: UploadOptions['tls']
}

/** Its ETag, or undefined when the address is refused. */
async function sendPart({ url, bytes, name, signal, patience, isMovable, tls }: Part): Promise<string | undefined> {
  const tries = new Tries(patience)
  const timeoutMs = shortestPartMs + Math.ceil((bytes.size / slowestBytesPerSecond) * 1000)
  for (let failures = 0; !isMovable || failures < movingFailures; failures++) {
    try {
      const response = await fetch(url, {
        ...(tls?.dispatcher && { dispatcher: tls.dispatcher }),
        method: 'PUT',
        body: bytes,
        signal: anySignal(signal, AbortSignal.timeout(timeoutMs)),
      })
      await response.arrayBuffer()
      const etag = response.headers.get('etag')
      if (response.ok && etag !== null) return etag
      if (!response.ok && !passingStatuses.has(response.status)) return undefined
      throw new AppError('OBJECTS_UNAVAILABLE', `the object store answers with status ${response.status} to "${name}"`)
    } catch (cause) {
      signal.throwIfAborted()
      const error = new AppError('OBJECTS_UNAVAILABLE', `"${name}" cannot be put into the object store (${String(cause)})`, {
        cause,
      })
      await tries.wait(error, signal)
    }
  }
  return undefined
}

function missing(name: string): never {
  throw new AppError('INTERNAL', `the API gave no place for the file "${name}"`)
}
