import { AppError } from '#lib/errors.ts'
import type { ByteRange } from './vod-playlist.ts'

export type ParsedPart = { uri: string; durationSeconds: number; isIndependent: boolean }

export type ParsedSegment = {
  uri: string
  durationSeconds: number
  map?: { uri: string; byteRange?: ByteRange }
  byteRange?: ByteRange
  programDateTimeMs?: number
  isDiscontinuity: boolean
  isGap: boolean
  parts: ParsedPart[]
}

export type ParsedMediaPlaylist = {
  version: number
  targetDurationSeconds: number
  mediaSequence: number
  discontinuitySequence: number
  skippedSegments: number
  isEnded: boolean
  canBlockReload: boolean
  partHoldBackSeconds?: number
  canSkipUntilSeconds?: number
  partTargetSeconds?: number
  segments: ParsedSegment[]
  /** Parts of the segment in the making. */
  openParts: ParsedPart[]
  preloadHintUri?: string
}

/** No playlist of ours comes near. */
const maxLines = 200_000

/**
 * Parses a media playlist, RFC 8216bis §4.4, as far as Millrace writes them; other tags are ignored, as players must. Throws `MALFORMED`
 * for lines that do not follow the format and for missing required tags, `LIMIT_EXCEEDED` for more than 200,000 lines.
 */
export function parseMediaPlaylist(text: string): ParsedMediaPlaylist {
  const lines = text.split(/\r?\n/)
  if (lines[0] !== '#EXTM3U') throw new AppError('MALFORMED', 'playlist does not start with #EXTM3U')
  if (lines.length > maxLines)
    throw new AppError('LIMIT_EXCEEDED', `playlist of ${lines.length} lines, at most ${maxLines} are read`)
  const state = new PlaylistBuilder()
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === '') continue
    try {
      state.add(line)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      throw new AppError(error.code, `line ${index + 1}: ${error.message}`, { cause: error })
    }
  }
  return state.finish()
}

type Attributes = ReadonlyMap<string, string>

class PlaylistBuilder {
  readonly #playlist: ParsedMediaPlaylist = {
    version: 1,
    targetDurationSeconds: 0,
    mediaSequence: 0,
    discontinuitySequence: 0,
    skippedSegments: 0,
    isEnded: false,
    canBlockReload: false,
    segments: [],
    openParts: [],
  }
  #next: Partial<ParsedSegment> & { parts: ParsedPart[] } = { parts: [] }
  #map: ParsedSegment['map']

  readonly #tags: Readonly<Record<string, (value: string) => void>> = {
    'EXT-X-VERSION': (value) => (this.#playlist.version = parseInteger(value)),
    'EXT-X-TARGETDURATION': (value) => (this.#playlist.targetDurationSeconds = parseInteger(value)),
    'EXT-X-MEDIA-SEQUENCE': (value) => (this.#playlist.mediaSequence = parseInteger(value)),
    'EXT-X-DISCONTINUITY-SEQUENCE': (value) => (this.#playlist.discontinuitySequence = parseInteger(value)),
    'EXT-X-ENDLIST': () => (this.#playlist.isEnded = true),
    'EXT-X-SERVER-CONTROL': (value) => this.#addServerControl(parseAttributes(value)),
    'EXT-X-PART-INF': (value) =>
      (this.#playlist.partTargetSeconds = parseDecimal(required(parseAttributes(value), 'PART-TARGET'))),
    'EXT-X-SKIP': (value) =>
      (this.#playlist.skippedSegments = parseInteger(required(parseAttributes(value), 'SKIPPED-SEGMENTS'))),
    'EXT-X-PRELOAD-HINT': (value) => (this.#playlist.preloadHintUri = required(parseAttributes(value), 'URI')),
    'EXT-X-MAP': (value) => (this.#map = parseMap(parseAttributes(value))),
    'EXT-X-PART': (value) => this.#next.parts.push(parsePart(parseAttributes(value))),
    'EXT-X-DISCONTINUITY': () => (this.#next.isDiscontinuity = true),
    'EXT-X-GAP': () => (this.#next.isGap = true),
    'EXT-X-BYTERANGE': (value) => (this.#next.byteRange = parseByteRange(value)),
    'EXT-X-PROGRAM-DATE-TIME': (value) => (this.#next.programDateTimeMs = parseDate(value)),
    EXTINF: (value) => (this.#next.durationSeconds = parseDecimal(value.split(',')[0] ?? '')),
  }

  add(line: string): void {
    if (!line.startsWith('#')) return this.#addSegment(line)
    const [, name = '', value = ''] = /^#([A-Z0-9-]+)(?::(.*))?$/.exec(line) ?? []
    if (Object.hasOwn(this.#tags, name)) this.#tags[name]?.(value)
  }

  finish(): ParsedMediaPlaylist {
    if (this.#playlist.targetDurationSeconds === 0) throw new AppError('MALFORMED', 'playlist has no EXT-X-TARGETDURATION')
    this.#playlist.openParts = this.#next.parts
    return this.#playlist
  }

  #addSegment(uri: string): void {
    const { durationSeconds, isDiscontinuity = false, isGap = false, parts, ...rest } = this.#next
    if (durationSeconds === undefined) throw new AppError('MALFORMED', 'a segment without EXTINF')
    const map = this.#map ? { map: this.#map } : {}
    this.#playlist.segments.push({ uri, durationSeconds, isDiscontinuity, isGap, parts, ...map, ...rest })
    this.#next = { parts: [] }
  }

  #addServerControl(attributes: Attributes): void {
    const holdBack = attributes.get('PART-HOLD-BACK')
    const skipUntil = attributes.get('CAN-SKIP-UNTIL')
    this.#playlist.canBlockReload = attributes.get('CAN-BLOCK-RELOAD') === 'YES'
    if (holdBack !== undefined) this.#playlist.partHoldBackSeconds = parseDecimal(holdBack)
    if (skipUntil !== undefined) this.#playlist.canSkipUntilSeconds = parseDecimal(skipUntil)
  }
}

/** An attribute list, RFC 8216bis §4.2; quotes are taken off. */
function parseAttributes(text: string): Attributes {
  const attributes = new Map<string, string>()
  const pattern = /([A-Z0-9-]+)=(?:"([^"\r\n]*)"|([^",\s]+))(?:,|$)/y
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const [, name, quoted, bare] = pattern.exec(text) ?? []
    if (name === undefined) throw new AppError('MALFORMED', `no attribute at "${text.slice(at, at + 20)}"`)
    attributes.set(name, quoted ?? bare ?? '')
  }
  return attributes
}

function required(attributes: Attributes, name: string): string {
  const value = attributes.get(name)
  if (value === undefined) throw new AppError('MALFORMED', `attribute ${name} is missing`)
  return value
}

function parsePart(attributes: Attributes): ParsedPart {
  return {
    uri: required(attributes, 'URI'),
    durationSeconds: parseDecimal(required(attributes, 'DURATION')),
    isIndependent: attributes.get('INDEPENDENT') === 'YES',
  }
}

function parseMap(attributes: Attributes): { uri: string; byteRange?: ByteRange } {
  const byteRange = attributes.get('BYTERANGE')
  return { uri: required(attributes, 'URI'), ...(byteRange ? { byteRange: parseByteRange(byteRange) } : {}) }
}

/** `length@offset`: we always write the offset. */
function parseByteRange(text: string): ByteRange {
  const [length = '', offset = ''] = text.split('@')
  return { offset: parseInteger(offset), length: parseInteger(length) }
}

function parseInteger(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new AppError('MALFORMED', `"${text.slice(0, 20)}" is no whole number`)
  return Number(text)
}

function parseDecimal(text: string): number {
  if (!/^\d{1,15}(\.\d{1,15})?$/.test(text)) throw new AppError('MALFORMED', `"${text.slice(0, 20)}" is no decimal number`)
  return Number(text)
}

function parseDate(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new AppError('MALFORMED', `"${text.slice(0, 40)}" is no date`)
  return ms
}
