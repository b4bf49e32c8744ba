import { anySignal, sleep } from '#lib/abort.ts'
import { toAppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { HeldTask, WorkerRef } from '../job-store.ts'
import type { NodeLoad } from '../model.ts'
import type { HeartbeatReply } from '../worker-protocol.ts'
import type { WorkerClient } from './worker-client.ts'

const retryMs = 1000
const maxHeld = 1000

type HeartbeatOptions = {
  readonly client: Pick<WorkerClient, 'heartbeat'>
  readonly worker: WorkerRef
  readonly everyMs: number
  readonly load: () => Promise<NodeLoad>
  readonly held: () => readonly HeldTask[]
  readonly onAnswer: (answer: HeartbeatReply) => void
  readonly onBeat: (isAnswered: boolean) => void
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * Says that the worker lives and what it does, until the signal fires or the API does not know it any more. While the API is away it goes on asking; what runs
 * goes on too.
 */
export async function keepAlive(options: HeartbeatOptions): Promise<void> {
  const { client, worker, everyMs, load, held, onAnswer, onBeat, signal, log } = options
  while (!signal.aborted) {
    let waitMs = everyMs
    try {
      const message = { epoch: worker.epoch, load: await load(), held: held().slice(0, maxHeld) }
      const patience = AbortSignal.timeout(Math.ceil(Math.max(retryMs, everyMs * 2)))
      const answer = await client.heartbeat(worker.nodeId, message, { signal: anySignal(signal, patience) })
      onBeat(true)
      onAnswer(answer)
      if (!answer.isKnown) return
    } catch (thrown) {
      if (isFired(signal)) return
      onBeat(false)
      const error = toAppError(thrown)
      if (error.code === 'NODE_NOT_FOUND') return
      log.warn({ code: error.code, error: error.message }, 'heartbeat of a worker failed')
      waitMs = Math.min(everyMs, retryMs)
    }
    await sleep(waitMs * (0.9 + Math.random() * 0.1), signal)
  }
}

function isFired(signal: AbortSignal): boolean {
  return signal.aborted
}
