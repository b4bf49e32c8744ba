import { writeSync } from 'node:fs'
import { AV_LOG_WARNING } from 'node-av/constants'
import { Log } from 'node-av/lib'

/** Runs a peer: gives it the JSON argument and a signal that fires when standard input closes, and reports what it throws. */
export async function runPeer<Options>(run: (options: Options, signal: AbortSignal) => Promise<void>): Promise<never> {
  Log.setLevel(AV_LOG_WARNING)
  const stop = new AbortController()
  process.stdin.on('end', () => stop.abort()).resume()
  try {
    const options: Options = JSON.parse(process.argv[2] ?? '{}')
    await run(options, stop.signal)
    process.exit(0)
  } catch (error) {
    report({ event: 'failed', message: error instanceof Error ? error.message : String(error) })
    process.exit(1)
  }
}

/** One line to the test that started this peer. */
export function report(event: { readonly event: string; readonly [field: string]: unknown }): void {
  writeSync(1, `${JSON.stringify(event)}\n`)
}
