import { readFile, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:tls'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { Timers } from '#lib/timers.ts'

const handshakeMs = 10_000
const checkMs = 60_000

/** PEM files. */
export type CertificateFiles = { readonly certificateFile: string; readonly keyFile: string }

/** A TLS server that takes on a renewed certificate within a minute; connections that are open stay. */
export class SecureServer implements Disposable {
  readonly server: Server
  readonly #files: CertificateFiles
  readonly #log: Logger
  readonly #timers: Timers
  #version: string
  #timer: Disposable

  private constructor(given: { server: Server; files: CertificateFiles; version: string; timers: Timers; log: Logger }) {
    this.server = given.server
    this.#files = given.files
    this.#version = given.version
    this.#timers = given.timers
    this.#log = given.log
    this.#timer = this.#schedule()
  }

  /** Throws `CONFIG_INVALID` for files that cannot be used. It does not listen yet. */
  static async create(files: CertificateFiles, deps: { timers: Timers; log: Logger }): Promise<SecureServer> {
    try {
      const version = await versionOf(files)
      const server = createServer({ ...(await load(files)), handshakeTimeout: handshakeMs, minVersion: 'TLSv1.2' })
      return new SecureServer({ server, files, version, ...deps })
    } catch (error) {
      const { certificateFile, keyFile } = files
      const message = `the Kafka server cannot use the certificate ${certificateFile} with the key ${keyFile}: ${reasonOf(error)}`
      throw new AppError('CONFIG_INVALID', message, { cause: error })
    }
  }

  /** Takes the files on if they have changed; what cannot be used is logged and left. */
  async renew(): Promise<void> {
    try {
      const version = await versionOf(this.#files)
      if (version === this.#version) return
      this.#version = version
      this.server.setSecureContext(await load(this.#files))
      this.#log.info({ ...this.#files }, 'kafka server has taken on a new certificate')
    } catch (error) {
      this.#log.error(
        { ...this.#files, reason: reasonOf(error) },
        'kafka server keeps its old certificate: the new one cannot be used',
      )
    }
  }

  /** Looks at the files no more; the server is closed by whoever opened it. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
  }

  #schedule(): Disposable {
    return this.#timers.after(checkMs, () => {
      this.#timer = this.#schedule()
      void this.renew()
    })
  }
}

async function load({ certificateFile, keyFile }: CertificateFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)])
  return { cert, key }
}

/** Another one when a file was changed. */
async function versionOf({ certificateFile, keyFile }: CertificateFiles): Promise<string> {
  const found = await Promise.all([stat(certificateFile), stat(keyFile)])
  return found.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(', ')
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
