import { once } from 'node:events'
import { anySignal, sleep } from '#lib/abort.ts'
import type { Clock } from '#lib/clock.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import { isLoopback } from '#lib/loopback.ts'
import type { ProfileKind, ProfileOrder } from './profile-order.ts'

/** Who asks for a profile. */
export type ProfileCaller = {
  /** A name that was proved with a password; absent where nobody need say. */
  readonly user?: string
  readonly remoteAddress: string
  /** A page in a browser asks, whosever it is. */
  readonly isPage: boolean
  /** Fires when the answer is over, in whatever way: all of it is sent or the client is gone (then with `answerOver`), or the server stops. */
  readonly signal: AbortSignal
}

/** Pieces of the file, in order. */
export type ProfileChunks = AsyncIterable<string | Uint8Array>

/** Proxies close an answer that is silent for longer, often after 60 s. An empty line before JSON changes nothing. */
const keepAliveMs = 15_000

/**
 * Profiles of this process, one at a time, while the settings allow it. Nothing of V8's profilers is loaded before the first one.
 *
 *   free ── begin ─► being taken ── its time is over ─► being sent ── the answer is over ─► free
 *                        └── client gone, server stops, no longer allowed ─────────────────►
 */
export class Profiler {
  readonly #clock: Clock
  readonly #log: Logger
  /** Fires when it is forbidden again; absent while it is. */
  #allowed: AbortController | undefined
  #current: ProfileKind | undefined

  constructor({ clock, log }: { clock: Clock; log: Logger }) {
    this.#clock = clock
    this.#log = log
  }

  /** What the settings say. One that is being taken is broken off when it is forbidden. */
  allow(isAllowed: boolean): void {
    if (isAllowed === (this.#allowed !== undefined)) return
    this.#allowed?.abort(disabled)
    this.#allowed = isAllowed ? new AbortController() : undefined
    if (isAllowed) this.#log.warn('profiling is on: administrators may take CPU and heap profiles of this process')
    else this.#log.info('profiling is off')
  }

  /**
   * Begins at once; the chunks come when its time is over. Throws `PROFILING_DISABLED`, `FORBIDDEN` and `PROFILE_RUNNING`; the chunks throw
   * `PROFILE_TOO_LARGE`, and `SHUTTING_DOWN` or `PROFILING_DISABLED` when it is broken off.
   */
  begin(order: ProfileOrder, caller: ProfileCaller): ProfileChunks {
    if (!this.#allowed) throw disabled
    requireTrust(caller)
    if (this.#current) {
      const message = `a profile (${this.#current}) is being taken already, and two would measure each other; wait until it is over`
      throw new AppError('PROFILE_RUNNING', message)
    }
    this.#current = order.kind
    const taken = this.#take(order, caller, anySignal(caller.signal, this.#allowed.signal))
    // Also while it is being sent: a snapshot is memory until then.
    void Promise.allSettled([taken, fired(caller.signal)]).then(() => (this.#current = undefined))
    return chunksOf(taken)
  }

  async #take(order: ProfileOrder, { user, remoteAddress }: ProfileCaller, signal: AbortSignal): Promise<ProfileChunks> {
    const startedMs = this.#clock.monotonicMs()
    const fields = { ...order, ...(user !== undefined && { user }), remoteAddress }
    this.#log.info(fields, 'profile begins')
    try {
      const { takeProfile } = await import('./profile-session.ts')
      const chunks = await takeProfile(order, signal)
      this.#log.info({ ...fields, tookMs: Math.round(this.#clock.monotonicMs() - startedMs) }, 'profile is taken')
      return chunks
    } catch (error) {
      this.#log.warn({ ...fields, reason: toAppError(error).message }, 'profile broken off')
      throw error
    }
  }
}

const disabled = new AppError(
  'PROFILING_DISABLED',
  'profiling is off; set profiling.enabled = true in the configuration file, which a running server takes on, or start it with --enable-profiling',
)

/** A reason for `ProfileCaller.signal`. */
export const answerOver = new AppError('TIMEOUT', 'the client went away before the profile was taken')

/** A profile tells how the process is built, a snapshot every secret in it: where nobody has a name, that is for this machine alone. */
function requireTrust({ user, remoteAddress, isPage }: ProfileCaller): void {
  if (user !== undefined) return
  if (isPage) throw new AppError('FORBIDDEN', 'a page may not take profiles without a user; use "millrace profile", or curl')
  if (isLoopback(remoteAddress)) return
  throw new AppError(
    'FORBIDDEN',
    `${remoteAddress} may not take profiles without a user; ask on the machine itself, or the API of a server that has [[users]]`,
  )
}

async function* chunksOf(taken: Promise<ProfileChunks>): AsyncGenerator<string | Uint8Array, void, undefined> {
  const over = new AbortController()
  try {
    for (;;) {
      const chunks = await Promise.race([taken, sleep(keepAliveMs, over.signal).then(() => undefined)])
      if (chunks) return yield* chunks
      yield '\n'
    }
  } finally {
    over.abort()
  }
}

async function fired(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
