import type { FastifyRequest } from 'fastify'
import { AppError } from '#lib/errors.ts'
import { withoutCredentials } from '#lib/log.ts'
import type { StreamStatus } from '#live/status.ts'
import type { PartialStreamSpec, StreamView } from './contract.ts'

/** Where streams can be watched, for the `urls` of a stream, asked anew each time. A protocol that this process does not speak is absent. */
export type WatchEndpoints = { readonly rtspPort?: number | undefined; readonly hlsPrefix?: string }

/** A stream as the API shows it: passwords of sources hidden, addresses as seen by whoever asks. */
export function streamView(status: StreamStatus, request: FastifyRequest, endpoints: WatchEndpoints): StreamView {
  const { spec, overrides } = status
  return {
    ...status,
    spec: { ...spec, sources: spec.sources.map(withoutCredentials) },
    ...(overrides && { overrides: withHiddenSources(overrides) }),
    urls: watchUrls(status, request, endpoints),
  }
}

/**
 * The change with hidden credentials filled in again, so that what was read can be sent back. Throws `REQUEST_INVALID` for hidden ones that
 * no source of the stream has.
 */
export function withKnownCredentials(change: PartialStreamSpec, current: readonly string[]): PartialStreamSpec {
  if (!change.sources) return change
  const known = new Map(current.map((url) => [withoutCredentials(url), url]))
  const sources = change.sources.map((url, index) => {
    if (!/^[a-z][a-z0-9+.-]*:\/\/\*\*\*@/i.test(url)) return url
    const full = known.get(url)
    if (full !== undefined) return full
    const issue = { path: `body.sources.${index}`, message: 'has hidden credentials of no source that the stream has' }
    throw new AppError('REQUEST_INVALID', `${issue.path} ${issue.message}; write user and password`, {
      details: { issues: [issue] },
    })
  })
  return { ...change, sources }
}

function withHiddenSources(overrides: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { sources } = overrides
  if (!Array.isArray(sources)) return { ...overrides }
  return { ...overrides, sources: sources.map((url: unknown) => withoutCredentials(String(url))) }
}

function watchUrls({ name, spec }: StreamStatus, request: FastifyRequest, endpoints: WatchEndpoints): StreamView['urls'] {
  const { rtspPort, hlsPrefix } = endpoints
  const hasHls = hlsPrefix !== undefined && spec.hls !== 'off'
  return {
    ...(rtspPort === undefined ? {} : { rtsp: `rtsp://${request.hostname}:${rtspPort}/${name}` }),
    ...(hasHls ? { hls: `${request.protocol}://${request.host}${hlsPrefix}${name}/index.m3u8` } : {}),
  }
}
