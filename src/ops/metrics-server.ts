import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AppError, errorTable, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { http } from '#lib/node-http.ts'

export type MetricsServerDeps = {
  readonly host: string
  /** 0 takes any free port; `address` says which. */
  readonly port: number
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** What `/health` tells: `isOk` makes it 200 or 503. */
  readonly health: () => Promise<{ readonly isOk: boolean; readonly body: unknown }>
  readonly log: Logger
}

/** `/metrics` for Prometheus and `/health`, on a port of their own: away from users, and alive when the API is overloaded. */
export class MetricsServer implements AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    const address = server.address()
    if (address === null || typeof address === 'string') throw new AppError('INTERNAL', 'the metrics server has no port')
    this.address = { host: address.address, port: address.port }
  }

  /** Throws `LISTEN_FAILED`. */
  static async start(deps: MetricsServerDeps): Promise<MetricsServer> {
    const { host, port, log } = deps
    const server = http.createServer({ requestTimeout: 10_000, keepAliveTimeout: 75_000 }, (request, response) => {
      void answer(deps, request, response)
    })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host, port }, resolve)
    try {
      await promise
    } catch (error) {
      throw new AppError(
        'LISTEN_FAILED',
        `cannot serve metrics on ${host}:${port}; end the program that has it, or set metrics.port`,
        {
          cause: error,
        },
      )
    }
    server.off('error', reject)
    server.on('error', (error) => {
      log.error({ err: error }, 'metrics server failed')
    })
    const started = new MetricsServer(server)
    log.info(started.address, 'metrics server listens')
    return started
  }

  /** Ends all connections: scrapes are short, and the next one comes anyway. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => {
      resolve()
    })
    this.#server.closeAllConnections()
    await promise
  }
}

async function answer(deps: MetricsServerDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?', 1)[0]
  try {
    if (path === '/metrics') send(response, { type: deps.metrics.contentType, body: await deps.metrics.text() })
    else if (path === '/health') await sendHealth(deps, response)
    else throw new AppError('ROUTE_NOT_FOUND', `there is no ${request.method} ${path}; ask for /metrics or /health`)
  } catch (error) {
    const { code, message, httpStatus: status } = toAppError(error)
    if (code === 'INTERNAL') deps.log.error({ err: error, path }, 'scrape failed')
    const body = { code, message: code === 'INTERNAL' ? errorTable.INTERNAL.meaning : message }
    send(response, { status, type: json, body: JSON.stringify(body) })
  }
}

async function sendHealth({ health }: MetricsServerDeps, response: ServerResponse): Promise<void> {
  const { isOk, body } = await health()
  send(response, { status: isOk ? 200 : 503, type: json, body: JSON.stringify(body) })
}

const json = 'application/json; charset=utf-8'

function send(response: ServerResponse, { status = 200, type, body }: { status?: number; type: string; body: string }): void {
  response
    .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' })
    .end(body)
}
