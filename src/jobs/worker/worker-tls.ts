import { Agent } from 'node:https'
import { createSecureContext, getCACertificates } from 'node:tls'
import { AppError } from '#lib/errors.ts'
import { openFetchDispatcher, type FetchDispatcher } from '#lib/fetch-dispatcher.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import { TlsFileWatch, type TlsContents, type TlsFiles } from '#lib/tls-files.ts'

/** How a worker makes its connections over TLS. */
export interface TlsConnections {
  /** To the API: it must have a certificate of the own authority, and is shown that of the worker. */
  readonly agent: Agent
  /** To whatever has files, by `fetch`: the own authority is trusted besides the public ones. Absent: there is no own one. */
  readonly dispatcher?: FetchDispatcher | undefined
}

/** The same from files; they are taken on anew within a minute after they have changed. */
export class WorkerTls implements TlsConnections, Disposable {
  #made: TlsConnections = connectionsOf({})
  #watch: Disposable | undefined

  private constructor() {}

  /** Throws `CONFIG_INVALID` for files that cannot be used. */
  static async open(files: TlsFiles, deps: { timers: Timers; log: Logger }): Promise<WorkerTls> {
    const tls = new WorkerTls()
    try {
      tls.#watch = await TlsFileWatch.open({ files, use: (contents) => tls.#use(contents), owner: 'worker', ...deps })
      return tls
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const message = `the files of worker.authority, worker.certificate and worker.key cannot be used: ${reason}`
      throw new AppError('CONFIG_INVALID', message, { cause })
    }
  }

  get agent(): Agent {
    return this.#made.agent
  }
  get dispatcher(): FetchDispatcher | undefined {
    return this.#made.dispatcher
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]()
    end(this.#made)
  }

  #use(contents: TlsContents): void {
    const before = this.#made
    this.#made = connectionsOf(contents)
    end(before)
  }
}

/** Contexts are made once: reading the public authorities for each connection takes 25 ms. */
function connectionsOf({ ca, cert, key }: TlsContents): TlsConnections {
  const own = createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
  const agent = new Agent({ keepAlive: true, scheduling: 'lifo', secureContext: own })
  if (!ca) return { agent }
  const secureContext = createSecureContext({ ca: [...getCACertificates('default'), ca.toString()] })
  return { agent, dispatcher: openFetchDispatcher({ secureContext }) }
}

/** Requests under way end by themselves. */
function end({ agent, dispatcher }: TlsConnections): void {
  for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy()
  void dispatcher?.close()
}
