import { Check } from 'typebox/value'
import { eventMessageSchema, type EventMessage } from '#api/contract.ts'
import { sleep } from '#lib/abort.ts'
import { Backoff } from '#lib/backoff.ts'
import type { AppError } from '#lib/errors.ts'
import type { FetchDispatcher } from '#lib/fetch-dispatcher.ts'
import { Queue } from '#lib/queue.ts'

type EventQuery = { readonly from: number | undefined; readonly type: string | undefined; readonly subject: string | undefined }

type SocketAddress = { readonly url: URL; readonly headers: Record<string, string>; readonly dispatcher?: FetchDispatcher }

/** What following needs of the client. */
interface EventApi {
  /** Fails as the API does: `API_UNREACHABLE`, `UNAUTHORIZED`. A WebSocket would not say why. */
  checkEvents(): Promise<void>
  eventSocket(query: EventQuery): Promise<SocketAddress>
  unreachable(cause: unknown): AppError
}

export type FollowOptions = {
  readonly client: EventApi
  readonly query: EventQuery
  readonly signal: AbortSignal
  readonly onTrouble: (message: string) => void
}

/** Events as they come, until the signal fires. A connection that breaks is made again, and goes on after the last event that came. */
export async function* followEvents({ client, query, signal, onTrouble }: FollowOptions): AsyncGenerator<EventMessage, void> {
  const backoff = new Backoff({ firstMs: 500, maxMs: 15_000 })
  await client.checkEvents()
  let from = query.from
  for (;;) {
    for await (const event of socketEvents(await client.eventSocket({ ...query, from }), signal)) {
      backoff.reset()
      from = event.sequence + 1
      yield event
    }
    if (signal.aborted) return
    if (backoff.attempts === 0) onTrouble(client.unreachable('the connection broke; trying again').message)
    await sleep(backoff.nextMs(), signal)
  }
}

/** The events of one connection; ends with it. */
async function* socketEvents({ url, ...options }: SocketAddress, signal: AbortSignal): AsyncGenerator<EventMessage, void> {
  const received = new Queue<EventMessage>({ capacity: 10_000, whenFull: 'drop-oldest' })
  const socket = new WebSocket(url, options)
  const close = (): void => socket.close()
  signal.addEventListener('abort', close)
  socket.addEventListener('message', ({ data }) => {
    const event = parseEvent(data)
    if (event) received.push(event)
  })
  socket.addEventListener('error', () => received.close())
  socket.addEventListener('close', () => received.close())
  if (signal.aborted) received.close()
  try {
    yield* received
  } finally {
    signal.removeEventListener('abort', close)
    socket.close()
  }
}

/** Messages of a newer server that this version does not know are passed over. */
function parseEvent(data: unknown): EventMessage | undefined {
  try {
    const value: unknown = JSON.parse(String(data))
    return Check(eventMessageSchema, value) ? value : undefined
  } catch {
    return undefined
  }
}
