import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import { findResult } from '#jobs/scheduler/stored-values.ts'
import type { App } from '../app.ts'
import { jobFileParamsSchema } from '../job-contract.ts'
import type { JobRouteDeps } from '../job-services.ts'
import { sendMedia } from '../media-answer.ts'
import { openObjectMedia } from '../object-media.ts'
import { failures } from './answers.ts'

const bytes = {
  description: 'The bytes.',
  content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) } },
}
const schema = {
  tags: ['jobs'],
  summary: 'A file that a job has published; byte ranges work.',
  description: 'Playlists name other files of the same job: open `result.entryUrl` in a player.',
  params: jobFileParamsSchema,
  response: { 200: bytes, 206: bytes, ...failures },
}
/** How long an answer takes is up to the client. */
const config = { isStreaming: true, isUnlimited: true }

/** What a job has published never changes: it is made once, and has an address of its own. */
const cacheControl = 'private, max-age=31536000, immutable'

export function jobFileRoutes(app: App, { jobs }: JobRouteDeps): void {
  app.get('/jobs/:id/files/:name', { schema, config }, async (request, reply) => {
    const { id, name } = request.params
    const result = findResult((await jobs.scheduler.requireJob(id)).result)
    const file = result?.files.find((candidate) => candidate.name === name)
    if (result === undefined || file === undefined) {
      throw new AppError(
        'OBJECT_NOT_FOUND',
        `job ${id} has published no file "${name}"; GET /api/v1/jobs/${id} lists what it has`,
      )
    }
    const media = await openObjectMedia(jobs.objects, result.prefix + name)
    return await sendMedia(request, reply, media, { contentType: file.contentType, cacheControl })
  })
}
