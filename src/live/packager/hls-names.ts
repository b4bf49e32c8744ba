/** The playlists of a window: the multivariant one, and the media playlists for players with and without low latency. */
export const playlistFiles = { multivariant: 'index.m3u8', live: 'live.m3u8', plain: 'plain.m3u8' } as const

/** A media file of an HLS window, by its media sequence number. */
export type HlsName =
  | { readonly kind: 'init'; readonly id: number }
  | { readonly kind: 'segment'; readonly msn: number }
  | { readonly kind: 'part'; readonly msn: number; readonly index: number }

/**
 * File names within one window. Each window has its own prefix: what a cache keeps of an earlier one never answers for this one.
 */
export class HlsNames {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  init(id: number): string {
    return `${this.#prefix}-init-${id}.mp4`
  }
  segment(msn: number): string {
    return `${this.#prefix}-seg-${msn}.m4s`
  }
  part(msn: number, index: number): string {
    return `${this.#prefix}-part-${msn}.${index}.mp4`
  }
  /** Stands where there is no segment. */
  gap(): string {
    return `${this.#prefix}-gap.m4s`
  }

  /** What a file name means, `undefined` for those of other windows. */
  parse(file: string): HlsName | undefined {
    if (!file.startsWith(`${this.#prefix}-`)) return undefined
    const match = /^(?:init-(\d{1,9})\.mp4|seg-(\d{1,9})\.m4s|part-(\d{1,9})\.(\d{1,6})\.mp4)$/.exec(
      file.slice(this.#prefix.length + 1),
    )
    const [, init, segment, msn, index] = match ?? []
    if (init !== undefined) return { kind: 'init', id: Number(init) }
    if (segment !== undefined) return { kind: 'segment', msn: Number(segment) }
    if (msn !== undefined && index !== undefined) return { kind: 'part', msn: Number(msn), index: Number(index) }
    return undefined
  }
}
