import helmet from '@fastify/helmet'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { ClientCertificate } from '#auth/client-certificate.ts'
import { AppError } from '#lib/errors.ts'
import type { App } from './app.ts'
import { limitWrongCredentials, type RequestLimitDeps } from './request-limits.ts'

/**
 * The web application plays HLS with Media Source Extensions: hls.js makes `blob:` media and a `blob:` worker. Neither
 * `upgrade-insecure-requests` nor HSTS: whether there is TLS is for the proxy in front to say, and LAN addresses have none.
 */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:', 'blob:'],
    fontSrc: ["'self'", 'data:'],
    mediaSrc: ["'self'", 'blob:'],
    workerSrc: ["'self'", 'blob:'],
    connectSrc: ["'self'"],
    objectSrc: ["'none'"],
    baseUri: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'self'"],
  },
}

/** Headers that scripts of other origins may read from our answers. */
const exposedHeaders = [
  'Content-Range',
  'Content-Length',
  'ETag',
  'Content-Disposition',
  'Retry-After',
  'Millrace-Next-Offset',
  'Millrace-High-Watermark',
  'Millrace-Log-Start-Offset',
]

/** Decides who may do what. */
interface AccessControl {
  /** Gives back the user, if one is known. Throws `UNAUTHORIZED` or `FORBIDDEN`. `authorization` is the header of that name, `certificate` what the client showed over TLS, `url` is the path with its query. */
  check(request: {
    authorization?: string
    certificate?: ClientCertificate
    method: string
    path: string
    url: string
    remoteAddress: string
    isPage: boolean
    isForAdmins: boolean
  }): Promise<string | undefined> | string | undefined
}

export type SecurityDeps = RequestLimitDeps & {
  /** Origins whose pages may use the API: `https://example.org`; `*` is all. Pages that this server sent always may. */
  readonly allowedOrigins?: readonly string[]
  /** Absent: whoever reaches the server may do everything. */
  readonly access?: AccessControl
}

/** Certificates of clients by their connections. */
export type ClientCertificates = WeakMap<Socket, ClientCertificate>

/**
 * Security headers, and what pages of other origins may do: read only when listed in `allowedOrigins` (`*` is all), and change or follow
 * events likewise. A browser sends `Origin` with those, so a stranger's page cannot stop the streams of whoever visits it.
 */
export async function registerSecurity(
  app: App,
  { allowedOrigins = [], access, ...limits }: SecurityDeps,
  certificates: ClientCertificates,
): Promise<void> {
  await app.register(helmet, { contentSecurityPolicy, strictTransportSecurity: false, crossOriginOpenerPolicy: false })
  const isAnyAllowed = allowedOrigins.includes('*')
  if (allowedOrigins.length > 0) {
    const { default: cors } = await import('@fastify/cors')
    await app.register(cors, {
      origin: isAnyAllowed ? '*' : [...allowedOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders,
      maxAge: 600,
      strictPreflight: false,
    })
  }
  app.addHook('onRequest', async (request) => {
    const { origin } = request.headers
    if (origin === undefined || isAnyAllowed || !isChangeOrSocket(request)) return
    if (allowedOrigins.includes(origin) || isSameHost(origin, request.host)) return
    throw new AppError('FORBIDDEN', `pages of ${origin} may not do this; add it to api.allowedOrigins if they should`)
  })
  app.decorateRequest('user', undefined)
  if (access) registerAccess(app, { access, certificates, limits })
}

type AccessDeps = {
  readonly access: AccessControl
  readonly certificates: ClientCertificates
  readonly limits: RequestLimitDeps
}

function registerAccess(app: App, { access, certificates, limits }: AccessDeps): void {
  app.addHook('onRequest', async (request, reply) => {
    const { isOpen, isForAdmins = false } = request.routeOptions.config
    if (isOpen) return
    const { authorization } = request.headers
    const certificate = certificates.get(request.raw.socket)
    try {
      request.user = await access.check({
        ...(authorization === undefined ? {} : { authorization }),
        ...(certificate === undefined ? {} : { certificate }),
        method: request.method,
        path: request.url.split('?', 1)[0] ?? '/',
        url: request.url,
        remoteAddress: request.ip,
        isPage: request.headers.origin !== undefined,
        isForAdmins,
      })
    } catch (error) {
      if (error instanceof AppError && error.code === 'UNAUTHORIZED') limitWrongCredentials(request, reply, limits)
      throw error
    }
  })
}

function isChangeOrSocket({ method, headers }: FastifyRequest): boolean {
  return !['GET', 'HEAD', 'OPTIONS'].includes(method) || headers.upgrade !== undefined
}

function isSameHost(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host
}
