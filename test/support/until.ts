import { setTimeout as delay } from 'node:timers/promises'

/** Waits until the condition holds, looking every 10 ms or as often as told; fails with `what` after `timeoutMs`. The value is handed through. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what = 'condition', timeoutMs = 10_000, everyMs = 10 } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== null && value !== false) return value
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await delay(everyMs)
  }
}
