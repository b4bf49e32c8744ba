import { AppError } from '#lib/errors.ts'

/** An RTSP URL, its credentials apart. */
export type RtspUrl = {
  readonly scheme: 'rtsp' | 'rtsps'
  readonly username: string | undefined
  readonly password: string | undefined
  /** Name or address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** What requests carry: the URL as it was written, without credentials. */
  readonly text: string
}

const defaultPorts = { rtsp: 554, rtsps: 322 } as const

/**
 * Reads `rtsp://user:pass@host:port/path?query`. People paste passwords with `@`, `:` or `#` in them, so credentials end at the last `@`
 * before the path. Throws `MALFORMED`.
 */
export function parseRtspUrl(url: string): RtspUrl {
  const match = /^(rtsps?):\/\/(?:([^/]*)@)?(\[[0-9a-fA-F:.]+\]|[^:/?#@\s[\]]+)(?::(\d{1,5}))?([/?]\S*)?$/i.exec(url.trim())
  if (!match) throw new AppError('MALFORMED', 'the URL is no RTSP URL; it must look like rtsp://host:554/path')
  const [, written = '', login, host = '', portText, path = ''] = match
  const scheme = written.toLowerCase() === 'rtsps' ? 'rtsps' : 'rtsp'
  const port = portText === undefined ? defaultPorts[scheme] : Number(portText)
  if (port < 1 || port > 65_535) throw new AppError('MALFORMED', `port ${port} in an RTSP URL is not between 1 and 65535`)
  const colon = login?.indexOf(':') ?? -1
  return {
    scheme,
    username: login === undefined ? undefined : decoded(colon < 0 ? login : login.slice(0, colon)),
    password: login === undefined ? undefined : decoded(colon < 0 ? '' : login.slice(colon + 1)),
    host: host.replace(/^\[|\]$/g, ''),
    port,
    text: `${scheme}://${host}${portText === undefined ? '' : `:${portText}`}${path === '' ? '/' : path}`,
  }
}

/**
 * What track URLs are appended to, RFC 2326 §C.1.1: the session's `a=control`, else `Content-Base`, else the URL of the request.
 * Cameras write `Content-Base` as a path only, without a scheme, with the scheme twice, or with a bare IPv6 address; what cannot be
 * mended is passed over.
 */
export function resolveBaseUrl(options: {
  requestUrl: string
  contentBase: string | undefined
  control: string | undefined
}): string {
  const { requestUrl, contentBase, control } = options
  const candidates = [control === '*' ? undefined : control, contentBase]
  for (const candidate of candidates) {
    const url = candidate === undefined ? undefined : absoluteUrl(candidate.trim(), requestUrl)
    if (url !== undefined) return url
  }
  return requestUrl
}

/** The URL of a media from its `a=control`: absolute as it stands, otherwise appended to all of the base, a query included. */
export function resolveTrackUrl(baseUrl: string, control: string | undefined): string {
  if (control === undefined || control === '' || control === '*') return baseUrl
  const absolute = /^(?:rtsps?:\/\/)+/i.test(control) ? absoluteUrl(control, baseUrl) : undefined
  if (absolute !== undefined) return absolute
  const hasSlash = baseUrl.endsWith('/') || control.startsWith('?')
  return `${baseUrl}${hasSlash ? '' : '/'}${control.replace(/^\//, '')}`
}

/** What a request to a server is about: the path without slashes at its ends, and the track if the URL names one. */
export type RequestTarget = { readonly path: string; readonly query: string; readonly trackId: number | undefined }

/** `rtsp://host/site/gate/trackID=2?token=x`; the track may also stand behind the query, where FFmpeg puts it. Throws `MALFORMED`. */
export function parseRequestTarget(url: string): RequestTarget {
  const match = /^(?:rtsps?:\/\/[^/?]*)?([^?]*)(?:\?(.*))?$/i.exec(url)
  if (!match) throw new AppError('MALFORMED', 'the request URL cannot be read; it must look like rtsp://host/stream')
  const inPath = splitTrack(match[1] ?? '')
  const inQuery = splitTrack(match[2] ?? '')
  const path = decoded(inPath.rest).replace(/^\/+|\/+$/g, '')
  return { path, query: inQuery.rest.replace(/\/$/, ''), trackId: inQuery.trackId ?? inPath.trackId }
}

/** How this server names a track in `a=control`. */
export function trackControl(trackId: number): string {
  return `trackID=${trackId}`
}

function splitTrack(text: string): { rest: string; trackId: number | undefined } {
  const match = /\/trackID=(\d{1,9})\/?$/i.exec(text)
  return match ? { rest: text.slice(0, match.index), trackId: Number(match[1]) } : { rest: text, trackId: undefined }
}

/** The URL that was meant, or `undefined`. Without a scheme it counts only when it begins with the host that was asked, or an address. */
function absoluteUrl(text: string, requestUrl: string): string | undefined {
  const [, scheme = 'rtsp://', authority = ''] = /^(rtsps?:\/\/)([^/?]*)/i.exec(requestUrl) ?? []
  if (text.startsWith('/')) return `${scheme}${authority}${text}`
  const match = /^((?:rtsps?:\/\/)*)(?:[^/?\s]*@)?([^/?\s@]+)([/?]\S*)?$/i.exec(text)
  if (!match) return undefined
  const [, schemes = '', host = '', path = '/'] = match
  if (schemes === '' && host !== authority && !/^\d+\.\d+\.\d+\.\d+(:\d+)?$/.test(host)) return undefined
  const isBareIpv6 = !host.startsWith('[') && host.split(':').length > 2
  return `${scheme}${isBareIpv6 ? authority : host}${path}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
