import { join } from 'node:path'
import type { Mount } from '#api/mounts.ts'
import { RequestLimiter } from '#api/request-limiter.ts'
import { ApiServer, type ApiServerDeps, type LiveServices } from '#api/server.ts'
import type { WatchEndpoints } from '#api/stream-view.ts'
import type { AccessList } from '#auth/access.ts'
import { ApiKeys } from '#auth/api-keys.ts'
import { HttpAccess } from '#auth/http-access.ts'
import type { UrlSigner } from '#auth/url-signer.ts'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/log.ts'
import type { TlsFiles } from '#lib/tls-files.ts'
import type { Recordings } from '#live/recordings.ts'
import type { StreamRegistry } from '#live/registry.ts'
import type { Database } from '#store/sql/schema.ts'
import { createHlsHandler, type HlsHandler } from '#servers/hls/handler.ts'
import { hlsHub } from './hls-hub.ts'
import type { Settings } from './settings.ts'

/** Where the web application was built to. */
const webDirectory = join(import.meta.dirname, '../../web/dist')

type Deps = Pick<ApiServerDeps, 'observer' | 'tracer' | 'profiler' | 'records' | 'jobs' | 'config' | 'node'> & {
  readonly settings: Settings
  readonly access: AccessList
  /** Where API keys are. */
  readonly database: Database
  readonly signer: UrlSigner
  /** Undefined: this node has no streams. */
  readonly live: LiveParts | undefined
  readonly clock: Clock
  readonly log: Logger
}

type LiveParts = {
  readonly streams: StreamRegistry
  readonly recordings: Recordings
  /** Undefined: this process has no RTSP server. */
  readonly rtspPort: () => number | undefined
}

/** The API of this node, and who watches by HLS. */
export type ApiPart = { readonly server: ApiServer; readonly hls: HlsHandler | undefined }

/** Throws `LISTEN_FAILED`, and `CONFIG_INVALID` for TLS files that cannot be used. */
export async function startApi({ settings: { api, tls }, access, database, signer, live, ...deps }: Deps): Promise<ApiPart> {
  const hls = live && createHlsHandler({ hub: hlsHub(live.streams), clock: deps.clock, log: deps.log })
  const keys = new ApiKeys({ database, clock: deps.clock, log: deps.log })
  const server = await ApiServer.start({
    ...deps,
    host: api.host,
    port: api.port,
    allowedOrigins: api.allowedOrigins,
    access: new HttpAccess({ users: access, keys, signer, clock: deps.clock }),
    keys,
    ...limiterOf(api, deps.clock),
    webDirectory,
    ...(api.tlsPort === undefined ? {} : { tls: { port: api.tlsPort, files: tlsFiles(tls) } }),
    ...(live && hls && liveDeps(live, hls)),
  })
  return { server, hls }
}

function limiterOf({ requestsPerSecond, requestBurst: burst }: Settings['api'], clock: Clock): Pick<ApiServerDeps, 'limiter'> {
  return requestsPerSecond > 0 ? { limiter: new RequestLimiter({ requestsPerSecond, burst, clock }) } : {}
}

function tlsFiles({ certificate, key, clientAuthority }: Settings['tls']): TlsFiles {
  return {
    ...(certificate !== undefined && { certificateFile: certificate }),
    ...(key !== undefined && { keyFile: key }),
    ...(clientAuthority !== undefined && { authorityFile: clientAuthority }),
  }
}

function liveDeps({ streams, recordings, rtspPort }: LiveParts, handler: HlsHandler): { live: LiveServices; mounts: Mount[] } {
  const hls: Mount = { prefix: '/hls/', handle: (request, response, target) => handler.handle(request, response, target) }
  const endpoints = watchEndpoints(hls.prefix, rtspPort)
  return { live: { streams, endpoints, recordings, playback: recordings.playback, storage: recordings }, mounts: [hls] }
}

/** A reload may move the RTSP server to another port while the API stays. */
function watchEndpoints(hlsPrefix: string, findRtspPort: () => number | undefined): WatchEndpoints {
  return {
    hlsPrefix,
    get rtspPort() {
      return findRtspPort()
    },
  }
}
