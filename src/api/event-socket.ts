import type { WebSocket } from '@fastify/websocket'
import type { EventRecord } from '#eventlog/event-log.ts'
import { sleep } from '#lib/abort.ts'
import type { Logger } from '#lib/log.ts'

/** How patient the server is with one follower. */
export type EventSocketLimits = {
  readonly pingMs: number
  /** Bytes that may be handed over and not yet sent before the next event waits. */
  readonly maxBufferedBytes: number
  /** A client that does not take those bytes for this long is let go. */
  readonly slowMs: number
}

export const eventSocketLimits: EventSocketLimits = { pingMs: 30_000, maxBufferedBytes: 64 * 1024, slowMs: 10_000 }

/** WebSocket close codes, RFC 6455 §7.4.1 and its IANA registry. */
export const closeCodes = { goingAway: 1001, internalError: 1011, tryAgainLater: 1013 } as const

export type EventSocketOptions = {
  readonly follow: (signal: AbortSignal) => AsyncIterable<EventRecord>
  readonly isWanted: (record: EventRecord) => boolean
  readonly limits: EventSocketLimits
  readonly log: Pick<Logger, 'info'>
}

/**
 * Sends events to one WebSocket until either side ends. Only one event at a time is taken from the log, so a slow client costs no memory: what
 * it misses meanwhile it can still get from the history, and a client that takes nothing at all is closed with 1013 and can come back.
 */
export async function serveEvents(socket: WebSocket, { follow, isWanted, limits, log }: EventSocketOptions): Promise<void> {
  const gone = new AbortController()
  socket.on('close', () => {
    gone.abort()
  })
  const pinging = startPinging(socket, limits.pingMs)
  try {
    for await (const record of follow(gone.signal)) {
      if (!isWanted(record) || (await send(socket, JSON.stringify(record), limits))) continue
      log.info({ sequence: record.sequence, bufferedBytes: socket.bufferedAmount }, 'event follower was too slow')
      socket.close(closeCodes.tryAgainLater, `too slow: nothing taken for ${limits.slowMs} ms; resume after your last event`)
      return
    }
  } catch (error) {
    socket.close(closeCodes.internalError, 'the event log failed; see the log of the server')
    throw error
  } finally {
    clearInterval(pinging)
    gone.abort()
  }
}

/** False when the client did not take what was sent before in time. */
async function send(socket: WebSocket, text: string, { maxBufferedBytes, slowMs }: EventSocketLimits): Promise<boolean> {
  const sent = new AbortController()
  socket.send(text, () => {
    sent.abort()
  })
  if (socket.bufferedAmount <= maxBufferedBytes) return true
  return !(await sleep(slowMs, sent.signal))
}

/** Ends the connection when a ping is not answered before the next: the other end is gone without a word. */
function startPinging(socket: WebSocket, pingMs: number): NodeJS.Timeout {
  let isAnswered = true
  socket.on('pong', () => {
    isAnswered = true
  })
  return setInterval(() => {
    if (!isAnswered) {
      socket.terminate()
      return
    }
    isAnswered = false
    socket.ping()
  }, pingMs)
}
