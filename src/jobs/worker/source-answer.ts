import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { toAppError, type ErrorCode } from '#lib/errors.ts'
import type { SourceFile } from './source-file.ts'

/** One request of libav: the whole file or the rest from some byte. A file that breaks off in the middle ends the connection; it never looks whole. */
export async function answerWithFile(
  { file, onServed }: { file: SourceFile; onServed: (bytes: number) => void },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const sizeBytes = await file.loadSize()
    const range = parseRange(request.headers.range, sizeBytes)
    if (range === 'outside') {
      response.writeHead(416, { 'content-range': `bytes */${sizeBytes}`, 'content-length': 0 }).end()
      return
    }
    const { firstByte, lastByte } = range ?? { firstByte: 0, lastByte: sizeBytes - 1 }
    const pieces = file.read(firstByte, lastByte)
    // An input that is gone or another one is told by the status.
    const first = request.method === 'HEAD' ? undefined : await pieces.next()
    response.writeHead(range ? 206 : 200, {
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-length': lastByte - firstByte + 1,
      ...(range && { 'content-range': `bytes ${firstByte}-${lastByte}/${sizeBytes}` }),
    })
    if (first?.done === false) await send(startingWith(first.value, pieces), { response, onServed })
    response.end()
  } catch (thrown) {
    const { code, message } = toAppError(thrown)
    if (response.headersSent) response.destroy()
    else response.writeHead(statusOf(code), { 'content-type': 'text/plain; charset=utf-8' }).end(`${code}: ${message}\n`)
  }
}

function statusOf(code: ErrorCode): number {
  return code === 'INPUT_DAMAGED' ? 404 : 502
}

async function* startingWith<T>(first: T, others: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* others
}

/** At the reader's pace; stops when it is gone. */
async function send(
  pieces: AsyncIterable<Buffer>,
  { response, onServed }: { response: ServerResponse; onServed: (bytes: number) => void },
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  for await (const piece of pieces) {
    if (response.destroyed) return
    onServed(piece.length)
    if (response.write(piece)) continue
    await once(response, 'drain', { signal: gone.signal }).catch(() => undefined)
  }
}

/** The one range of the header, cut at the end of the file. Absent, or in a form that we do not know: the whole file. */
function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { firstByte: number; lastByte: number } | 'outside' | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? '')
  if (!match) return undefined
  const firstByte = Number(match[1])
  if (firstByte >= sizeBytes) return 'outside'
  const lastByte = match[2] === '' ? sizeBytes - 1 : Math.min(sizeBytes - 1, Number(match[2]))
  return lastByte < firstByte ? undefined : { firstByte, lastByte }
}
