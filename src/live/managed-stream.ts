import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { EventSink } from './events.ts'
import type { StreamPackaging } from './packaging.ts'
import type { Peer } from './peer.ts'
import type { Publication } from './publication.ts'
import type { LiveSettings, StreamSpec } from './settings.ts'
import { type PullSource, SourceRunner } from './source-runner.ts'
import type { ReaderStatus, StreamOrigin, StreamState, StreamStatus } from './status.ts'
import { type PublicationInfo, Stream } from './stream.ts'
import { trackStatus } from './track-status.ts'

/** What is wanted of one stream: the merge of defaults, configuration file and API. */
export type Declaration = {
  readonly origin: StreamOrigin
  readonly spec: StreamSpec
  readonly overrides?: Record<string, unknown>
  readonly isEnabled: boolean
  /** What was said by hand; absent: as the policy says. */
  readonly recording?: 'on' | 'off' | 'paused'
}

export type ManagedStreamDeps = {
  readonly settings: LiveSettings
  readonly pull: PullSource
  readonly events: EventSink
  readonly clock: Clock
  readonly log: Logger
  /** HLS viewers are no connections; whoever serves them knows them. */
  readonly viewers: (stream: string) => ReaderStatus[]
  readonly packagingFor: (stream: Stream, onWatchedChange: () => void) => StreamPackaging
}

/** A publisher that sent nothing for this long gives way to a new one: most often it is the same camera after a cut cable. */
const publisherSilenceMs = 2_000

/** How long another source may take to step in before the stream counts as offline. */
const handOverMs = 2_000

/** Nothing is being published. `timer`: it is not offline yet, as another source may step in. */
type Outage = { readonly sinceMs: number; readonly reason: string; timer?: NodeJS.Timeout | undefined; isTold: boolean }

/** One stream with all that belongs to it: what is wanted, its sources, its publisher, its packager and recorder. */
export class ManagedStream {
  readonly stream: Stream
  readonly #deps: ManagedStreamDeps
  readonly #packaging: StreamPackaging
  #declaration: Declaration
  #runner: SourceRunner | undefined
  #publisher: { peer: Peer; publication: Publication; lastWriteMs: number } | undefined
  #waiting = 0
  #releaseTimer: NodeJS.Timeout | undefined
  #onlineSinceMs: number | undefined
  #outage: Outage | undefined
  #lastSource: string | undefined
  #reconnectsBefore = 0

  constructor(name: string, declaration: Declaration, deps: ManagedStreamDeps) {
    const { settings } = deps
    this.#deps = deps
    this.#declaration = declaration
    this.stream = new Stream({
      name,
      clock: deps.clock,
      limits: {
        maxBytes: settings.readerQueueMegabytes * 1e6,
        maxMs: settings.readerQueueSeconds * 1000,
        maxReaders: settings.maxReadersPerStream,
      },
    })
    this.#packaging = deps.packagingFor(this.stream, () => {
      this.#updateNeed()
    })
    this.#listen()
    this.#start()
  }

  get name(): string {
    return this.stream.name
  }
  get declaration(): Declaration {
    return this.#declaration
  }
  get packaging(): StreamPackaging {
    return this.#packaging
  }
  /** Nobody feeds it and nobody reads it. */
  get isUnused(): boolean {
    return !this.stream.isOnline && !this.#publisher && this.#demand() === 0
  }

  /** Takes on a new declaration; only what differs restarts. */
  async apply(next: Declaration): Promise<void> {
    const before = this.#declaration
    this.#declaration = next
    if (!next.isEnabled) return this.#stop('stopped')
    if (!before.isEnabled) return this.#start()
    if (!hasSameSources(before.spec, next.spec)) {
      await this.#stopSources()
      this.#startSources()
    }
    this.#packaging.apply(next)
    this.#updateNeed()
  }

  /** Drops all connections in and out, then begins again. */
  async restart(): Promise<void> {
    if (!this.#declaration.isEnabled) return
    await this.#stop('restarted')
    this.#start()
  }

  async close(reason: string): Promise<void> {
    await this.#stop(reason)
    await this.#packaging.close()
  }

  /** Accepts a publisher. Throws `STREAM_STOPPED`, `STREAM_NOT_PUBLISHABLE`, `STREAM_BUSY`. */
  publish(peer: Peer): Publication {
    if (!this.#declaration.isEnabled)
      throw new AppError('STREAM_STOPPED', `stream "${this.name}" is stopped; start it before publishing`)
    const priority = this.#declaration.spec.sources.indexOf('publish')
    if (priority < 0) {
      throw new AppError(
        'STREAM_NOT_PUBLISHABLE',
        `stream "${this.name}" is pulled from its own sources; add "publish" to them to allow a publisher`,
      )
    }
    this.#evictSilentPublisher(priority)
    const { clock } = this.#deps
    const inner = this.stream.openPublication({ priority, label: 'publish', peer })
    const publication: Publication = {
      ...inner,
      write: (unit) => {
        publisher.lastWriteMs = clock.monotonicMs()
        inner.write(unit)
      },
      close: (reason) => {
        if (this.#publisher?.publication === publication) this.#publisher = undefined
        inner.close(reason)
      },
    }
    const publisher = { peer, publication, lastWriteMs: clock.monotonicMs() }
    this.#publisher = publisher
    return publication
  }

  /** Waits until the tracks are known, starting an on-demand source. Throws `STREAM_STOPPED`, `STREAM_OFFLINE`. */
  async waitUntilReadable(signal?: AbortSignal): Promise<Stream> {
    if (!this.#declaration.isEnabled)
      throw new AppError('STREAM_STOPPED', `stream "${this.name}" is stopped; start it to read it`)
    const { sources, onDemand } = this.#declaration.spec
    if (this.stream.tracks.length > 0 && (this.stream.isOnline || !onDemand)) return this.stream
    // A publisher that has just connected is about to send its first keyframe.
    if (!this.#publisher && sources.every((url) => url === 'publish')) {
      throw new AppError('STREAM_OFFLINE', `stream "${this.name}" has no publisher; publish to it first`)
    }
    this.#waiting += 1
    this.#updateNeed()
    try {
      await this.#becomesActive(signal)
    } finally {
      this.#waiting -= 1
      this.#updateNeed()
    }
    return this.stream
  }

  status(): StreamStatus {
    const { origin, spec, overrides, isEnabled } = this.#declaration
    const peer = this.#publisher?.peer
    const reconnects = this.#reconnectsBefore + (this.#runner?.reconnects ?? 0)
    return {
      name: this.name,
      origin,
      spec,
      ...(overrides && Object.keys(overrides).length > 0 ? { overrides } : {}),
      isEnabled,
      state: this.#state(),
      ...(this.#onlineSinceMs === undefined ? {} : { onlineSinceMs: this.#onlineSinceMs }),
      sources: (this.#runner?.status() ?? []).map((source) =>
        source.url === 'publish' && peer && source.state === 'idle' ? { ...source, state: 'standby' as const } : source,
      ),
      ...(peer ? { publisher: { ...peer } } : {}),
      tracks: this.stream.tracks.map(trackStatus),
      health: this.stream.health.read(this.#deps.clock.monotonicMs(), {
        timestampJumps: this.stream.timestampJumps,
        droppedUnits: this.stream.droppedUnits,
        reconnects,
      }),
      readerCount: this.#readerCount() + this.#deps.viewers(this.name).length,
      recording: this.#packaging.recording,
    }
  }

  /** Everybody who reads, HLS viewers included. */
  readers(): ReaderStatus[] {
    const connected = [...this.stream.readers].filter(({ peer }) => peer.protocol !== 'internal')
    return [...connected.map(({ peer, stats }) => ({ ...peer, ...stats })), ...this.#deps.viewers(this.name)]
  }

  #state(): StreamState {
    if (!this.#declaration.isEnabled) return 'stopped'
    if (this.stream.isOnline) return 'online'
    if (this.#declaration.spec.onDemand && this.#demand() === 0) return 'idle'
    return this.#outage?.isTold ? 'offline' : 'connecting'
  }

  #start(): void {
    if (!this.#declaration.isEnabled) return
    this.#packaging.apply(this.#declaration)
    this.#startSources()
  }

  async #stop(reason: string): Promise<void> {
    this.stream.end(reason)
    this.#publisher = undefined
    this.#tellOffline()
    await this.#stopSources()
    this.#packaging.stop()
    this.#outage = undefined
  }

  #startSources(): void {
    const { settings, pull, clock, log } = this.#deps
    this.#runner = new SourceRunner({ stream: this.stream, spec: this.#declaration.spec, settings, pull, clock, log })
    this.#updateNeed()
  }

  async #stopSources(): Promise<void> {
    clearTimeout(this.#releaseTimer)
    this.#releaseTimer = undefined
    const runner = this.#runner
    if (!runner) return
    this.#runner = undefined
    this.#reconnectsBefore += runner.reconnects
    // This ends the publisher's connection too, which closing its publication alone does not.
    for (const { index } of runner.status()) this.stream.closePublications(index, 'sources changed')
    this.#publisher?.publication.close('sources changed')
    await runner.close()
  }

  #listen(): void {
    const { events, log } = this.#deps
    const stream = this.name
    this.stream.on('active', (info, from) => {
      this.#wentOnline(info, from)
    })
    this.stream.on('inactive', (reason) => {
      this.#wentAway(reason)
    })
    this.stream.on('drop', ({ id, protocol, remoteAddress }, drop) => {
      events.emit({ type: 'reader.dropped', stream, readerId: id, protocol, droppedUnits: drop.units, droppedMs: drop.ms })
      log.warn({ stream, reader: id, protocol, remoteAddress, ...drop }, 'reader is too slow: cut to the next keyframe')
    })
    this.stream.on('readers', () => {
      this.#updateNeed()
    })
  }

  /** The source that was shown is away. The stream is offline when no other one steps in. */
  #wentAway(reason: string): void {
    this.#onlineSinceMs = undefined
    this.#packaging.pause()
    this.#outage = { sinceMs: this.#deps.clock.nowMs(), reason, isTold: false }
    if (this.#declaration.spec.sources.length > 1) this.#outage.timer = setTimeout(() => this.#tellOffline(), handOverMs)
    else this.#tellOffline()
  }

  #tellOffline(): void {
    const outage = this.#outage
    if (!outage || outage.isTold) return
    clearTimeout(outage.timer)
    outage.isTold = true
    const stream = this.name
    this.#deps.events.emit({ type: 'stream.offline', stream, reason: outage.reason })
    this.#deps.log.info({ stream, reason: outage.reason }, 'stream offline')
  }

  #wentOnline({ label: source }: PublicationInfo, from: PublicationInfo | undefined): void {
    const { events, log, clock } = this.#deps
    const stream = this.name
    const previous = from?.label ?? this.#lastSource
    const isSwitch = previous !== undefined && previous !== source
    // The same source was away for a moment: nobody stepped in.
    if (!isSwitch) this.#tellOffline()
    const outage = this.#outage
    clearTimeout(outage?.timer)
    this.#outage = undefined
    const offlineMs = outage?.isTold ? clock.nowMs() - outage.sinceMs : undefined
    const tracks = this.stream.tracks.map(({ parameters }) => parameters.codec)
    if (offlineMs !== undefined) events.emit({ type: 'stream.recovered', stream, source, offlineMs })
    else if (!from && !outage) events.emit({ type: 'stream.online', stream, source, tracks })
    if (isSwitch) {
      const reason = from ? 'a better source is back' : 'the source before is away'
      events.emit({ type: 'stream.source-switched', stream, from: previous, to: source, reason })
    }
    const what = from || (outage && offlineMs === undefined) ? 'stream switched source' : 'stream online'
    log.info({ stream, source, ...(offlineMs === undefined ? {} : { offlineMs }) }, what)
    this.#lastSource = source
    this.#onlineSinceMs ??= clock.nowMs()
  }

  #evictSilentPublisher(priority: number): void {
    if (!this.#publisher) return
    if (this.#deps.clock.monotonicMs() - this.#publisher.lastWriteMs < publisherSilenceMs) {
      const { remoteAddress, protocol } = this.#publisher.peer
      throw new AppError(
        'STREAM_BUSY',
        `stream "${this.name}" is being published by ${remoteAddress} over ${protocol}; stop that publisher first`,
      )
    }
    const { publication } = this.#publisher
    this.stream.closePublications(priority, 'replaced by a new publisher')
    publication.close('replaced by a new publisher')
  }

  async #becomesActive(signal?: AbortSignal): Promise<void> {
    if (this.stream.isOnline) return
    const timeoutMs = this.#deps.settings.onlineTimeoutSeconds * 1000
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (): void => {
      reject(
        new AppError(
          'STREAM_OFFLINE',
          `stream "${this.name}" did not come online within ${timeoutMs} ms; see the state of its sources`,
        ),
      )
    }
    const timer = setTimeout(fail, timeoutMs)
    const online = (): void => {
      resolve()
    }
    this.stream.once('active', online)
    signal?.addEventListener('abort', fail, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.stream.off('active', online)
      signal?.removeEventListener('abort', fail)
    }
  }

  #readerCount(): number {
    let count = 0
    for (const { peer } of this.stream.readers) if (peer.protocol !== 'internal') count += 1
    return count
  }

  #demand(): number {
    return this.#waiting + this.#readerCount() + (this.#packaging.isWatched ? 1 : 0)
  }

  /** Tells the sources whether the stream is needed; on demand, need outlives the last reader by `onDemandCloseSeconds`. */
  #updateNeed(): void {
    if (!this.#runner) return
    const { onDemand, onDemandCloseSeconds } = this.#declaration.spec
    if (!onDemand || this.#demand() > 0) {
      clearTimeout(this.#releaseTimer)
      this.#releaseTimer = undefined
      this.#runner.setNeeded(true)
      return
    }
    this.#releaseTimer ??= setTimeout(() => {
      this.#releaseTimer = undefined
      this.#runner?.setNeeded(false)
    }, onDemandCloseSeconds * 1000)
  }
}

function hasSameSources(a: StreamSpec, b: StreamSpec): boolean {
  return (
    a.onDemand === b.onDemand && a.rtspTransport === b.rtspTransport && JSON.stringify(a.sources) === JSON.stringify(b.sources)
  )
}
