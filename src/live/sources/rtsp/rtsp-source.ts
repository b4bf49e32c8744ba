import { parseRtspUrl, type RtspUrl } from '#formats/rtsp/url.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { withoutCredentials, type Logger } from '#lib/log.ts'
import type { PullSource } from '#live/source-runner.ts'
import { RtspClientConnection } from './client-connection.ts'
import { MediaFlow, type PullTarget } from './media-flow.ts'
import { PullSession } from './pull-session.ts'

const maxRedirects = 5

type Protocol = 'tcp' | 'udp'

export type RtspSourceOptions = PullTarget & {
  readonly url: string
  /** `auto`: TCP, and UDP when the source refuses it. `udp`: UDP, and TCP when it is refused or nothing comes. */
  readonly transport: 'auto' | Protocol
  /** The connection is given up when no media comes for this long. */
  readonly silenceMs: number
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: Logger
}

type Attempt =
  | { readonly kind: 'finished' }
  | { readonly kind: 'redirected'; readonly location: string }
  | { readonly kind: 'transport-refused' }
  | { readonly kind: 'no-packets' }

/** What pulls `rtsp://` sources for the streams. */
export function pullRtsp(deps: { clock: Clock; log: Logger }): PullSource {
  return (options) => new RtspSource({ ...options, ...deps }).run()
}

/** One RTSP URL that is pulled. */
export class RtspSource {
  readonly #options: RtspSourceOptions
  readonly #log: Logger

  constructor(options: RtspSourceOptions) {
    this.#options = options
    this.#log = options.log.child({ source: withoutCredentials(options.url) })
  }

  /**
   * Connects once, and again only where the source redirects or refuses the transport. Resolves when the source has said good-bye, or soon
   * after the signal fires. Throws `SOURCE_UNREACHABLE`, `SOURCE_REFUSED`, `SOURCE_SILENT`, `CODEC_UNSUPPORTED`, and `MALFORMED` or
   * `LIMIT_EXCEEDED` for a URL or source that cannot be understood.
   */
  async run(): Promise<void> {
    try {
      await this.#run()
    } catch (error) {
      if (!this.#options.signal.aborted) throw error
    }
  }

  async #run(): Promise<void> {
    let url = parseRtspUrl(this.#options.url)
    const [first, second] = transportsFor[this.#options.transport]
    let protocol: Protocol = first
    for (let redirects = 0; ;) {
      const attempt = await this.#attempt(url, protocol)
      switch (attempt.kind) {
        case 'finished':
          return
        case 'redirected':
          redirects += 1
          if (redirects > maxRedirects)
            throw new AppError(
              'SOURCE_REFUSED',
              `the source redirects more than ${maxRedirects} times; use the last address: ${withoutCredentials(attempt.location)}`,
            )
          url = redirected(url, attempt.location)
          break
        case 'transport-refused':
        case 'no-packets':
          if (second === undefined || protocol === second) throw transportFailure(attempt.kind, protocol)
          this.#log.info({ from: protocol, to: second, reason: attempt.kind }, 'source is tried with the other transport')
          protocol = second
          break
        default:
          return attempt satisfies never
      }
    }
  }

  async #attempt(url: RtspUrl, protocol: Protocol): Promise<Attempt> {
    if (url.scheme === 'rtsps')
      throw new AppError('UNSUPPORTED', 'rtsps:// is not spoken; use rtsp:// within a network that can be trusted')
    const { signal, clock, silenceMs } = this.#options
    await using connection = await RtspClientConnection.open(url, signal)
    await using session = new PullSession({ connection, url, log: this.#log })
    using _abort = onAbort(signal, () => {
      // While a request is under way the connection is dropped; afterwards the flow ends and the source is told.
      if (!isPlaying) connection.abandon(new AppError('SOURCE_UNREACHABLE', 'the attempt was given up'))
    })
    let isPlaying = false
    const description = await session.describe()
    if (description.kind === 'redirected') return description
    const setup = await session.setup(description.tracks, protocol)
    if (setup.kind === 'transport-refused') return setup
    using flow = new MediaFlow({ connection, session, tracks: setup.tracks, target: this.#options, clock, silenceMs })
    await session.play()
    isPlaying = true
    this.#log.info({ transport: protocol, tracks: setup.tracks.map(({ media }) => media.name) }, 'source plays')
    const end = await flow.run(signal)
    session.teardown()
    return { kind: end }
  }
}

const transportsFor = { auto: ['tcp', 'udp'], udp: ['udp', 'tcp'], tcp: ['tcp', undefined] } as const

function transportFailure(kind: 'transport-refused' | 'no-packets', protocol: Protocol): AppError {
  return kind === 'no-packets'
    ? new AppError('SOURCE_SILENT', 'the source sends nothing over UDP; check firewalls, or set rtspTransport to "tcp"')
    : new AppError('SOURCE_REFUSED', `the source refuses ${protocol.toUpperCase()}; set rtspTransport to "auto"`)
}

/** Where a redirect leads; the credentials go along only to the same host. */
function redirected(from: RtspUrl, location: string): RtspUrl {
  const to = parseRtspUrl(location)
  const isSameHost = to.host === from.host && to.username === undefined
  return isSameHost ? { ...to, username: from.username, password: from.password } : to
}

function onAbort(signal: AbortSignal, listener: () => void): Disposable {
  signal.addEventListener('abort', listener, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', listener) }
}
