import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { WorkerRef } from '../job-store.ts'
import type { WorkerTask } from '../worker-protocol.ts'
import type { Slots } from './slots.ts'
import type { WorkerClient } from './worker-client.ts'

const maxTasks = 64
const restMs = 1000

type ClaimOptions = {
  readonly client: Pick<WorkerClient, 'claim'>
  readonly worker: WorkerRef
  readonly slots: Slots
  /** How long the API may hold an ask for which it has nothing. */
  readonly waitMs: number
  /** Why no work may be taken now; asked before each claim. */
  readonly obstacle: () => Promise<string | undefined>
  readonly start: (task: WorkerTask) => void
  readonly signal: AbortSignal
  readonly log: Logger
}

/** Asks for work while there are free slots, until the signal fires or the API does not know the worker any more. */
export async function claimWork({ client, worker, slots, waitMs, obstacle, start, signal, log }: ClaimOptions): Promise<void> {
  const backoff = new Backoff({ firstMs: 200, maxMs: 5000 })
  for (;;) {
    await slots.whenFree(signal)
    if (signal.aborted) return
    try {
      const reason = await obstacle()
      if (reason !== undefined) {
        log.debug({ reason }, 'worker takes no work now')
        await sleep(restMs, signal)
        continue
      }
      const { isKnown, tasks } = await client.claim(worker, { max: Math.min(slots.free, maxTasks), waitMs, signal })
      backoff.reset()
      if (!isKnown) return
      for (const task of tasks) start(task)
    } catch (thrown) {
      if (isFired(signal)) return
      const error = toAppError(thrown)
      if (error.code === 'NODE_NOT_FOUND') return
      log.warn({ code: error.code, error: error.message }, 'worker could not ask for work')
      await sleep(backoff.nextMs(), signal)
    }
  }
}

function isFired(signal: AbortSignal): boolean {
  return signal.aborted
}
