import { gzipSync } from 'node:zlib'

/** A playlist as it goes over the wire, rendered once and shared by all who asked for it. */
export class RenderedPlaylist {
  readonly bytes: Buffer
  #gzip: Buffer | undefined

  constructor(text: string) {
    this.bytes = Buffer.from(text)
  }

  /** The bytes compressed by gzip, once, when the first player wants them so. */
  get gzip(): Buffer {
    this.#gzip ??= gzipSync(this.bytes, { level: 4 })
    return this.#gzip
  }
}
