import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AppError } from '#lib/errors.ts'
import { http } from '#lib/node-http.ts'
import type { JobId } from '../model.ts'
import type { InputFile } from '../worker-protocol.ts'
import { BlockCache } from './block-cache.ts'
import { inputPatienceMs } from './codec-silence.ts'
import type { Patience } from './patience.ts'
import { RemoteFile } from './remote-file.ts'
import { answerWithFile } from './source-answer.ts'
import { SourceFile } from './source-file.ts'
import type { TlsConnections } from './worker-tls.ts'

const maxConnections = 256
const inputPatience = { firstMs: 250, maxMs: 10_000, giveUpMs: inputPatienceMs }

export type SourceProxyOptions = {
  /** Of blocks that were read and may be read again. */
  readonly cacheBytes?: number
  readonly patience?: Patience
  readonly idleMs?: number
  readonly onBytes?: (bytes: number) => void
  /** For addresses with `https:`; absent: those of Node. */
  readonly tls?: Pick<TlsConnections, 'dispatcher'> | undefined
}

export type MountOptions = {
  readonly jobId: JobId
  readonly inputs: readonly InputFile[]
  /** Inputs that are files here, by their names: they do not pass through the proxy. */
  readonly paths?: ReadonlyMap<string, string>
  /** A fresh URL of the input with this name. */
  readonly refresh: (name: string, signal: AbortSignal) => Promise<string>
}

/** The inputs of one attempt of a task, at addresses that only its process knows. Disposing takes them away. */
export interface SourceMount extends Disposable {
  /** Address on loopback, or path, of the input with this name; throws `MALFORMED` when the task has none. */
  urlOf(name: string): string
  /** Bytes that were given to libav so far. */
  readonly servedBytes: number
  /** Inputs that could not be read, in their order: libav tells its own errors apart badly. */
  readonly failures: readonly { readonly error: AppError; readonly input: InputFile }[]
}

type Mounted = {
  readonly input: InputFile
  readonly file: SourceFile
  readonly onServed: (bytes: number) => void
  readonly release: () => void
}
type Refresh = (signal: AbortSignal) => Promise<string>
/** A file and those who have it; the newest of them asks for its fresh URLs. */
type Shared = { readonly file: SourceFile; readonly users: Refresh[] }

/**
 * The way of every input to libav: an HTTP server on loopback that reads the signed URLs. libav sees a server that never breaks, knows ranges, and is near;
 * retries, expired URLs and read-ahead are here. Tasks of one job that read the same source share its blocks.
 */
export class SourceProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #options: SourceProxyOptions
  readonly #cache: BlockCache
  readonly #mounts = new Map<string, ReadonlyMap<string, Mounted>>()
  readonly #shared = new Map<string, Shared>()
  #port = 0

  private constructor(options: SourceProxyOptions) {
    this.#options = options
    this.#cache = new BlockCache(options.cacheBytes ?? 128 << 20)
    this.#server = http.createServer({ keepAliveTimeout: 30_000 }, (request, response) => void this.#answer(request, response))
    this.#server.maxConnections = maxConnections
  }

  static async open(options: SourceProxyOptions = {}): Promise<SourceProxy> {
    const proxy = new SourceProxy(options)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    proxy.#server.once('error', reject)
    proxy.#server.listen(0, '127.0.0.1', resolve)
    await promise
    const address = proxy.#server.address()
    if (address === null || typeof address === 'string') throw new AppError('INTERNAL', 'the proxy for inputs has no port')
    proxy.#port = address.port
    return proxy
  }

  mount({ jobId, inputs, paths = new Map(), refresh }: MountOptions): SourceMount {
    const token = randomBytes(16).toString('hex')
    let servedBytes = 0
    const onServed = (bytes: number): void => void (servedBytes += bytes)
    const fetched = inputs.filter(({ name }) => !paths.has(name))
    const mounted = new Map(fetched.map((input) => [input.name, { ...this.#open(jobId, input, refresh), onServed }]))
    this.#mounts.set(token, mounted)
    return {
      get servedBytes() {
        return servedBytes
      },
      urlOf: (name) => {
        const path = paths.get(name)
        if (path !== undefined) return path
        if (!mounted.has(name)) throw new AppError('MALFORMED', `the task names an input "${name}" and brings none of that name`)
        return `http://127.0.0.1:${this.#port}/${token}/${encodeURIComponent(name)}`
      },
      get failures() {
        return [...mounted.values()].flatMap(({ input, file }) => (file.failure ? [{ error: file.failure, input }] : []))
      },
      [Symbol.dispose]: () => {
        if (!this.#mounts.delete(token)) return
        for (const { release } of mounted.values()) release()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return
    for (const mounted of this.#mounts.values()) for (const { release } of mounted.values()) release()
    this.#mounts.clear()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }

  /** Only what a user gave is shared: a file that a task made may be made again under the same name. */
  #open(jobId: JobId, input: InputFile, refresh: MountOptions['refresh']): Omit<Mounted, 'onServed'> {
    const isOfTask = input.taskId !== undefined
    const key = `${jobId}/${input.name}${isOfTask ? `/${randomBytes(8).toString('hex')}` : ''}`
    const known = this.#shared.get(key)
    const shared = known && !known.file.failure ? known : this.#share(key, input)
    this.#shared.set(key, shared)
    const user: Refresh = (signal) => refresh(input.name, signal)
    shared.users.push(user)
    const release = (): void => {
      shared.users.splice(shared.users.indexOf(user), 1)
      if (shared.users.length > 0) return
      shared.file[Symbol.dispose]()
      if (this.#shared.get(key) === shared) this.#shared.delete(key)
    }
    return { input, file: shared.file, release }
  }

  #share(key: string, { name, url, sizeBytes }: InputFile): Shared {
    const { patience = inputPatience, idleMs = 20_000, onBytes, tls } = this.#options
    const users: Refresh[] = []
    const refresh: Refresh = async (signal) => {
      const newest = users.at(-1)
      if (!newest) throw new AppError('SHUTTING_DOWN', 'nobody reads this input any more')
      return await newest(signal)
    }
    const remote = new RemoteFile({ name, url, sizeBytes, patience, idleMs, refresh, tls, ...(onBytes && { onBytes }) })
    return { file: new SourceFile(key, remote, this.#cache), users }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token = '', name = ''] = (request.url ?? '').split('/')
    const mounted = this.#mounts.get(token)?.get(decodeURIComponent(name))
    if (!mounted) response.writeHead(404, { 'content-length': 0 }).end()
    else await answerWithFile(mounted, request, response)
  }
}
