import type { AccessUnit } from '#formats/media/access-unit.ts'
import type { Track } from '#formats/media/track.ts'
import type { IngestCounters } from './ingest-counters.ts'

/** How long units wait for the parameter sets of a video track that did not come with the session's description. */
export const announceAfterMs = 2_000
/** Most that is kept meanwhile; beyond it the oldest goes. At 4 Mbit/s, 8 MiB are 16 s. */
const maxHeldUnits = 1024
const maxHeldBytes = 8 * 1024 * 1024

/** What the gate must know of a track. */
interface Candidate {
  readonly isVideo: boolean
  /** `undefined` while parameter sets are missing. */
  readonly track: Track | undefined
}

type State =
  | { readonly kind: 'waiting'; sinceMs: number | undefined; heldBytes: number; readonly held: AccessUnit[] }
  | { readonly kind: 'open'; readonly trackIds: ReadonlySet<number> }

/**
 * Announces the tracks of a session before their first unit.
 *
 *   waiting ──(every video track has its parameters, or 2 s passed and one track has)──► open
 *
 * Units that come before are held and follow the announcement; tracks that were incomplete then are left out for good.
 */
export class TrackGate {
  readonly #candidates: readonly Candidate[]
  readonly #counters: IngestCounters
  readonly #onTracks: (tracks: readonly Track[]) => void
  readonly #onUnit: (unit: AccessUnit) => void
  #state: State = { kind: 'waiting', sinceMs: undefined, heldBytes: 0, held: [] }

  constructor(options: {
    candidates: readonly Candidate[]
    counters: IngestCounters
    onTracks: (tracks: readonly Track[]) => void
    onUnit: (unit: AccessUnit) => void
  }) {
    this.#candidates = options.candidates
    this.#counters = options.counters
    this.#onTracks = options.onTracks
    this.#onUnit = options.onUnit
  }

  /** Called with every usable packet. */
  poll(nowMs: number): void {
    if (this.#state.kind === 'open') return
    this.#state.sinceMs ??= nowMs
    const tracks = this.#candidates.map(({ track }) => track).filter((track) => track !== undefined)
    const areAllKnown = this.#candidates.every(({ isVideo, track }) => !isVideo || track !== undefined)
    if (tracks.length > 0 && (areAllKnown || nowMs - this.#state.sinceMs >= announceAfterMs)) this.#open(tracks, this.#state.held)
  }

  accept(unit: AccessUnit): void {
    if (this.#state.kind === 'open') this.#pass(unit, this.#state.trackIds)
    else this.#hold(unit, this.#state)
  }

  #open(tracks: readonly Track[], held: readonly AccessUnit[]): void {
    const trackIds = new Set(tracks.map(({ id }) => id))
    this.#state = { kind: 'open', trackIds }
    this.#onTracks(tracks)
    for (const unit of held) this.#pass(unit, trackIds)
  }

  #pass(unit: AccessUnit, trackIds: ReadonlySet<number>): void {
    if (!trackIds.has(unit.track.id)) {
      this.#counters.droppedUnits += 1
      return
    }
    this.#counters.units += 1
    this.#onUnit(unit)
  }

  #hold(unit: AccessUnit, state: Extract<State, { kind: 'waiting' }>): void {
    state.held.push(unit)
    state.heldBytes += unit.data.length
    while (state.held.length > maxHeldUnits || state.heldBytes > maxHeldBytes) {
      state.heldBytes -= state.held.shift()?.data.length ?? 0
      this.#counters.droppedUnits += 1
    }
  }
}
