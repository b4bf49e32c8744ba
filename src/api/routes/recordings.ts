import type { RecordingSegment, SegmentQuery } from '#live/recorder/recording-index.ts'
import { AppError } from '#lib/errors.ts'
import type { App } from '../app.ts'
import {
  defaultPageSize,
  type RecordingList,
  recordingListQuerySchema,
  recordingListSchema,
  recordingParamsSchema,
  type RecordingView,
  recordingViewSchema,
} from '../contract.ts'
import { readCursor, writeCursor } from '../paging.ts'
import { parseTimeRange } from '../time-range.ts'
import { failures, noContentSchema } from './answers.ts'

/** The index of recorded files, and the way to delete one. */
export interface RecordingService {
  find(id: string): Promise<RecordingSegment | undefined>
  /** In the order of start, then id. */
  list(query: SegmentQuery): Promise<RecordingSegment[]>
  /** Deletes the file on disk and in the archive. Throws `RECORDING_NOT_FOUND`; `RECORDING_OPEN` while it is being written. */
  remove(id: string): Promise<void>
}

const tags = ['recordings']
const params = recordingParamsSchema
const schemas = {
  list: {
    tags,
    summary: 'Lists recorded files by their start.',
    querystring: recordingListQuerySchema,
    response: { 200: recordingListSchema, ...failures },
  },
  find: { tags, summary: 'One recorded file.', params, response: { 200: recordingViewSchema, ...failures } },
  remove: {
    tags,
    summary: 'Deletes a recorded file, also from the archive.',
    params,
    response: { 204: noContentSchema, ...failures },
  },
}

export function recordingRoutes(app: App, { recordings }: { recordings: RecordingService }): void {
  app.get('/recordings', { schema: schemas.list }, async (request): Promise<RecordingList> => {
    const { stream, limit = defaultPageSize, cursor } = request.query
    const segments = await recordings.list({
      ...(stream === undefined ? {} : { stream }),
      ...parseTimeRange(request.query),
      ...(cursor === undefined ? {} : { after: placeOf(cursor) }),
      limit: limit + 1,
    })
    const page = segments.slice(0, limit)
    const last = segments.length > limit ? page.at(-1) : undefined
    return {
      items: page.map(recordingView),
      ...(last ? { nextCursor: writeCursor(`${last.startedAtMs} ${last.id}`) } : {}),
    }
  })

  app.get('/recordings/:id', { schema: schemas.find }, async (request) => {
    const { id } = request.params
    const segment = await recordings.find(id)
    if (!segment) throw new AppError('RECORDING_NOT_FOUND', `no recording has the id "${id}"; it may have been deleted`)
    return recordingView(segment)
  })

  app.delete('/recordings/:id', { schema: schemas.remove }, async (request, reply) => {
    await recordings.remove(request.params.id)
    return reply.code(204).send(null)
  })
}

function recordingView(segment: RecordingSegment): RecordingView {
  const { id, stream, startedAtMs, endedAtMs, durationMs, sizeBytes, state, isOnDisk, archivedAtMs } = segment
  return {
    id,
    stream,
    startedAt: new Date(startedAtMs).toISOString(),
    ...(endedAtMs === undefined ? {} : { endedAt: new Date(endedAtMs).toISOString() }),
    durationMs,
    sizeBytes,
    state,
    isOnDisk,
    ...(archivedAtMs === undefined ? {} : { archivedAt: new Date(archivedAtMs).toISOString() }),
  }
}

function placeOf(cursor: string): { startedAtMs: number; id: string } {
  const [startedAtMs = '', id = ''] = readCursor(cursor).split(' ')
  return { startedAtMs: Number(startedAtMs), id }
}
