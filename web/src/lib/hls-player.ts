import type * as HlsModule from 'hls.js/light'
import type Hls from 'hls.js/light'
import type { ErrorData, HlsConfig, LevelDetails } from 'hls.js/light'
import type { ErrorBody } from '#api/contract.ts'

/**
 * `live`: low latency, one connection is always held by the playlist.
 * `preview`: a few seconds behind, in whole segments; HTTP/1.1 gives a page six connections, so that a wall of live players would starve.
 * `recording`: from a moment on.
 * `file`: something with a beginning and an end; it begins when it is told to.
 */
export type PlayerMode = { readonly kind: 'live' | 'preview' | 'file' } | { readonly kind: 'recording'; readonly atMs: number }

export type PlayerPosition = {
  /** The moment that is seen, by the clock of the server. */
  readonly atMs?: number
  /** How far the picture is behind the newest that the server has. */
  readonly latencySeconds?: number
}

export type PlayerOptions = {
  readonly video: HTMLVideoElement
  /** An HLS playlist. */
  readonly url: string
  readonly mode: PlayerMode
  /** Why there is no picture; empty when the reason says nothing to people. It tries again by itself. */
  readonly onProblem: (message: string) => void
}

const settings: Record<PlayerMode['kind'], Partial<HlsConfig>> = {
  live: {
    lowLatencyMode: true,
    liveSyncDuration: 1,
    liveMaxLatencyDuration: 8,
    maxLiveSyncPlaybackRate: 1.1,
    liveDurationInfinity: true,
    maxBufferLength: 10,
    backBufferLength: 10,
  },
  preview: {
    lowLatencyMode: false,
    liveSyncDurationCount: 1.5,
    liveMaxLatencyDurationCount: 5,
    liveDurationInfinity: true,
    maxBufferLength: 10,
    backBufferLength: 4,
  },
  recording: { autoStartLoad: false, maxBufferLength: 20, backBufferLength: 60 },
  file: { maxBufferLength: 20, backBufferLength: 60 },
}

const retryFirstMs = 1000
const retryMaxMs = 5000
const watchMs = 1000
/** A live picture that stands still for so long is opened again. */
const stalledTicks = 10

/** Plays one playlist in a video element until it is closed, and comes back from whatever goes wrong meanwhile. */
export class HlsPlayer {
  readonly #options: PlayerOptions
  readonly #listeners = new AbortController()
  readonly #watchTimer: number
  #hls: Hls | undefined
  #retryTimer: number | undefined
  #failures = 0
  #isRecovering = false
  #lastSeconds = 0
  #stillTicks = 0

  constructor(options: PlayerOptions) {
    this.#options = options
    const { video } = options
    const { signal } = this.#listeners
    video.addEventListener('playing', () => this.#succeeded(), { signal })
    video.addEventListener('error', () => this.#nativeFailed(), { signal })
    this.#watchTimer = window.setInterval(() => this.#watch(), watchMs)
    void this.#open()
  }

  /** Ends its connections and empties the video element. */
  close(): void {
    this.#listeners.abort()
    window.clearInterval(this.#watchTimer)
    window.clearTimeout(this.#retryTimer)
    this.#release()
  }

  get position(): PlayerPosition {
    const atMs = this.#hls?.playingDate?.getTime()
    const latencySeconds = isLive(this.#options.mode) ? (this.#hls?.latency ?? 0) : 0
    return { ...(atMs === undefined ? {} : { atMs }), ...(latencySeconds > 0 ? { latencySeconds } : {}) }
  }

  async #open(): Promise<void> {
    const { video, url, mode } = this.#options
    const module = await loadLibrary(mode).catch(() => undefined)
    if (this.#listeners.signal.aborted) return
    if (!module) {
      this.#retry('')
      return
    }
    const { default: Player, Events } = module
    if (Player.isSupported()) {
      const hls = new Player(settings[mode.kind])
      this.#hls = hls
      hls.on(Events.ERROR, (_, data) => this.#failed(data))
      if (mode.kind === 'recording') {
        hls.once(Events.LEVEL_LOADED, (_, { details }) => hls.startLoad(secondsOf(details, mode.atMs)))
      }
      hls.loadSource(url)
      hls.attachMedia(video)
    } else {
      video.src = url
    }
    // Refused where the browser lets nothing start by itself: the controls are there for that.
    if (mode.kind !== 'file') await video.play().catch(() => undefined)
  }

  #release(): void {
    const { video } = this.#options
    if (this.#hls) this.#hls.destroy()
    else if (video.hasAttribute('src')) {
      video.removeAttribute('src')
      video.load()
    }
    this.#hls = undefined
  }

  #succeeded(): void {
    this.#failures = 0
    this.#isRecovering = false
  }

  #failed(data: ErrorData): void {
    if (!data.fatal) return
    if (data.type === 'mediaError' && !this.#isRecovering && this.#hls) {
      this.#isRecovering = true
      this.#hls.recoverMediaError()
      return
    }
    this.#retry(explain(data))
  }

  #nativeFailed(): void {
    if (!this.#hls) this.#retry('')
  }

  #retry(problem: string): void {
    this.#options.onProblem(problem)
    this.#release()
    window.clearTimeout(this.#retryTimer)
    this.#retryTimer = window.setTimeout(() => void this.#open(), Math.min(retryMaxMs, retryFirstMs * 2 ** this.#failures))
    this.#failures += 1
    this.#isRecovering = false
  }

  /** hls.js does not call it an error when a live playlist goes on and the picture does not. */
  #watch(): void {
    const { video, mode } = this.#options
    const isStill = video.currentTime === this.#lastSeconds && !video.paused && this.#hls !== undefined
    this.#stillTicks = isStill ? this.#stillTicks + 1 : 0
    this.#lastSeconds = video.currentTime
    if (!isLive(mode) || this.#stillTicks < stalledTicks) return
    this.#stillTicks = 0
    this.#retry('')
  }
}

/** Sound that comes in a playlist of its own needs all of hls.js; streams have none. */
async function loadLibrary({ kind }: PlayerMode): Promise<Pick<typeof HlsModule, 'default' | 'Events'>> {
  return kind === 'file' ? await import('hls.js') : await import('hls.js/light')
}

function isLive({ kind }: PlayerMode): boolean {
  return kind === 'live' || kind === 'preview'
}

/** Where a moment is in a playlist that may have gaps; the start of the next entry when it is in one. */
function secondsOf({ fragments }: LevelDetails, atMs: number): number {
  for (const { programDateTime, start, duration } of fragments) {
    if (programDateTime === null || programDateTime + duration * 1000 <= atMs) continue
    return start + Math.max(0, atMs - programDateTime) / 1000
  }
  return fragments.at(-1)?.start ?? 0
}

const unplayable = new Set(['manifestIncompatibleCodecsError', 'bufferAddCodecError', 'bufferIncompatibleCodecsError'])

function explain({ details, networkDetails }: ErrorData): string {
  if (unplayable.has(details)) return 'This browser cannot play the codecs of this stream'
  if (!(networkDetails instanceof XMLHttpRequest) || networkDetails.responseType === 'arraybuffer') return ''
  if (!networkDetails.getResponseHeader('content-type')?.includes('json')) return ''
  try {
    const { message = '' }: Partial<ErrorBody> = JSON.parse(networkDetails.responseText)
    return message
  } catch {
    return ''
  }
}
