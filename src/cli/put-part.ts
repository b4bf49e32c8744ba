import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as requestHttps, type Agent } from 'node:https'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError } from '#lib/errors.ts'
import { http } from '#lib/node-http.ts'

export type FilePart = { readonly file: string; readonly startByte: number; readonly endByte: number }
/** `expired`: the URL is not valid any more; a fresh one is needed. */
export type PartOutcome = { readonly kind: 'stored'; readonly etag: string } | { readonly kind: 'expired' }

type PutOptions = {
  readonly url: string
  readonly part: FilePart
  /** Makes connections over TLS; absent: that of Node. */
  readonly agent?: Agent | undefined
  /** Called with the number of bytes that went out since the last call. */
  readonly onBytes: (count: number) => void
  readonly signal: AbortSignal
  /** A connection on which nothing moves for so long is given up. */
  readonly stallMs?: number
}

/** Puts a part of a file to where it belongs. `API_UNREACHABLE` for what may pass, `OBJECTS_UNAVAILABLE` for a refusal, `USAGE` when the file cannot be read. */
export async function putPart({ url, part, agent, onBytes, signal, stallMs = 60_000 }: PutOptions): Promise<PartOutcome> {
  const { file, startByte, endByte } = part
  const target = new URL(url)
  const isSecure = target.protocol === 'https:'
  const open = isSecure ? requestHttps : http.request
  const headers = { 'content-length': endByte - startByte }
  const request = open(target, { method: 'PUT', headers, signal, ...(isSecure && agent && { agent }) })
  request.setTimeout(stallMs, () => request.destroy(new Error(`nothing moved for ${stallMs / 1000} s`)))
  const source = createReadStream(file, { start: startByte, end: endByte - 1 })
  let unreadable: Error | undefined
  source.on('error', (error) => (unreadable = error))
  const answered = answerOf(request)
  // Its failures are those of the request: an early refusal ends it, too.
  void pipeline(source, counting(onBytes), request).catch(() => {})
  try {
    return await outcomeOf(await answered, target)
  } catch (cause) {
    if (signal.aborted || cause instanceof AppError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    if (unreadable) throw new AppError('USAGE', `${file} cannot be read: ${reason}`, { cause })
    throw new AppError('API_UNREACHABLE', `the upload to ${target.origin} broke off: ${reason}; try again`, { cause })
  } finally {
    request.destroy()
  }
}

type Answer = { readonly response: IncomingMessage; readonly text: string }
const longestReason = 500

async function answerOf(request: ClientRequest): Promise<Answer> {
  const [response]: IncomingMessage[] = await once(request, 'response')
  if (!response) throw new Error('no answer')
  let text = ''
  for await (const chunk of response) if (text.length < longestReason) text += String(chunk)
  return { response, text: text.slice(0, longestReason) }
}

async function outcomeOf({ response, text }: Answer, target: URL): Promise<PartOutcome> {
  const { statusCode = 0, headers } = response
  if (statusCode === 401 || statusCode === 403) return { kind: 'expired' }
  if (statusCode >= 200 && statusCode < 300 && headers.etag !== undefined) return { kind: 'stored', etag: headers.etag }
  const isPassing = statusCode >= 500 || statusCode === 408 || statusCode === 429
  const code = isPassing ? 'API_UNREACHABLE' : 'OBJECTS_UNAVAILABLE'
  throw new AppError(
    code,
    `${target.origin} refused a part of the file with status ${statusCode}: ${text.trim() || 'no reason given'}`,
  )
}

function counting(onBytes: (count: number) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes(chunk.length)
      done(null, chunk)
    },
  })
}
