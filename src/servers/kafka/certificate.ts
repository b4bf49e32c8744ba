import { createServer, type Server } from 'node:tls'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'
import { TlsFileWatch } from '#lib/tls-files.ts'

const handshakeMs = 10_000

/** PEM files. */
export type CertificateFiles = { readonly certificateFile: string; readonly keyFile: string }

/** A TLS server that takes on a renewed certificate within a minute; connections that are open stay. */
export class SecureServer implements Disposable {
  readonly server: Server
  readonly #watch: TlsFileWatch

  private constructor(server: Server, watch: TlsFileWatch) {
    this.server = server
    this.#watch = watch
  }

  /** Throws `CONFIG_INVALID` for files that cannot be used. It does not listen yet. */
  static async create(files: CertificateFiles, deps: { timers: Timers; log: Logger }): Promise<SecureServer> {
    try {
      const server = createServer({ handshakeTimeout: handshakeMs })
      const use = (contents: object): void => server.setSecureContext({ ...contents, minVersion: 'TLSv1.2' })
      return new SecureServer(server, await TlsFileWatch.open({ files, use, owner: 'kafka server', ...deps }))
    } catch (error) {
      const { certificateFile, keyFile } = files
      const reason = error instanceof Error ? error.message : String(error)
      const message = `the Kafka server cannot use the certificate ${certificateFile} with the key ${keyFile}: ${reason}`
      throw new AppError('CONFIG_INVALID', message, { cause: error })
    }
  }

  /** Takes the files on if they have changed. */
  async renew(): Promise<void> {
    await this.#watch.renew()
  }

  /** Looks at the files no more; the server is closed by whoever opened it. */
  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }
}
