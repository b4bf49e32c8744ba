import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AppError, errorTable, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { http } from '#lib/node-http.ts'
import type { WorkerStatus } from './worker.ts'

export type WorkerServerDeps = {
  readonly host: string
  /** 0 takes any free port; `address` says which. */
  readonly port: number
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly status: () => WorkerStatus
  /** Answers what is about profiles of the process; false: this is not. */
  readonly answerProfile?: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>
  readonly log: Logger
}

/**
 * What a worker that runs by itself tells of itself: `/metrics` for Prometheus, `/health` (it lives: always 200 until it ends) and `/ready` (it takes work: 503
 * with the reason when it does not); and profiles, if it is given somebody who takes them.
 */
export class WorkerServer implements AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    const address = server.address()
    if (address === null || typeof address === 'string') throw new AppError('INTERNAL', 'the server of a worker has no port')
    this.address = { host: address.address, port: address.port }
  }

  /** Throws `LISTEN_FAILED`. */
  static async start(deps: WorkerServerDeps): Promise<WorkerServer> {
    const { host, port, log } = deps
    const server = http.createServer({ requestTimeout: 10_000 }, (request, response) => void answer(deps, request, response))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host, port }, resolve)
    try {
      await promise
    } catch (cause) {
      const message = `cannot serve the metrics of a worker on ${host}:${port}; end the program that has it, or set worker.metricsPort`
      throw new AppError('LISTEN_FAILED', message, { cause })
    }
    server.off('error', reject)
    server.on('error', (error) => log.error({ err: error }, 'server of the worker failed'))
    const started = new WorkerServer(server)
    log.info(started.address, 'worker tells of itself')
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}

type Answer = { readonly status: number; readonly type: string; readonly body: string }

async function answer(deps: WorkerServerDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    if (!(await deps.answerProfile?.(request, response))) send(response, await answerTo(deps, request))
  } catch (error) {
    const { code, message, httpStatus } = toAppError(error)
    if (code === 'INTERNAL') deps.log.error({ err: error, path: request.url }, 'scrape of a worker failed')
    send(response, json(httpStatus, { code, message: code === 'INTERNAL' ? errorTable.INTERNAL.meaning : message }))
  }
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response
    .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' })
    .end(body)
}

async function answerTo({ metrics, status }: WorkerServerDeps, { url, method }: IncomingMessage): Promise<Answer> {
  switch ((url ?? '').split('?', 1).join('')) {
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await metrics.text() }
    case '/health': {
      const { state } = status()
      return json(state === 'ended' ? 503 : 200, { status: state === 'ended' ? 'ended' : 'ok', worker: status() })
    }
    case '/ready': {
      const reason = whyNotReady(status())
      return json(reason === undefined ? 200 : 503, reason === undefined ? { status: 'ok' } : { status: 'waiting', reason })
    }
    default:
      throw new AppError(
        'ROUTE_NOT_FOUND',
        `there is no ${method} ${url}; ask for /metrics, /health, /ready or POST /api/v1/profiles/cpu`,
      )
  }
}

function whyNotReady({ state, obstacle }: WorkerStatus): string | undefined {
  if (state === 'working') return obstacle
  const reasons = {
    starting: 'it is not registered with the API yet',
    lost: 'the API does not answer',
    draining: 'it is about to stop and takes no work',
    ended: 'it has ended',
  }
  return reasons[state]
}

function json(status: number, body: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: JSON.stringify(body) }
}
