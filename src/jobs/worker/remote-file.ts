import { anySignal } from '#lib/abort.ts'
import { AppError } from '#lib/errors.ts'
import { withoutCredentials } from '#lib/log.ts'
import { Tries, type Patience } from './patience.ts'
import type { TlsConnections } from './worker-tls.ts'

/** Answers after which the same request may succeed. */
const passingStatuses = new Set([408, 425, 429, 500, 502, 503, 504])
/** Fresh URLs in a row that were refused like the one before. */
const maxRefusals = 3
/** Failures before a fresh URL is asked for on suspicion. */
const movingFailures = 5

export type RemoteFileOptions = {
  /** For people: the name of the input. */
  readonly name: string
  readonly url: string
  /** As it was written; absent: not known. */
  readonly sizeBytes: number | undefined
  /** A fresh URL when the present one has expired. */
  readonly refresh: (signal: AbortSignal) => Promise<string>
  readonly patience: Patience
  /** A connection that brings nothing for so long is given up. */
  readonly idleMs: number
  readonly onBytes?: (bytes: number) => void
  readonly tls?: Pick<TlsConnections, 'dispatcher'> | undefined
}

/**
 * A file behind a signed URL, read by ranges. Whatever passes is tried again, from the byte where it broke; an expired URL is replaced. It must stay the same
 * file: size and ETag are compared in each answer.
 */
export class RemoteFile {
  readonly #options: RemoteFileOptions
  #url: string
  #sizeBytes: number | undefined
  #etag: string | undefined
  #refusals = 0

  constructor(options: RemoteFileOptions) {
    this.#options = options
    this.#url = options.url
    this.#sizeBytes = options.sizeBytes
  }

  /** Known when it was announced or something was loaded. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes
  }

  /** Changes with the content; known when something was loaded, if the server tells it. */
  get etag(): string | undefined {
    return this.#etag
  }

  /**
   * The bytes from `offsetBytes`; fewer than `lengthBytes` only at the end of the file. Throws `SOURCE_UNREACHABLE` when patience is at its end,
   * `SOURCE_REFUSED` when the server will not give it, `INPUT_DAMAGED` when it is gone or is another file.
   */
  async load(offsetBytes: number, lengthBytes: number, signal: AbortSignal): Promise<Buffer> {
    const tries = new Tries(this.#options.patience)
    const pieces: Buffer[] = []
    let loadedBytes = 0
    for (;;) {
      const wantedBytes = Math.min(lengthBytes, (this.#sizeBytes ?? Infinity) - offsetBytes)
      if (loadedBytes >= wantedBytes) return Buffer.concat(pieces)
      try {
        for await (const piece of this.#open(offsetBytes + loadedBytes, wantedBytes - loadedBytes, signal)) {
          pieces.push(piece)
          loadedBytes += piece.length
          tries.moved()
        }
      } catch (error) {
        if (!isPassing(error)) throw error
        await tries.wait(error, signal)
        // The node that signed the URL may be gone; another one signs its own.
        if (tries.failures % movingFailures === 0) this.#url = await this.#options.refresh(signal)
      }
    }
  }

  /** One request. Its connection is gone when the iteration ends, however it does. */
  async *#open(offsetBytes: number, lengthBytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    signal.throwIfAborted()
    using idle = new IdleSignal(this.#options.idleMs)
    const ended = new AbortController()
    try {
      const { url, headers } = addressOf(this.#url)
      const range = `bytes=${offsetBytes}-${offsetBytes + lengthBytes - 1}`
      const dispatcher = this.#options.tls?.dispatcher
      const response = await fetch(url, {
        ...(dispatcher && { dispatcher }),
        headers: { ...headers, range, 'accept-encoding': 'identity' },
        signal: anySignal(signal, idle.signal, ended.signal),
      })
      if (!(await this.#accept(response, { offsetBytes, lengthBytes, signal })) || response.body === null) return
      let leftBytes = lengthBytes
      for await (const piece of response.body) {
        idle.refresh()
        const bytes = Buffer.from(piece.buffer, piece.byteOffset, Math.min(piece.byteLength, leftBytes))
        leftBytes -= bytes.length
        this.#options.onBytes?.(bytes.length)
        if (bytes.length > 0) yield bytes
      }
      const isWhole = leftBytes === 0 || offsetBytes + lengthBytes - leftBytes === this.#sizeBytes
      if (!isWhole) throw this.#error('SOURCE_UNREACHABLE', 'ends its answer early')
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      signal.throwIfAborted()
      throw this.#error('SOURCE_UNREACHABLE', idle.signal.aborted ? 'sends nothing' : reasonOf(cause), cause)
    } finally {
      ended.abort()
    }
  }

  /** Whether the body has the bytes that were asked for; throws for what is no answer. */
  async #accept(
    response: Response,
    { offsetBytes, lengthBytes, signal }: { offsetBytes: number; lengthBytes: number; signal: AbortSignal },
  ): Promise<boolean> {
    const { status, headers } = response
    if (status === 401 || status === 403) {
      this.#refusals += 1
      if (this.#refusals > maxRefusals) throw this.#error('SOURCE_REFUSED', `answers with status ${status}, also to a fresh URL`)
      this.#url = await this.#options.refresh(signal)
      return false
    }
    if (passingStatuses.has(status)) throw this.#error('SOURCE_UNREACHABLE', `answers with status ${status}`)
    if (status === 404 || status === 410) throw this.#error('INPUT_DAMAGED', `is not there (status ${status})`)
    if (status === 206) {
      const place = parseContentRange(headers.get('content-range'))
      if (place?.firstByte !== offsetBytes) throw this.#error('SOURCE_REFUSED', 'gives another range than was asked for')
      this.#identify(place.sizeBytes, headers)
    } else if (status === 416) {
      this.#identify(Number(/\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ?? Number.NaN), headers)
      if ((this.#sizeBytes ?? 0) > offsetBytes) throw this.#error('SOURCE_REFUSED', 'does not give what it has')
      return false
    } else if (status === 200) {
      const sizeBytes = Number(headers.get('content-length') ?? Number.NaN)
      // A server without ranges will do for what fits into one answer.
      if (offsetBytes !== 0 || !(sizeBytes <= lengthBytes)) throw this.#error('SOURCE_REFUSED', 'gives no byte ranges')
      this.#identify(sizeBytes, headers)
    } else {
      throw this.#error('SOURCE_REFUSED', `answers with status ${status}`)
    }
    this.#refusals = 0
    return true
  }

  #identify(sizeBytes: number, headers: Headers): void {
    if (!Number.isSafeInteger(sizeBytes)) throw this.#error('SOURCE_REFUSED', 'does not say how long it is')
    const etag = headers.get('etag') ?? undefined
    if (sizeBytes !== (this.#sizeBytes ?? sizeBytes)) {
      throw this.#error('INPUT_DAMAGED', `has ${sizeBytes} bytes in place of ${this.#sizeBytes}`)
    }
    if ((etag ?? this.#etag) !== (this.#etag ?? etag)) throw this.#error('INPUT_DAMAGED', 'was replaced while it was read')
    this.#sizeBytes = sizeBytes
    this.#etag ??= etag
  }

  #error(code: 'SOURCE_UNREACHABLE' | 'SOURCE_REFUSED' | 'INPUT_DAMAGED', what: string, cause?: unknown): AppError {
    const { origin } = new URL(withoutCredentials(this.#url))
    return new AppError(code, `input "${this.#options.name}" at ${origin} ${what}`, { cause })
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof AppError && error.code === 'SOURCE_UNREACHABLE'
}

/** `fetch` takes no credentials in an address. */
function addressOf(address: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(address)
  const { username, password } = url
  if (username === '') return { url, headers: {} }
  url.username = ''
  url.password = ''
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  return { url, headers: { authorization: `Basic ${credentials}` } }
}

/** `bytes 0-99/1234`, RFC 9110 §14.4. */
function parseContentRange(header: string | null): { firstByte: number; sizeBytes: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(header ?? '')
  return match ? { firstByte: Number(match[1]), sizeBytes: Number(match[2]) } : undefined
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  return thrown.cause instanceof Error ? thrown.cause.message : thrown.message
}

/** Fires when it was not refreshed for a while. */
class IdleSignal implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(idleMs: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), idleMs)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  refresh(): void {
    this.#timer.refresh()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
