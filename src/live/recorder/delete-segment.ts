import { rm, rmdir } from 'node:fs/promises'
import { AppError } from '#lib/errors.ts'
import type { EventSink, StreamEvent } from '../events.ts'
import { diskError } from './recording-disk.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import { absolutePath, parentsOf } from './segment-path.ts'

export type DeleteReason = Extract<StreamEvent, { type: 'recording.deleted' }>['reason']

export type DeleteDeps = {
  readonly directory: string
  readonly index: Pick<RecordingIndex, 'remove'>
  readonly events: EventSink
}

/**
 * Deletes a closed segment: the file, then its row, then directories that this leaves empty. A file that is gone already is no error.
 * Throws `RECORDING_OPEN` for one that is being recorded, `DISK_FAILED`, and what the index throws.
 */
export async function deleteSegment(deps: DeleteDeps, segment: RecordingSegment, reason: DeleteReason): Promise<void> {
  const { id: segmentId, stream, path, sizeBytes } = segment
  if (segment.state === 'open') {
    throw new AppError(
      'RECORDING_OPEN',
      `recording ${segmentId} of "${stream}" is being written; stop the recording or wait for its end`,
    )
  }
  const file = absolutePath(deps.directory, path)
  try {
    await rm(file, { force: true })
  } catch (error) {
    throw diskError(error, file)
  }
  await deps.index.remove([segmentId])
  deps.events.emit({ type: 'recording.deleted', stream, segmentId, reason, sizeBytes })
  await removeEmptyParents(deps.directory, path)
}

/** Deletes by id, on request. Throws `RECORDING_NOT_FOUND`, and as `deleteSegment`. */
export async function deleteRecording(
  deps: DeleteDeps & { readonly index: Pick<RecordingIndex, 'find' | 'remove'> },
  id: string,
): Promise<void> {
  const segment = await deps.index.find(id)
  if (!segment) throw new AppError('RECORDING_NOT_FOUND', `no recording has the id "${id}"; it may have been deleted`)
  await deleteSegment(deps, segment, 'request')
}

/** A directory that is not empty, or in use by a recorder that is about to open a file in it, stays. */
async function removeEmptyParents(directory: string, path: string): Promise<void> {
  for (const parent of parentsOf(path)) {
    try {
      await rmdir(absolutePath(directory, parent))
    } catch {
      return
    }
  }
}
