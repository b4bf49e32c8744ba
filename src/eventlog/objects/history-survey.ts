import { AppError } from '#lib/errors.ts'
import type { ObjectInfo, ObjectStore } from '#store/objects/object-store.ts'
import { eachOf } from './each-of.ts'
import { loadObjectIndex } from './load-object-index.ts'
import { isKeyOf, objectPrefix } from './object-format.ts'
import type { IndexedRun } from './object-index.ts'

/** Indexes that are read at once. */
export const indexReadsAtOnce = 16

/** What a bucket holds: every object of the log whose index can be read, and those whose index cannot. */
export type Survey = {
  readonly objects: readonly SurveyedObject[]
  readonly unreadable: readonly { readonly objectKey: string; readonly message: string }[]
  /** No batch in any object has a larger one; -1 when there is none with one. */
  readonly lastProducerId: number
}

export type SurveyedObject = {
  readonly id: string
  readonly key: string
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** As the index has them, and in its order. */
  readonly runs: readonly SurveyedRun[]
}

/** What has to be known of every run at once; the rest is read again when it is needed, because there may be millions. */
export type SurveyedRun = {
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  readonly partitionId: number
  readonly epoch: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly lengthBytes: number
  readonly objectId: string
  readonly objectKey: string
  readonly modifiedAtMs: number
}

type Options = {
  readonly objects: ObjectStore
  readonly onObject?: ((count: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Lists all objects of the log and reads their indexes. Fails with `OBJECTS_UNAVAILABLE` when the store does not answer. */
export async function surveyObjects({ objects, onObject, signal }: Options): Promise<Survey> {
  const surveyed = new Map<string, SurveyedObject>()
  const unreadable: { objectKey: string; message: string }[] = []
  let lastProducerId = -1
  let count = 0
  for await (const page of pagesOf(objects, signal)) {
    await eachOf(page, indexReadsAtOnce, async (info) => {
      const read = await readIndex(objects, { info, signal })
      const twin = read.kind === 'read' && surveyed.get(read.object.id)
      if (twin) {
        unreadable.push({ objectKey: info.key, message: `object ${info.key} is a copy of ${twin.key}` })
      } else if (read.kind === 'read') {
        surveyed.set(read.object.id, read.object)
        lastProducerId = Math.max(lastProducerId, read.lastProducerId)
      } else if (read.kind === 'unreadable') {
        unreadable.push({ objectKey: info.key, message: read.message })
      }
      onObject?.((count += 1))
    })
  }
  return { objects: [...surveyed.values()], unreadable, lastProducerId }
}

async function* pagesOf(objects: ObjectStore, signal: AbortSignal | undefined): AsyncGenerator<readonly ObjectInfo[]> {
  let after: string | undefined
  do {
    const page = await objects.list({
      prefix: objectPrefix,
      ...(after === undefined ? {} : { after }),
      ...(signal ? { signal } : {}),
    })
    yield page.objects
    after = page.next
  } while (after !== undefined)
}

type Read =
  | { readonly kind: 'read'; readonly object: SurveyedObject; readonly lastProducerId: number }
  | { readonly kind: 'unreadable'; readonly message: string }
  | { readonly kind: 'gone' }

type Listed = { readonly info: ObjectInfo; readonly signal: AbortSignal | undefined }

async function readIndex(objects: ObjectStore, { info, signal }: Listed): Promise<Read> {
  const { key, sizeBytes } = info
  try {
    const { objectId, runs } = await loadObjectIndex(objects, { key, sizeBytes, signal })
    if (!isKeyOf(key, objectId))
      return { kind: 'unreadable', message: `object ${key} says that it is ${objectId}; it was moved or copied` }
    const place = { objectId, objectKey: key, modifiedAtMs: info.modifiedAt.getTime() }
    const object = {
      id: objectId,
      key,
      sizeBytes,
      modifiedAtMs: place.modifiedAtMs,
      runs: runs.map((run) => outlineOf(run, place)),
    }
    const lastProducerId = runs.reduce((last, run) => run.producers.reduce((id, one) => Math.max(id, one.producerId), last), -1)
    return { kind: 'read', object, lastProducerId }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'OBJECT_NOT_FOUND') return { kind: 'gone' }
    if (error.code === 'LOG_DAMAGED' || error.code === 'UNSUPPORTED') return { kind: 'unreadable', message: error.message }
    throw error
  }
}

function outlineOf(
  { topicId, topicName, partition, row }: IndexedRun,
  place: Pick<SurveyedRun, 'objectId' | 'objectKey' | 'modifiedAtMs'>,
): SurveyedRun {
  const { partitionId, epoch, baseOffset, lastOffset, lengthBytes } = row
  return { topicId, topicName, partition, partitionId, epoch, baseOffset, lastOffset, lengthBytes, ...place }
}
