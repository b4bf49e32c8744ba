import { AppError } from '#lib/errors.ts'
import type { JobSource } from '../scenario.ts'
import type { OrderInput } from './task-order.ts'
import type { JobMedia, WorkerAccess } from './worker-access.ts'
import type { InputFile } from '../worker-protocol.ts'

/** What this needs of the object store. */
export interface InputObjects {
  head(key: string): Promise<{ readonly sizeBytes: number }>
}

type InputDeps = { readonly objects: InputObjects; readonly media: JobMedia }
type InputRequest = { readonly input: OrderInput; readonly source: JobSource; readonly access: WorkerAccess }

/** A file as a worker gets it, with an address that is valid from now. Throws what the source's owner throws when it is not there. */
export async function inputFile(deps: InputDeps, { input, source, access }: InputRequest): Promise<InputFile> {
  const { name } = input
  switch (input.from) {
    case 'source':
      return await sourceFile(deps, { name, source, access })
    case 'object':
      return await objectFile(deps, { name, key: input.key, access })
    case 'task': {
      const { key, sizeBytes } = input.file
      return { name, url: await access.urls.get(key), sizeBytes, taskId: input.taskId }
    }
    default:
      return input satisfies never
  }
}

async function sourceFile(
  deps: InputDeps,
  { name, source, access }: { name: string; source: JobSource; access: WorkerAccess },
): Promise<InputFile> {
  if ('object' in source) return await objectFile(deps, { name, key: source.object, access })
  if ('url' in source) return { name, url: source.url }
  if ('recording' in source) return { name, url: await deps.media.recordingUrl(source.recording) }
  throw new AppError('INTERNAL', `stream "${source.stream}" is no file; live scenarios read it in another way`)
}

async function objectFile(
  { objects }: InputDeps,
  { name, key, access }: { name: string; key: string; access: WorkerAccess },
): Promise<InputFile> {
  const { sizeBytes } = await objects.head(key)
  return { name, url: await access.urls.get(key), sizeBytes }
}
