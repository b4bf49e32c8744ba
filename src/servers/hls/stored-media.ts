import { AppError } from '#lib/errors.ts'
import type { FileRange } from '#live/packager/cmaf.ts'
import { readStretch } from '#live/playback/media-stretch.ts'
import { type FileSource, openFileSource } from '#live/recorder/file-source.ts'

/** Media in recorded files, opened: that somebody deletes them now does no harm. */
export type StoredMedia = AsyncDisposable & {
  /** The bytes from `start` up to `end` of all ranges in a row, in pieces. */
  read(start: number, end: number): AsyncGenerator<Buffer>
}

type OpenRange = FileRange & { readonly source: FileSource }

/** Opens all ranges. Throws `HLS_FILE_NOT_FOUND` when one of them is gone, and what the disk throws. */
export async function openStored(ranges: readonly FileRange[]): Promise<StoredMedia> {
  await using opened = new AsyncDisposableStack()
  const open: OpenRange[] = []
  for (const range of ranges) open.push({ ...range, source: opened.use(await openRange(range)) })
  const held = opened.move()
  return { read: (start, end) => read(open, start, end), [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function openRange({ path, offset, sizeBytes }: FileRange): Promise<FileSource> {
  const source = await openFileSource(path).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'RECORDING_NOT_FOUND' ? goneError(error) : error
  })
  if (source.sizeBytes >= offset + sizeBytes) return source
  await source[Symbol.asyncDispose]()
  throw goneError()
}

function goneError(cause?: AppError): AppError {
  return new AppError('HLS_FILE_NOT_FOUND', 'the recording that held this file was deleted; load the playlist again', { cause })
}

async function* read(ranges: readonly OpenRange[], start: number, end: number): AsyncGenerator<Buffer> {
  let at = 0
  for (const { source, offset, sizeBytes } of ranges) {
    const from = Math.max(start - at, 0)
    const to = Math.min(end - at, sizeBytes)
    yield* readStretch(source, offset + from, offset + to)
    at += sizeBytes
  }
}
