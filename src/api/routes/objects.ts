import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import { objectPlaceSchema } from '#store/objects/object-place.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { checkPartSize, partRange } from '#store/objects/part-upload.ts'
import type { ObjectTransfers } from '#store/objects/transfers.ts'
import type { App } from '../app.ts'
import { sendMedia } from '../media-answer.ts'
import { openObjectMedia } from '../object-media.ts'
import { announcedBytes } from '../request-body.ts'
import { failures } from './answers.ts'

export type ObjectRouteDeps = { readonly objects: ObjectStore; readonly transfers: Pick<ObjectTransfers, 'verify'> }

const tags = ['objects']
const querystring = Type.Object(
  { token: Type.String({ maxLength: 8192, description: 'Of a URL that this server has signed.' }) },
  { additionalProperties: false },
)
const config = { isOpen: true, isStreaming: true, isUnlimited: true }
const placeConfig = { isOpen: true, isUnlimited: true }
const tokenSchema = querystring.properties.token

const schemas = {
  get: {
    tags,
    summary: 'Bytes of an object, for whoever has a signed URL.',
    description: 'Takes one range, and If-Range.',
    querystring,
    response: { ...failures },
  },
  place: {
    tags,
    summary: 'Where the object of a signed URL lies as a file, for whoever sees the same directory.',
    description:
      'It is the same directory where its file `.unfinished/proof` holds `proof`. Stores that have no files answer UNSUPPORTED.',
    body: Type.Object({ token: tokenSchema }, { additionalProperties: false }),
    response: { 200: objectPlaceSchema, ...failures },
  },
  put: {
    tags,
    summary: 'Takes a part of an upload, for whoever has a signed URL.',
    description: 'The body is the part in its exact size. The header ETag of the answer is its tag. A part may be put again.',
    querystring,
    response: { 200: Type.Null({ description: 'The part is kept.' }), ...failures },
  },
}

/** /objects/transfer: the token is all that it takes, and permits one method on one object. */
export function objectRoutes(app: App, { objects, transfers }: ObjectRouteDeps): void {
  app.get('/objects/transfer', { schema: schemas.get, config }, async (request, reply) => {
    const transfer = transfers.verify(request.query.token)
    if (transfer.kind !== 'get') throw wrongMethod(request.method)
    const media = await openObjectMedia(objects, transfer.key)
    return await sendMedia(request, reply, media, { contentType: 'application/octet-stream', cacheControl: 'private, no-cache' })
  })

  app.post('/objects/transfer/place', { schema: schemas.place, config: placeConfig }, async (request) => {
    const transfer = transfers.verify(request.body.token)
    const place = await objects.place?.()
    if (!place) throw new AppError('UNSUPPORTED', 'objects of this server are no files; use the URL')
    if (transfer.kind === 'get') return { ...place, key: transfer.key }
    const { key, uploadId, sizeBytes } = transfer.upload
    return { ...place, key, upload: { uploadId, sizeBytes } }
  })

  void app.register(async (scope: App) => {
    // The body goes straight into the store.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    scope.put('/objects/transfer', { schema: schemas.put, config }, async (request, reply) => {
      try {
        const transfer = transfers.verify(request.query.token)
        if (transfer.kind !== 'put') throw wrongMethod(request.method)
        const { upload, part } = transfer
        const { sizeBytes } = partRange(upload, part)
        checkPartSize(upload, part, announcedBytes(request.raw) ?? sizeBytes)
        const etag = await objects.putPart(upload, part, { stream: bodyOf(request.raw), sizeBytes })
        return await reply.header('etag', etag).send(null)
      } catch (error) {
        // What still comes is not waited for.
        if (!request.raw.complete) void reply.header('connection', 'close')
        throw error
      }
    })
  })
}

/** The body as a stream of its own: whoever destroys it does not cut the connection, over which the refusal goes. */
function bodyOf(request: IncomingMessage): Readable {
  return Readable.from(chunksOf(request), { objectMode: false })
}

async function* chunksOf(request: IncomingMessage): AsyncGenerator<unknown, void, undefined> {
  try {
    yield* request.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new AppError('TRUNCATED', 'the connection ended before the body did', { cause })
  }
}

function wrongMethod(method: string): AppError {
  return new AppError('FORBIDDEN', `the URL was not signed for ${method}`)
}
