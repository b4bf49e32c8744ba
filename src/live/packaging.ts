import type { Track } from '#formats/media/track.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Logger } from '#lib/log.ts'
import type { Declaration } from './managed-stream.ts'
import { HlsWindow } from './packager/hls-window.ts'
import { Packager } from './packager/packager.ts'
import type { ReaderHandle } from './reader.ts'
import type { Recorder } from './recorder/recorder.ts'
import type { LiveSettings } from './settings.ts'
import type { RecordingState } from './status.ts'
import type { Stream } from './stream.ts'

/** A viewer who asked for nothing this long is gone; an on-demand window is then closed. */
const unwatchedMs = 60_000

/**
 * `all` holds every track; `playable` leaves out what HLS players do not know, and is made only where that is a difference. The recorder
 * takes `all`: a window of `playable` shares no bytes with recordings and keeps all of its segments in memory.
 */
type Profile = 'all' | 'playable'

type Pump = { readonly packager: Packager; readonly reader: ReaderHandle }

type Opened = { readonly window: HlsWindow; readonly profile: Profile; isWatched: boolean; idleTimer: NodeJS.Timeout | undefined }

/**
 * What a stream feeds besides its connected readers: one packager, shared by the recorder and the HLS window.
 *
 *   stream ──► packager ─┬─► recorder     while recording is wanted; notes in each part where it is stored
 *                        └─► HLS window   always, or while somebody watches; lets go of the memory of what is stored
 */
export class StreamPackaging {
  readonly #stream: Stream
  readonly #settings: LiveSettings
  readonly #recorder: Recorder
  readonly #clock: Clock
  readonly #log: Logger
  readonly #onWatchedChange: () => void
  readonly #releaseRecorder: (recorder: Recorder) => Promise<void>
  readonly #pumps = new Map<Profile, Pump>()
  #mode: Declaration['spec']['hls'] = 'off'
  #isRecording = false
  #opened: Opened | undefined

  constructor(options: {
    stream: Stream
    settings: LiveSettings
    recorder: Recorder
    releaseRecorder: (recorder: Recorder) => Promise<void>
    clock: Clock
    log: Logger
    onWatchedChange: () => void
  }) {
    this.#stream = options.stream
    this.#settings = options.settings
    this.#recorder = options.recorder
    this.#clock = options.clock
    this.#log = options.log
    this.#onWatchedChange = options.onWatchedChange
    this.#releaseRecorder = options.releaseRecorder
    this.#stream.on('active', this.#checkProfile)
  }

  /** Somebody watches over HLS, which is no connection. */
  get isWatched(): boolean {
    return this.#opened?.isWatched ?? false
  }

  get recording(): { state: RecordingState; error?: string } {
    return this.#recorder.status
  }

  /** Takes on what the declaration says about HLS and recording. */
  apply({ spec, recording }: Declaration): void {
    this.#mode = spec.hls
    this.#applyRecording(recording ?? (spec.recording.enabled ? 'on' : 'off'), spec.recording.segmentSeconds)
    if (spec.hls === 'off') this.#closeWindow()
    if (spec.hls === 'always') this.#openWindow()
    this.#releasePumps()
  }

  /** The window for a viewer; opens it when it is made on demand. Throws `HLS_DISABLED`. */
  watch(): HlsWindow {
    if (this.#mode === 'off')
      throw new AppError('HLS_DISABLED', `stream "${this.#stream.name}" is not packaged for HLS; set its hls to "on-demand"`)
    const opened = this.#opened ?? this.#openWindow()
    clearTimeout(opened.idleTimer)
    opened.idleTimer = setTimeout(() => this.#unwatched(opened), unwatchedMs)
    if (!opened.isWatched) {
      opened.isWatched = true
      this.#onWatchedChange()
    }
    return opened.window
  }

  /** No publication is left: what is pending is cut, so that it can be seen and is safe. */
  pause(): void {
    for (const { packager } of this.#pumps.values()) packager.pause()
  }

  /** The stream is stopped: files are closed, viewers are let go. `apply` may follow. */
  stop(): void {
    this.#closeWindow()
    this.#isRecording = false
    this.#releasePumps()
  }

  async close(): Promise<void> {
    this.#stream.off('active', this.#checkProfile)
    this.stop()
    await this.#releaseRecorder(this.#recorder)
  }

  #applyRecording(wish: 'on' | 'off' | 'paused', segmentSeconds: number): void {
    this.#recorder.segmentSeconds = segmentSeconds
    this.#isRecording = wish !== 'off'
    if (wish !== 'on') this.#cutForRecorder()
    if (wish === 'off') {
      this.#recorder.stop('recording is switched off')
      return
    }
    if (!this.#pumps.get('all')?.packager.hasListener(this.#recorder)) this.#pump('all').addListener(this.#recorder)
    this.#recorder.start()
    if (wish === 'paused') this.#recorder.pause()
    else this.#recorder.resume()
  }

  /** What is pending is still recorded. Not where viewers share the packager: some players stall on a part that is cut short. */
  #cutForRecorder(): void {
    if (this.#opened?.profile !== 'all') this.#pumps.get('all')?.packager.pause()
  }

  #openWindow(): Opened {
    if (this.#opened) return this.#opened
    const profile = profileFor(this.#stream.tracks)
    const packager = this.#pump(profile)
    const log = this.#log.child({ stream: this.#stream.name })
    const window = new HlsWindow({ prefix: newId(this.#clock.nowMs()), packager, settings: this.#settings, log })
    packager.addListener(window)
    const opened: Opened = { window, profile, isWatched: false, idleTimer: undefined }
    this.#opened = opened
    return opened
  }

  #unwatched(opened: Opened): void {
    opened.isWatched = false
    if (this.#mode === 'on-demand') {
      this.#closeWindow()
      this.#releasePumps()
    }
    this.#onWatchedChange()
  }

  #closeWindow(): void {
    const opened = this.#opened
    if (!opened) return
    this.#opened = undefined
    clearTimeout(opened.idleTimer)
    this.#pumps.get(opened.profile)?.packager.removeListener(opened.window)
    opened.window.ended()
    this.#onWatchedChange()
  }

  /** Another source may bring sound that players do not know, or take it away: viewers then get another window. */
  readonly #checkProfile = (): void => {
    if (!this.#opened || this.#opened.profile === profileFor(this.#stream.tracks)) return
    this.#closeWindow()
    if (this.#mode === 'always') this.#openWindow()
    this.#releasePumps()
  }

  #pump(profile: Profile): Packager {
    const running = this.#pumps.get(profile)
    if (running) return running.packager
    const packager = new Packager({
      tracks: this.#stream.tracks,
      settings: this.#settings,
      accepts: profile === 'all' ? () => true : isPlayable,
    })
    const peer = { id: `packager-${newId(this.#clock.nowMs())}`, protocol: 'internal', remoteAddress: 'packager' } as const
    const reader = this.#stream.addReader({ peer, sink: packager })
    this.#pumps.set(profile, { packager, reader })
    return packager
  }

  #releasePumps(): void {
    for (const [profile, { packager, reader }] of this.#pumps) {
      const isUsed = (profile === 'all' && this.#isRecording) || this.#opened?.profile === profile
      if (isUsed) continue
      this.#pumps.delete(profile)
      reader.remove()
      packager.close()
    }
  }
}

function profileFor(tracks: readonly Track[]): Profile {
  return tracks.every(isPlayable) ? 'all' : 'playable'
}

/** No HLS player decodes G.711: it is not among the codecs of RFC 6381 that Media Source Extensions know. */
function isPlayable({ parameters }: Track): boolean {
  return parameters.codec !== 'pcma' && parameters.codec !== 'pcmu'
}
