import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { ClientCertificate } from '#auth/client-certificate.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { systemTimers } from '#lib/timers.ts'
import { TlsFileWatch, type TlsFiles } from '#lib/tls-files.ts'

const handshakeMs = 10_000

export type SecurePortOptions = {
  /** Speaks HTTP on all connections: that of the plain port. */
  readonly http: HttpServer
  readonly host: string
  /** 0 takes any free port; `port` says which. */
  readonly port: number
  /** With `authorityFile`, clients are asked for a certificate; they need not have one. */
  readonly files: TlsFiles
  /** Takes in what each client showed. */
  readonly onCertificate: (socket: Socket, certificate: ClientCertificate) => void
  readonly log: Logger
}

/**
 * HTTPS besides the plain port. TLS ends here, and the connections are handed to the HTTP server: routes, WebSockets, limits and the orderly stop are the same
 * for both. Certificates are taken on anew within a minute after their files have changed; connections that are open stay.
 */
export class SecurePort implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #watch: TlsFileWatch
  /** Those that shake hands, by the address of the client: the HTTP server does not know them yet. */
  readonly #greeting: ReadonlyMap<string, Socket>

  private constructor(server: Server, watch: TlsFileWatch, greeting: ReadonlyMap<string, Socket>) {
    this.#server = server
    this.#watch = watch
    this.#greeting = greeting
    const address = server.address()
    if (address === null || typeof address === 'string') throw new AppError('INTERNAL', 'the HTTPS server has no port')
    this.port = address.port
  }

  /** Throws `LISTEN_FAILED`, or `CONFIG_INVALID` for files that cannot be used. */
  static async listen({ http, host, port, files, onCertificate, log }: SecurePortOptions): Promise<SecurePort> {
    const hasAuthority = files.authorityFile !== undefined
    const server = createServer({
      handshakeTimeout: handshakeMs,
      noDelay: true,
      ALPNProtocols: ['http/1.1'],
      requestCert: hasAuthority,
      // Whoever comes without a certificate, or with a wrong one, is told in an answer; or has a password.
      rejectUnauthorized: false,
    })
    const greeting = new Map<string, Socket>()
    server.on('connection', (socket) => {
      const peer = peerOf(socket)
      greeting.set(peer, socket)
      socket.once('close', () => greeting.delete(peer))
    })
    server.on('secureConnection', (socket) => {
      greeting.delete(peerOf(socket))
      const certificate = hasAuthority ? certificateOf(socket) : undefined
      if (certificate) onCertificate(socket, certificate)
      http.emit('connection', socket)
    })
    server.on('tlsClientError', (error, { remoteAddress }) => {
      log.debug({ remoteAddress, reason: error.message }, 'TLS handshake failed')
    })
    const use = (contents: object): void => server.setSecureContext({ ...contents, minVersion: 'TLSv1.2' })
    using opened = new DisposableStack()
    const watch = opened.use(await watchFiles({ files, use, owner: 'HTTPS server', timers: systemTimers, log }))
    try {
      server.listen({ host, port })
      await once(server, 'listening')
    } catch (cause) {
      const message = `cannot serve HTTPS on ${host}:${port}; end the program that has it, or set api.tlsPort`
      throw new AppError('LISTEN_FAILED', message, { cause })
    }
    opened.move()
    const secure = new SecurePort(server, watch, greeting)
    log.info({ host, port: secure.port, asksForCertificates: hasAuthority }, 'HTTPS server listens')
    return secure
  }

  /** Looks at once whether the files have changed. */
  async renew(): Promise<void> {
    await this.#watch.renew()
  }

  /** Takes no new connections, and resolves when the HTTP server has ended those that it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]()
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#greeting.values()) socket.destroy()
    await closed
  }
}

async function watchFiles(options: Parameters<typeof TlsFileWatch.open>[0]): Promise<TlsFileWatch> {
  try {
    return await TlsFileWatch.open(options)
  } catch (cause) {
    const { certificateFile, keyFile, authorityFile } = options.files
    const reason = cause instanceof Error ? cause.message : String(cause)
    const authority = authorityFile === undefined ? '' : ` and the authority ${authorityFile}`
    const message = `the HTTPS server cannot use the certificate ${certificateFile} with the key ${keyFile}${authority}: ${reason}`
    throw new AppError('CONFIG_INVALID', message, { cause })
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

/** Undefined: the client has shown none. */
function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) return undefined
  if (!socket.authorized) return { kind: 'refused', reason: String(socket.authorizationError) }
  const { CN: commonName } = certificate.toLegacyObject().subject
  if (typeof commonName !== 'string') return { kind: 'refused', reason: 'it has no common name, or several' }
  return { kind: 'trusted', commonName, expiresAtMs: certificate.validToDate.getTime() }
}
