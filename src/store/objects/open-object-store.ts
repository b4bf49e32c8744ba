import { join } from 'node:path'
import type { Clock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import type { Logger } from '#lib/log.ts'
import type { ObjectsSettings } from '../settings.ts'
import { DirectoryStore } from './directory-store.ts'
import type { ObjectStore } from './object-store.ts'
import { S3Store } from './s3-store.ts'

type Deps = { readonly dataDirectory: string; readonly clock: Clock; readonly log: Logger }

/** The object store of the settings. Throws `CONFIG_INVALID` when they contradict themselves, `OBJECTS_UNAVAILABLE` for a directory that cannot be. */
export async function openObjectStore(settings: ObjectsSettings, { dataDirectory, clock, log }: Deps): Promise<ObjectStore> {
  const { directory, bucket, endpoint, region, pathStyle, accessKeyId, secretAccessKey } = settings
  if (bucket === undefined) {
    if (endpoint !== undefined) throw invalid('objects.endpoint needs objects.bucket')
    return await DirectoryStore.open({ directory: directory ?? join(dataDirectory, 'objects'), clock })
  }
  if (directory !== undefined) throw invalid('objects.directory and objects.bucket exclude each other; remove one')
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw invalid('objects.accessKeyId and objects.secretAccessKey need each other')
  }
  return await S3Store.open({
    bucket,
    region,
    pathStyle,
    log,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId !== undefined && secretAccessKey !== undefined ? { credentials: { accessKeyId, secretAccessKey } } : {}),
  })
}

function invalid(message: string): AppError {
  return new AppError('CONFIG_INVALID', message)
}
