import { setTimeout as delay } from 'node:timers/promises'

/** Waits `ms` or until the signal fires, whichever is first; says which by returning true when the time is up. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, signal ? { signal } : {})
    return true
  } catch (error) {
    if (signal?.aborted) return false
    throw error
  }
}

/** A signal that fires when any of the given ones does; `undefined`s are left out. */
export function anySignal(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined))
}
