import { sleep } from '#lib/abort.ts'
import type { ReloadRequest } from '#lib/config/watch.ts'
import type { Loaded } from '#lib/config/load.ts'
import { AppError, toAppError } from '#lib/errors.ts'
import { createLog, type Logger } from '#lib/log.ts'
import type { Settings } from '#roles/settings.ts'
import type { Terminal } from './terminal.ts'

/** What the command line needs of a node that runs. */
export interface RunningNode extends AsyncDisposable {
  readonly addresses: Readonly<Partial<Record<'api' | 'apiTls' | 'rtsp' | 'kafka' | 'grpc' | 'metrics' | 'worker', string>>>
  reload(loaded: Loaded<Settings>): Promise<{ changed: string[]; restarted: string[]; needsRestart: string[] }>
}

/** The log that the settings ask for; lines for people where somebody looks. */
export function openLog({ logging }: Settings, terminal: Terminal): { log: Logger; isPretty: boolean } {
  const isPretty = logging.format === 'pretty' || (logging.format === 'auto' && terminal.isErrorInteractive)
  return { log: createLog({ level: logging.level, pretty: isPretty }), isPretty }
}

/** Takes on the configuration again at each request, until there are no more. One that is refused changes nothing. */
export async function reloadUntilStopped(
  node: RunningNode,
  { reloads, log, load }: { reloads: AsyncIterable<ReloadRequest>; log: Logger; load: () => Promise<Loaded<Settings>> },
): Promise<void> {
  for await (const { cause } of reloads) {
    try {
      const loaded = await load()
      const summary = await node.reload(loaded)
      log.level = loaded.value.logging.level
      if (summary.needsRestart.length > 0) log.warn({ cause, ...summary }, 'configuration reloaded; some changes need a restart')
      else log.info({ cause, ...summary }, 'configuration reloaded')
    } catch (thrown) {
      const { code, message } = toAppError(thrown)
      log.error({ cause, code, error: message }, 'configuration refused; what was in force stays')
    }
  }
}

/** Stops a node in order; `TIMEOUT` when that takes longer than it may, so that the process ends anyway. */
export async function stopWithin(node: AsyncDisposable, seconds: number): Promise<void> {
  const timer = new AbortController()
  const stop = async () => {
    await node[Symbol.asyncDispose]()
    return 'stopped' as const
  }
  const outcome = await Promise.race([stop(), sleep(seconds * 1000, timer.signal).then(() => 'late' as const)])
  timer.abort()
  if (outcome === 'late') {
    throw new AppError('TIMEOUT', `the orderly stop took longer than server.shutdownSeconds (${seconds}); the process ends now`)
  }
}
