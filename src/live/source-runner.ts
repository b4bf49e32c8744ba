import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { type Logger, withoutCredentials } from '#lib/log.ts'
import type { LiveSettings, StreamSpec } from './settings.ts'
import type { SourceStatus } from './status.ts'
import type { Stream } from './stream.ts'

/** One attempt to pull a URL. Resolves when the far end finished, rejects with a coded error; ends soon after `signal` fires. */
export type PullSource = (options: {
  url: string
  transport: StreamSpec['rtspTransport']
  silenceMs: number
  signal: AbortSignal
  onTracks: (tracks: readonly Track[]) => void
  onUnit: (unit: AccessUnit) => void
  onLoss: (packets: number) => void
}) => Promise<void>

/** A source that delivered for this long was good: its next failure starts the backoff anew. */
const provenMs = 10_000
/** A source that is wanted and has not delivered for this long counts as away: the next one is started. */
const patienceMs = 2_000
/** How often a stream with several sources is looked at for silence. */
const silenceCheckMs = 250

type Slot = {
  readonly index: number
  readonly url: string
  readonly backoff: Backoff
  state: 'idle' | 'connecting' | 'waiting' | 'active' | 'standby'
  /** Away: failed, or wanted for `patienceMs` without delivering. While it holds, the next source is wanted. */
  isAway: boolean
  error: AppError | undefined
  retryAtMs: number | undefined
  attempts: number
  patience: NodeJS.Timeout | undefined
  run: AbortController | undefined
}

/**
 * Keeps a stream fed from its ordered sources. The first is always tried; a later one only while all before it are away, and it is let
 * go once a better one has taken over. `publish` is a source too: it is away while nobody publishes.
 */
export class SourceRunner {
  readonly #stream: Stream
  readonly #pull: PullSource
  readonly #clock: Clock
  readonly #log: Logger
  readonly #settings: LiveSettings
  readonly #transport: StreamSpec['rtspTransport']
  readonly #slots: Slot[]
  readonly #silenceTimer: NodeJS.Timeout | undefined
  #isNeeded = false
  #wasSilent = false
  #pending = new Set<Promise<void>>()

  constructor(options: {
    stream: Stream
    spec: StreamSpec
    settings: LiveSettings
    pull: PullSource
    clock: Clock
    log: Logger
  }) {
    const { stream, spec, settings } = options
    this.#stream = stream
    this.#pull = options.pull
    this.#clock = options.clock
    this.#log = options.log
    this.#settings = settings
    this.#transport = spec.rtspTransport
    this.#slots = spec.sources.map((url, index) => ({
      index,
      url,
      backoff: new Backoff({ firstMs: settings.retryFirstSeconds * 1000, maxMs: settings.retryMaxSeconds * 1000 }),
      state: 'idle',
      isAway: false,
      error: undefined,
      retryAtMs: undefined,
      attempts: 0,
      patience: undefined,
      run: undefined,
    }))
    if (this.#slots.length > 1) this.#silenceTimer = setInterval(() => this.#checkSilence(), silenceCheckMs).unref()
    stream.on('active', this.#evaluate)
    stream.on('inactive', this.#evaluate)
  }

  /** Attempts after the first of each source, all together. */
  get reconnects(): number {
    return this.#slots.reduce((sum, slot) => sum + Math.max(0, slot.attempts - 1), 0)
  }

  status(): SourceStatus[] {
    return this.#slots.map((slot) => ({
      index: slot.index,
      url: withoutCredentials(slot.url),
      state: slot.error !== undefined && slot.state === 'waiting' ? 'failed' : slot.state,
      reconnects: Math.max(0, slot.attempts - 1),
      ...(slot.error ? { error: { code: slot.error.code, message: slot.error.message } } : {}),
      ...(slot.retryAtMs === undefined ? {} : { retryAtMs: slot.retryAtMs }),
    }))
  }

  /** Whether the stream is wanted at all: enabled, and read when it is on demand. */
  setNeeded(isNeeded: boolean): void {
    if (this.#isNeeded === isNeeded) return
    this.#isNeeded = isNeeded
    this.#evaluate()
  }

  /** Lets all sources go and waits until their connections are closed. */
  async close(): Promise<void> {
    clearInterval(this.#silenceTimer)
    this.#stream.off('active', this.#evaluate)
    this.#stream.off('inactive', this.#evaluate)
    this.#isNeeded = false
    for (const slot of this.#slots) this.#letGo(slot)
    await Promise.all(this.#pending)
  }

  /** Starts what is wanted and not running, stops what runs and is not wanted. */
  readonly #evaluate = (): void => {
    const activeIndex = this.#stream.active?.priority
    let isWanted = this.#isNeeded
    for (const slot of this.#slots) {
      if (isWanted) this.#want(slot, activeIndex)
      else this.#letGo(slot)
      // A silent source keeps its connection, and gets its place back with its next keyframe.
      if (activeIndex === slot.index) slot.isAway = this.#stream.isSilent
      isWanted = isWanted && slot.isAway
    }
  }

  #checkSilence(): void {
    const { isSilent } = this.#stream
    if (isSilent === this.#wasSilent) return
    this.#wasSilent = isSilent
    this.#evaluate()
  }

  #want(slot: Slot, activeIndex: number | undefined): void {
    if (activeIndex === slot.index) {
      slot.state = 'active'
      slot.isAway = false
      slot.error = undefined
      clearTimeout(slot.patience)
      slot.patience = undefined
      return
    }
    if (slot.state === 'active' || slot.state === 'idle') {
      // A publisher that left is away at once; a pulled source gets its patience, unless its attempt has failed.
      if (slot.state === 'active' && slot.url === 'publish') slot.isAway = true
      slot.state = slot.url === 'publish' ? 'waiting' : 'connecting'
    }
    if (!slot.isAway) slot.patience ??= setTimeout(() => this.#giveUp(slot), patienceMs).unref()
    if (slot.url === 'publish' || slot.run) return
    slot.run = new AbortController()
    const running = this.#run(slot, slot.run.signal)
    this.#pending.add(running)
    void running.finally(() => this.#pending.delete(running))
  }

  #giveUp(slot: Slot): void {
    slot.patience = undefined
    slot.isAway = true
    this.#evaluate()
  }

  #letGo(slot: Slot): void {
    slot.run?.abort()
    slot.run = undefined
    clearTimeout(slot.patience)
    slot.patience = undefined
    slot.state = 'idle'
    slot.isAway = false
    slot.retryAtMs = undefined
  }

  async #run(slot: Slot, signal: AbortSignal): Promise<void> {
    for (;;) {
      slot.attempts += 1
      slot.retryAtMs = undefined
      slot.state = 'connecting'
      const startedMs = this.#clock.monotonicMs()
      const error = await this.#attempt(slot, signal)
      if (signal.aborted) return
      if (this.#clock.monotonicMs() - startedMs > provenMs) slot.backoff.reset()
      const waitMs = slot.backoff.nextMs()
      slot.error = error
      slot.isAway = true
      slot.state = 'waiting'
      slot.retryAtMs = this.#clock.nowMs() + waitMs
      this.#log.warn(
        {
          stream: this.#stream.name,
          source: withoutCredentials(slot.url),
          code: error.code,
          reason: error.message,
          retryInMs: waitMs,
        },
        'source lost',
      )
      this.#evaluate()
      if (!(await sleep(waitMs, signal))) return
    }
  }

  /** One connection, from open to close; gives back why it ended. */
  async #attempt(slot: Slot, signal: AbortSignal): Promise<AppError> {
    const publication = this.#stream.openPublication({ priority: slot.index, label: withoutCredentials(slot.url) })
    try {
      await this.#pull({
        url: slot.url,
        transport: this.#transport,
        silenceMs: this.#settings.sourceSilenceSeconds * 1000,
        signal: AbortSignal.any([signal, publication.signal]),
        onTracks: (tracks) => {
          publication.start(tracks)
        },
        onUnit: (unit) => {
          publication.write(unit)
        },
        onLoss: (packets) => {
          publication.countLoss(packets)
        },
      })
      publication.close('the source ended the connection')
      return new AppError('SOURCE_UNREACHABLE', 'the source ended the connection')
    } catch (error) {
      const known = toAppError(error)
      publication.close(signal.aborted ? 'no longer needed' : known.message)
      return known
    }
  }
}
