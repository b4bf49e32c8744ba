import { setTimeout as delay } from 'node:timers/promises'
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import {
  errorBodySchema,
  eventListSchema,
  recordingListSchema,
  streamListSchema,
  streamViewSchema,
  type RecordingView,
  type StreamCreate,
  type StreamView,
} from '#api/contract.ts'
import { anySignal } from '#lib/abort.ts'
import { authorizationOf, credentialOf } from '#lib/authorization.ts'
import { AppError, errorTable, type ErrorCode } from '#lib/errors.ts'
import type { FetchDispatcher } from '#lib/fetch-dispatcher.ts'
import { explainDistrust } from '#lib/tls-distrust.ts'
import { loadClientTls, type ClientTls, type ClientTlsFiles } from './client-tls.ts'

const defaultUrl = 'http://127.0.0.1:3000'
const timeoutMs = 30_000
/** How often, and how long each time, a request waits when the server says that there were too many. */
const mostWaits = 3
const longestWaitSeconds = 5

type Query = Readonly<Record<string, string | number | undefined>>
type Call = {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly query?: Query
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** A download: it may take as long as it takes. */
  readonly isLong?: boolean
}

/** Which recordings; times are ISO 8601. */
export type RecordingQuery = { readonly stream?: string; readonly from?: string; readonly to?: string }

/** The API of a running server. Errors of the server come out as they are there; `API_UNREACHABLE` when it does not answer. */
export class ApiClient {
  readonly #base: URL
  readonly #headers: Record<string, string>
  readonly #files: ClientTlsFiles
  #tls: Promise<ClientTls | undefined> | undefined

  /** User and password, or an API key, may stand in the address. `USAGE` when it is none. */
  constructor(url: string, files: ClientTlsFiles = {}) {
    this.#files = files
    const base = URL.parse(url)
    if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
      throw new AppError('USAGE', `"${url}" is no address of a server; write for example ${defaultUrl}`)
    }
    const credential = credentialOf(base)
    this.#headers = credential === undefined ? {} : { authorization: authorizationOf(credential) }
    base.username = ''
    base.password = ''
    this.#base = base
  }

  listStreams({ search, signal }: { search?: string | undefined; signal?: AbortSignal } = {}): Promise<StreamView[]> {
    return allPages((page) => this.ask('streams', streamListSchema, { query: { ...page, search }, ...(signal && { signal }) }))
  }

  getStream(name: string): Promise<StreamView> {
    return this.ask(streamPath(name), streamViewSchema)
  }

  createStream(stream: StreamCreate): Promise<StreamView> {
    return this.ask('streams', streamViewSchema, { method: 'POST', body: stream })
  }

  async removeStream(name: string): Promise<void> {
    await this.send(streamPath(name), { method: 'DELETE' })
  }

  async startStream(name: string): Promise<void> {
    await this.send(`${streamPath(name)}/start`, { method: 'POST' })
  }

  async stopStream(name: string): Promise<void> {
    await this.send(`${streamPath(name)}/stop`, { method: 'POST' })
  }

  /** Recorded files in the order of their start. */
  listRecordings(query: RecordingQuery): Promise<RecordingView[]> {
    return allPages((page) => this.ask('recordings', recordingListSchema, { query: { ...page, ...query } }))
  }

  /** A stretch of a stream as one MP4; with `resume`, the rest of a download that broke off, if the bytes are still the same. */
  openExport(
    { stream, ...query }: RecordingQuery & { stream: string },
    { signal, resume }: { signal: AbortSignal; resume?: { fromByte: number; etag: string } },
  ): Promise<Response> {
    const headers = resume && { range: `bytes=${resume.fromByte}-`, 'if-range': resume.etag }
    return this.send(`${streamPath(stream)}/export.mp4`, { query, signal, ...(headers && { headers }), isLong: true })
  }

  /** Whether events can be had: fails as any request does, where a WebSocket would not say why. */
  async checkEvents(): Promise<void> {
    await this.ask('events', eventListSchema, { query: { limit: 1 } })
  }

  /** The address and headers of the event WebSocket. */
  async eventSocket(query: Query): Promise<{ url: URL; headers: Record<string, string>; dispatcher?: FetchDispatcher }> {
    const url = this.#urlOf('events', query)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const { dispatcher } = (await this.connections()) ?? {}
    return { url, headers: this.#headers, ...(dispatcher && { dispatcher }) }
  }

  /** How connections to an https server are made; undefined: as Node makes them. `USAGE` for files that cannot be used. */
  connections(): Promise<ClientTls | undefined> {
    this.#tls ??= this.#base.protocol === 'https:' ? loadClientTls(this.#files) : Promise.resolve(undefined)
    return this.#tls
  }

  /** A path of the server as an address that a player or browser can open. */
  addressOf(path: string): string {
    return new URL(path, this.#base).href
  }

  /** `API_UNREACHABLE` with what to do, for whatever kept us from an answer. */
  unreachable(cause: unknown): AppError {
    const distrust = explainDistrust(cause instanceof Error ? (cause.cause ?? cause) : cause, '--authority')
    if (distrust !== undefined) {
      return new AppError('API_UNREACHABLE', `the server at ${this.#base.origin} is not trusted: ${distrust}`, { cause })
    }
    const remedy = 'start the server with "millrace serve", or name its address with --url or MILLRACE_URL'
    return new AppError('API_UNREACHABLE', `no Millrace answers at ${this.#base.origin} (${reasonOf(cause)}); ${remedy}`, {
      cause,
    })
  }

  /** The answer to a request below `/api/v1/`, checked against its schema. */
  async ask<Schema extends TSchema>(path: string, schema: Schema, call: Call = {}): Promise<Static<Schema>> {
    const response = await this.send(path, call)
    const body: unknown = await response.json().catch(() => undefined)
    if (Check(schema, body)) return body
    throw new AppError(
      'UNSUPPORTED',
      `${this.#base.origin} gave an answer to ${path} that this version does not understand; use the millrace of the server`,
    )
  }

  /** The same for what has no answer, or one that is no JSON. */
  async send(path: string, { method = 'GET', query = {}, body, headers, signal, isLong = false }: Call): Promise<Response> {
    for (let waits = 0; ; waits++) {
      const response = await this.#fetch(this.#urlOf(path, query), {
        method,
        headers: { ...this.#headers, ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: anySignal(signal, isLong ? undefined : AbortSignal.timeout(timeoutMs)),
      })
      if (response.ok) return response
      const refusal = await this.#refusal(response)
      const waitSeconds = waits < mostWaits ? waitOf(refusal) : undefined
      if (waitSeconds === undefined) throw refusal
      await delay(waitSeconds * 1000, undefined, { ...(signal && { signal }) })
    }
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    const { dispatcher } = (await this.connections()) ?? {}
    try {
      return await fetch(url, { ...init, ...(dispatcher && { dispatcher }) })
    } catch (cause) {
      if (isAbort(cause)) throw cause
      throw this.unreachable(cause)
    }
  }

  /** The server's own error; something else in its place, such as a proxy's page, is told as such. */
  async #refusal(response: Response): Promise<AppError> {
    const body: unknown = await response.json().catch(() => undefined)
    if (!Check(errorBodySchema, body)) return this.unreachable(`status ${response.status} from something else`)
    return new AppError(isErrorCode(body.code) ? body.code : 'INTERNAL', body.message, {
      ...(body.details && { details: body.details }),
    })
  }

  #urlOf(path: string, query: Query): URL {
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}/api/v1/${path}`, this.#base)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
    return url
  }
}

/** The client for the server that the command line or the environment names. */
export function openClient(
  { url, authority, certificate, key }: { url?: string } & ClientTlsFiles,
  environment: Readonly<Record<string, string | undefined>>,
): ApiClient {
  return new ApiClient(url ?? (environment['MILLRACE_URL'] || defaultUrl), {
    authority: authority ?? environment['MILLRACE_API_AUTHORITY'],
    certificate: certificate ?? environment['MILLRACE_API_CERTIFICATE'],
    key: key ?? environment['MILLRACE_API_KEY'],
  })
}

/** Items asked for at once, and taken in all. */
const pageSize = 500
const maxItems = 100_000

type Page<Item> = { items: Item[]; nextCursor?: string }

/** All items of a list that comes in pages. */
export async function allPages<Item>(
  load: (page: { limit: number; cursor: string | undefined }) => Promise<Page<Item>>,
): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | undefined
  do {
    const page = await load({ limit: pageSize, cursor })
    items.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined && items.length < maxItems)
  return items
}

function streamPath(name: string): string {
  return `streams/${encodeURIComponent(name)}`
}

/** How long the server asks to wait where it refused for the number of requests, and did nothing; undefined: not worth it. */
function waitOf({ code, details = {} }: AppError): number | undefined {
  const seconds = code === 'RATE_LIMITED' ? details['retryAfterSeconds'] : undefined
  return typeof seconds === 'number' && seconds <= longestWaitSeconds ? seconds : undefined
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code)
}

/** Whether somebody pressed Ctrl+C. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError'
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  if (thrown.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  const inner = thrown.cause instanceof Error ? thrown.cause : thrown
  return 'code' in inner && inner.code === 'ECONNREFUSED' ? 'connection refused' : inner.message
}
