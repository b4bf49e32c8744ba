import { readFile, stat } from 'node:fs/promises'
import type { Logger } from './log.ts'
import type { Timers } from './timers.ts'

const checkMs = 60_000

/** PEM files: a certificate chain with its key, and authorities whose certificates are taken. */
export type TlsFiles = { readonly certificateFile?: string; readonly keyFile?: string; readonly authorityFile?: string }

/** What is in them, as `node:tls` takes it. */
export type TlsContents = { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer }

type Options = {
  readonly files: TlsFiles
  /** Takes them on; throws for what cannot be used. Called once by `open`, and after each change. */
  readonly use: (contents: TlsContents) => void
  /** Who has them, for the log: `kafka server`. */
  readonly owner: string
  readonly timers: Timers
  readonly log: Logger
}

/** Certificates that are taken on anew within a minute after their files have changed. */
export class TlsFileWatch implements Disposable {
  readonly #options: Options
  #version: string
  #timer: Disposable

  private constructor(options: Options, version: string) {
    this.#options = options
    this.#version = version
    this.#timer = this.#schedule()
  }

  /** Reads them for the first time; throws what reading or `use` throws. */
  static async open(options: Options): Promise<TlsFileWatch> {
    const version = await versionOf(options.files)
    options.use(await load(options.files))
    return new TlsFileWatch(options, version)
  }

  /** Takes the files on if they have changed; what cannot be used is logged and left. */
  async renew(): Promise<void> {
    const { files, use, owner, log } = this.#options
    try {
      const version = await versionOf(files)
      if (version === this.#version) return
      this.#version = version
      use(await load(files))
      log.info({ ...files }, `${owner} has taken on a new certificate`)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log.error({ ...files, reason }, `${owner} keeps its old certificate: the new one cannot be used`)
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
  }

  #schedule(): Disposable {
    return this.#options.timers.after(checkMs, () => {
      this.#timer = this.#schedule()
      void this.renew()
    })
  }
}

async function load({ certificateFile, keyFile, authorityFile }: TlsFiles): Promise<TlsContents> {
  const [cert, key, ca] = await Promise.all([certificateFile, keyFile, authorityFile].map(read))
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) }
}

async function read(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? undefined : await readFile(file)
}

/** Another one when a file was changed. */
async function versionOf({ certificateFile, keyFile, authorityFile }: TlsFiles): Promise<string> {
  const paths = [certificateFile, keyFile, authorityFile].filter((path) => path !== undefined)
  const found = await Promise.all(paths.map((path) => stat(path)))
  return found.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(', ')
}
