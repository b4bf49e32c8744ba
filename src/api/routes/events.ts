import type { EventLog, EventRecord } from '#eventlog/event-log.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { App } from '../app.ts'
import { defaultPageSize, type EventList, type EventQuery, eventListSchema, eventQuerySchema } from '../contract.ts'
import { eventFilter } from '../event-filter.ts'
import { type EventSocketLimits, eventSocketLimits, serveEvents } from '../event-socket.ts'
import { readCursor, writeCursor } from '../paging.ts'
import { failures } from './answers.ts'

export type EventRouteDeps = {
  readonly events: Pick<EventLog, 'read' | 'follow'>
  readonly socketLimits?: EventSocketLimits
  readonly log: Pick<Logger, 'info'>
}

/** WebSockets at once; each costs a few kilobytes and some time for each event. */
const maxSockets = 1000

/** Records read at once from the log while looking for those that a filter lets through. */
const scanBatch = 1000

const schemas = {
  events: {
    tags: ['events'],
    summary: 'Events: a page of the history, or, as a WebSocket, all from now on.',
    description:
      'Over WebSocket each message is one event as JSON. With `from` the kept history is sent first; if that place is not kept any more, a `history.truncated` message comes first. A client that does not read is closed with 1013.',
    querystring: eventQuerySchema,
    response: { 200: eventListSchema, ...failures },
  },
}

export function eventRoutes(app: App, { events, log, socketLimits = eventSocketLimits }: EventRouteDeps): void {
  app.route({
    method: 'GET',
    url: '/events',
    schema: schemas.events,
    preValidation: async (request) => {
      if (!request.ws || app.websocketServer.clients.size < maxSockets) return
      throw new AppError('CLIENT_LIMIT', `${maxSockets} clients follow events, the most allowed; try again later`)
    },
    handler: async (request) => readEvents(events, request.query),
    wsHandler: async (socket, request) => {
      const from = startOf(request.query)
      await serveEvents(socket, {
        follow: (signal) => events.follow({ ...(from === undefined ? {} : { from }), signal }),
        isWanted: eventFilter(request.query),
        limits: socketLimits,
        log,
      })
    },
  })
}

/** Where to begin: the cursor of the page before, or the sequence asked for. */
function startOf({ cursor, from }: EventQuery): number | undefined {
  return cursor === undefined ? from : Number(readCursor(cursor))
}

async function readEvents(events: Pick<EventLog, 'read'>, query: EventQuery): Promise<EventList> {
  const { limit = defaultPageSize } = query
  const isWanted = eventFilter(query)
  const from = startOf(query)
  return from === undefined ? newest(events, { limit, isWanted }) : onward(events, { from, limit, isWanted })
}

type Scan = { readonly limit: number; readonly isWanted: (record: EventRecord) => boolean }

/** The first `limit` wanted records from a place on. */
async function onward(events: Pick<EventLog, 'read'>, { from, limit, isWanted }: Scan & { from: number }): Promise<EventList> {
  const items: EventRecord[] = []
  let next = from
  for (;;) {
    const page = await events.read({ from: next, limit: scanBatch })
    const { oldestSequence, nextSequence } = page
    for (const record of page.items) {
      if (!isWanted(record)) continue
      if (items.length === limit) return { items, nextCursor: writeCursor(String(record.sequence)), oldestSequence, nextSequence }
      items.push(record)
    }
    next = page.next
    if (page.items.length === 0 || next >= nextSequence) return { items, oldestSequence, nextSequence }
  }
}

/** The last `limit` wanted records, oldest first. Looks from the end backwards. */
async function newest(events: Pick<EventLog, 'read'>, { limit, isWanted }: Scan): Promise<EventList> {
  const { oldestSequence, nextSequence } = await events.read({ from: 0, limit: 0 })
  const found: EventRecord[][] = []
  let count = 0
  for (let end = nextSequence; end > oldestSequence && count < limit; end -= scanBatch) {
    const start = Math.max(oldestSequence, end - scanBatch)
    const { items } = await events.read({ from: start, limit: end - start })
    const wanted = items.filter(isWanted)
    found.unshift(wanted)
    count += wanted.length
  }
  return { items: found.flat().slice(-limit), oldestSequence, nextSequence }
}
