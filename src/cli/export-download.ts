import type { FileHandle } from 'node:fs/promises'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { AppError } from '#lib/errors.ts'
import { isAbort } from './client.ts'

/** From which byte on, and of which version of the file. */
type Resume = { readonly fromByte: number; readonly etag: string }

export type DownloadOptions = {
  /** Asks for the file, or for the rest of it. `API_UNREACHABLE` is worth another try. */
  readonly open: (resume: Resume | undefined) => Promise<Response>
  /** Opened for appending. */
  readonly handle: FileHandle
  readonly onProgress: (doneBytes: number, totalBytes: number | undefined) => void
  readonly signal: AbortSignal
}

/** Tries in a row that bring not one byte. */
const maxFailures = 5

/**
 * Downloads into a file, and goes on where it broke off as long as the server still has the same bytes (RFC 9110 §14 with If-Range); otherwise
 * from the start. Returns the size in bytes.
 */
export async function downloadTo({ open, handle, onProgress, signal }: DownloadOptions): Promise<number> {
  const backoff = new Backoff({ firstMs: 500, maxMs: 8000 })
  let doneBytes = 0
  let etag: string | undefined
  for (;;) {
    try {
      const response = await open(etag === undefined ? undefined : { fromByte: doneBytes, etag })
      if (response.status !== 206) {
        doneBytes = 0
        await handle.truncate(0)
      }
      etag = response.headers.get('etag') ?? undefined
      const totalBytes = doneBytes + lengthOf(response)
      for await (const chunk of bytesOf(response)) {
        await handle.appendFile(chunk)
        doneBytes += chunk.length
        backoff.reset()
        onProgress(doneBytes, Number.isNaN(totalBytes) ? undefined : totalBytes)
      }
      if (Number.isNaN(totalBytes) || doneBytes === totalBytes) return doneBytes
      throw brokenOff('the connection ended early')
    } catch (error) {
      const isWorthATry = error instanceof AppError && error.code === 'API_UNREACHABLE' && etag !== undefined
      if (signal.aborted || !isWorthATry || backoff.attempts >= maxFailures) throw error
      await sleep(backoff.nextMs(), signal)
    }
  }
}

function lengthOf(response: Response): number {
  return Number.parseInt(response.headers.get('content-length') ?? '', 10)
}

/** The body; a connection that breaks is told apart from a disk that is full. */
async function* bytesOf(response: Response): AsyncGenerator<Uint8Array, void> {
  const reader = response.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (cause) {
    if (isAbort(cause)) throw cause
    throw brokenOff(String(cause), cause)
  } finally {
    await reader.cancel().catch(() => {})
  }
}

function brokenOff(reason: string, cause?: unknown): AppError {
  return new AppError('API_UNREACHABLE', `the download broke off (${reason}) and could not be resumed; try again`, { cause })
}
