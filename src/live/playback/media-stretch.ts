import { AppError } from '#lib/errors.ts'

/** Bytes to send: of a recorded file, or made of many. Held with `await using`. */
export interface RecordedMedia extends AsyncDisposable {
  readonly sizeBytes: number
  /** Names these very bytes. Without quotes. */
  readonly etag: string
  /** A name to save it under. */
  readonly fileName: string
  /** From `start` up to and without `end`; only as far as it is taken. Throws `RECORDING_NOT_FOUND` when a file was deleted meanwhile. */
  read(range: { start: number; end: number }): AsyncIterable<Buffer>
}

interface Readable {
  read(position: number, length: number): Promise<Buffer>
}

const bytesPerRead = 2 ** 18

/** Reads `[start, end)` in pieces. */
export async function* readStretch(source: Readable, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const bytes = await source.read(at, Math.min(bytesPerRead, end - at))
    if (bytes.length === 0)
      throw new AppError('TRUNCATED', `a recorded file ends at ${at}, ${end - at} bytes before what its index says`)
    yield bytes
    at += bytes.length
  }
}
