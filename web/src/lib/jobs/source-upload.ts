import type { SourceComplete, SourceCreate, SourceUpload } from '#api/job-contract.ts'

/** What an upload needs of the server. */
export type UploadApi = {
  begin(source: SourceCreate, signal: AbortSignal): Promise<SourceUpload>
  complete(source: SourceComplete, signal: AbortSignal): Promise<void>
  /** Puts a part; undefined when the URL has expired. Throws for what may be tried again. */
  put(url: string, part: Blob, signal: AbortSignal): Promise<string | undefined>
}
export type UploadOptions = {
  readonly api: UploadApi
  readonly file: File
  readonly onProgress: (doneBytes: number) => void
  readonly signal: AbortSignal
  /** Waits before the n-th try of a part, from 1. */
  readonly pause: (attempt: number) => Promise<void>
}

const partsAtOnce = 3
const maxFailures = 5

/** Puts a file into the object store, parts side by side, each tried again where it fails. Returns its key. */
export async function uploadFile({ api, file, onProgress, signal: given, pause }: UploadOptions): Promise<string> {
  const failed = new AbortController()
  const signal = AbortSignal.any([given, failed.signal])
  const source = { name: file.name.slice(-200), sizeBytes: file.size }
  const { object, upload } = await api.begin(source, signal)
  const { uploadId, partBytes } = upload
  let urls: readonly string[] = upload.partUrls
  const etags: string[] = []
  let next = 0
  let doneBytes = 0

  async function putPart(index: number): Promise<void> {
    const part = file.slice(index * partBytes, (index + 1) * partBytes)
    for (let attempt = 1; ; attempt++) {
      const url = urls[index] ?? ''
      const etag = await api.put(url, part, signal).catch((error: unknown) => {
        if (signal.aborted || attempt > maxFailures) throw error
      })
      if (etag !== undefined) {
        etags[index] = etag
        onProgress((doneBytes += part.size))
        return
      }
      if (attempt > maxFailures) throw new Error('The object store does not take the file')
      await pause(attempt)
      // Fresh ones also after other failures: they cost one small request.
      if (urls[index] === url)
        urls = (await api.begin({ ...source, resume: { object, uploadId, partBytes } }, signal)).upload.partUrls
    }
  }
  async function putSome(): Promise<void> {
    while (next < upload.partUrls.length) await putPart(next++)
  }
  try {
    await Promise.all(Array.from({ length: partsAtOnce }, putSome))
  } finally {
    // Where one failed, the others stop.
    failed.abort()
  }
  await api.complete({ object, uploadId, partBytes, sizeBytes: file.size, etags }, given)
  return object
}

/** Puts a part over the network; ends when nothing was answered within ten minutes. */
export async function putBlob(url: string, part: Blob, signal: AbortSignal): Promise<string | undefined> {
  const limit = AbortSignal.timeout(600_000)
  const response = await fetch(url, { method: 'PUT', body: part, signal: AbortSignal.any([signal, limit]) })
  if (response.status === 401 || response.status === 403) return undefined
  const etag = response.headers.get('etag')
  if (!response.ok || etag === null) throw new Error(`The object store answered ${response.status} ${response.statusText}`)
  return etag
}
