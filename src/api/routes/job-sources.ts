import { AppError } from '#lib/errors.ts'
import { uploadView } from '#jobs/scheduler/dispatch.ts'
import { isSourceKey, sourceKey } from '#jobs/scheduler/job-objects.ts'
import { partUpload } from '#store/objects/part-upload.ts'
import type { App } from '../app.ts'
import { sourceCompleteSchema, sourceCreateSchema, sourceObjectSchema, sourceUploadSchema } from '../job-contract.ts'
import { accessOf, type JobRouteDeps } from '../job-services.ts'
import { failures } from './answers.ts'

const tags = ['jobs']
const schemas = {
  create: {
    tags,
    summary: 'Begins the upload of a file that jobs are made from.',
    description: 'PUT each part to its URL, several at once if you like; then complete with the ETags that the PUTs answered.',
    body: sourceCreateSchema,
    response: { 200: sourceUploadSchema, 201: sourceUploadSchema, ...failures },
  },
  complete: {
    tags,
    summary: 'Makes an object of the parts; it can be repeated.',
    body: sourceCompleteSchema,
    response: { 200: sourceObjectSchema, ...failures },
  },
}

/** Files come into the object store, past this process where the store allows it. */
export function jobSourceRoutes(app: App, { jobs }: JobRouteDeps): void {
  const { objects, newId } = jobs

  app.post('/jobs/sources', { schema: schemas.create }, async (request, reply) => {
    const { name, sizeBytes, resume } = request.body
    const access = accessOf(jobs, request)
    if (resume !== undefined) {
      const key = requireSource(resume.object)
      const upload = partUpload({ key, uploadId: resume.uploadId, sizeBytes })
      return { object: key, upload: await uploadView(name, upload, access) }
    }
    const key = sourceKey({ id: newId(), name })
    const upload = await objects.beginParts(key, { sizeBytes })
    void reply.code(201)
    return { object: key, upload: await uploadView(name, upload, access) }
  })

  app.post('/jobs/sources/complete', { schema: schemas.complete }, async (request) => {
    const { object, uploadId, sizeBytes, etags } = request.body
    const key = requireSource(object)
    await objects.completeParts(partUpload({ key, uploadId, sizeBytes }), etags)
    return { object: key, sizeBytes: (await objects.head(key)).sizeBytes }
  })
}

/** Nothing else can be written this way. */
function requireSource(key: string): string {
  if (isSourceKey(key)) return key
  throw new AppError('REQUEST_INVALID', `body.object "${key}" is not one that POST /jobs/sources has given`)
}
