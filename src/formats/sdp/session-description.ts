import { AppError } from '#lib/errors.ts'

/** What one payload type of a media means: its `rtpmap` and `fmtp`, RFC 8866 §6.6 and §6.15. */
export type PayloadFormat = {
  readonly payloadType: number
  /** Encoding name in lower case; empty when nothing names it. */
  readonly encoding: string
  /** Undefined when nothing says it. */
  readonly clockRateHz: number | undefined
  readonly channelCount: number
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

export type MediaDescription = {
  /** `video`, `audio`, `application`, … as written. */
  readonly kind: string
  readonly protocol: string
  readonly control: string | undefined
  /** In the order of preference of the `m=` line. */
  readonly formats: readonly PayloadFormat[]
}

export type SessionDescription = {
  readonly name: string
  readonly control: string | undefined
  readonly medias: readonly MediaDescription[]
}

/** What a description may have; beyond it is `LIMIT_EXCEEDED`. */
export const sdpLimits = { bytes: 65_536, lines: 1000, medias: 32, formatsPerMedia: 32, parametersPerFormat: 64 } as const

/** What was gathered under one `m=` line, or above the first. `rtpmap` and `fmtp` by payload type; the first one of a kind counts. */
type RawMedia = {
  readonly kind: string
  readonly protocol: string
  readonly payloadTypes: readonly number[]
  control: string | undefined
  readonly rtpmap: Map<number, string>
  readonly fmtp: Map<number, string>
}

/**
 * Reads a session description, RFC 8866, as cameras write it: any line ending or none at the end, fields in any order, doubled or
 * unreadable `o=`, `s=`, `c=` and `t=` lines, and an `rtpmap` or `fmtp` that stands under another media than the one that lists its
 * payload type. Throws `MALFORMED` when there is no media that can be read, `LIMIT_EXCEEDED` above `sdpLimits`.
 */
export function parseSdp(text: string): SessionDescription {
  checkLimit('bytes', text.length)
  const lines = text.split(/\r\n|\n|\r/)
  checkLimit('lines', lines.length)
  const session = emptyMedia('session', '', [])
  const medias: RawMedia[] = []
  let name = ''
  for (const line of lines) {
    const field = line.trim()
    const type = /^([a-z])\s*=/.exec(field)
    const value = field.slice(type?.[0].length ?? 0).trim()
    if (type?.[1] === 's' && name === '') name = value
    else if (type?.[1] === 'm') medias.push(parseMediaLine(value))
    else if (type?.[1] === 'a') addAttribute(medias.at(-1) ?? session, value)
    checkLimit('medias', medias.length)
  }
  if (medias.length === 0)
    throw new AppError('MALFORMED', 'the session description has no m= line; it must describe at least one media')
  return { name, control: session.control, medias: medias.map((media) => describeMedia(media, [session, ...medias])) }
}

/** `m=video 0 RTP/AVP 96 97`; a payload type that is no number (`m=application 9 UDP/DTLS/SCTP webrtc-datachannel`) is left out. */
function parseMediaLine(value: string): RawMedia {
  const [kind, port, protocol, ...formats] = value.split(/\s+/)
  if (!kind || port === undefined || protocol === undefined) {
    throw new AppError('MALFORMED', `"m=${value.slice(0, 80)}" is no media line; it needs kind, port, protocol and formats`)
  }
  checkLimit('formatsPerMedia', formats.length)
  const payloadTypes = formats.filter((format) => /^\d{1,3}$/.test(format) && Number(format) < 128).map(Number)
  return emptyMedia(kind.toLowerCase(), protocol, [...new Set(payloadTypes)])
}

function emptyMedia(kind: string, protocol: string, payloadTypes: readonly number[]): RawMedia {
  return { kind, protocol, payloadTypes, control: undefined, rtpmap: new Map(), fmtp: new Map() }
}

function addAttribute(media: RawMedia, text: string): void {
  const at = text.indexOf(':')
  if (at < 0) return
  const name = text.slice(0, at).trim().toLowerCase()
  const value = text.slice(at + 1).trim()
  if (name === 'control' && value !== '') media.control ??= value
  if (name !== 'rtpmap' && name !== 'fmtp') return
  const match = /^(\d{1,3})\s+(.*)$/.exec(value)
  const payloadType = Number(match?.[1])
  if (match && !media[name].has(payloadType)) media[name].set(payloadType, match[2] ?? '')
}

function describeMedia(media: RawMedia, all: readonly RawMedia[]): MediaDescription {
  const formats = media.payloadTypes.map((payloadType) => describeFormat(payloadType, media, all))
  return { kind: media.kind, protocol: media.protocol, control: media.control, formats }
}

function describeFormat(payloadType: number, media: RawMedia, all: readonly RawMedia[]): PayloadFormat {
  const rtpmap = findForPayload('rtpmap', payloadType, media, all)
  const map = /^([^/\s]+)(?:\/(\d{1,9}))?(?:\/(\d{1,3}))?/.exec(rtpmap ?? '')
  const clockRateHz = Number(map?.[2] ?? 0)
  return {
    payloadType,
    encoding: (map?.[1] ?? '').toLowerCase(),
    clockRateHz: clockRateHz === 0 ? undefined : clockRateHz,
    channelCount: Math.max(1, Number(map?.[3] ?? 1)),
    parameters: parseFormatParameters(findForPayload('fmtp', payloadType, media, all) ?? ''),
  }
}

/** What this media says, else one that does not list that payload type itself. */
function findForPayload(
  name: 'rtpmap' | 'fmtp',
  payloadType: number,
  media: RawMedia,
  all: readonly RawMedia[],
): string | undefined {
  const own = media[name].get(payloadType)
  if (own !== undefined) return own
  return all.find((other) => other[name].has(payloadType) && !other.payloadTypes.includes(payloadType))?.[name].get(payloadType)
}

function parseFormatParameters(text: string): Map<string, string> {
  const parts = text.split(';')
  checkLimit('parametersPerFormat', parts.length)
  const parameters = new Map<string, string>()
  for (const part of parts) {
    const at = part.indexOf('=')
    const name = (at < 0 ? part : part.slice(0, at)).trim().toLowerCase()
    if (name !== '') parameters.set(name, at < 0 ? '' : part.slice(at + 1).trim())
  }
  return parameters
}

function checkLimit(what: keyof typeof sdpLimits, count: number): void {
  if (count <= sdpLimits[what]) return
  throw new AppError('LIMIT_EXCEEDED', `the session description has ${count} ${what}, at most ${sdpLimits[what]} are read`)
}
