import { once } from 'node:events'
import { Check } from 'typebox/value'
import { eventMessageSchema, type EventMessage } from '#api/contract.ts'

/** The event WebSocket of a program under test, from a sequence on; 0 is the oldest kept. What comes is collected. */
export async function followEvents({ url }: { readonly url: string }, { from }: { from: number }): Promise<EventSocket> {
  const events: EventMessage[] = []
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/v1/events?from=${from}`)
  socket.addEventListener('message', ({ data }) => {
    const event: unknown = JSON.parse(String(data))
    if (!Check(eventMessageSchema, event)) throw new Error(`no event: ${String(data)}`)
    events.push(event)
  })
  await once(socket, 'open')
  return {
    events,
    async [Symbol.asyncDispose]() {
      if (socket.readyState === socket.CLOSED) return
      const closed = once(socket, 'close')
      socket.close()
      await closed
    },
  }
}

export type EventSocket = AsyncDisposable & { readonly events: readonly EventMessage[] }
