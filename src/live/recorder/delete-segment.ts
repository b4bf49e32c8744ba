import { rm, rmdir } from 'node:fs/promises'
import { AppError } from '#lib/errors.ts'
import type { SegmentArchive } from '../archive/segment-archive.ts'
import type { EventSink, StreamEvent } from '../events.ts'
import { diskError } from './recording-disk.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import { absolutePath, parentsOf } from './segment-path.ts'

/** Why retention frees space on the disk. */
export type FreeReason = Extract<StreamEvent, { type: 'recording.freed' }>['reason']

export type DeleteDeps = {
  readonly directory: string
  readonly index: Pick<RecordingIndex, 'forgetFile'>
  readonly events: EventSink
}

/**
 * Deletes the file of a closed segment, and directories that this leaves empty. When the archive has the segment its row stays; else it
 * goes, too. A file that is gone already is no error. Returns whether the archive has it. Throws `DISK_FAILED`, and what the index throws.
 */
export async function freeSegment(deps: DeleteDeps, segment: RecordingSegment, reason: FreeReason): Promise<boolean> {
  const { id: segmentId, stream, sizeBytes } = segment
  await removeFile(deps.directory, segment.path)
  const isArchived = await deps.index.forgetFile(segmentId)
  deps.events.emit({ type: isArchived ? 'recording.freed' : 'recording.deleted', stream, segmentId, reason, sizeBytes })
  return isArchived
}

/**
 * Deletes by id, on request: from the disk and from the archive. Throws `RECORDING_NOT_FOUND`, `RECORDING_OPEN` for one that is being
 * recorded, `DISK_FAILED`, and what index and object store throw: then it may be gone from the disk alone, and can be deleted again.
 */
export async function deleteRecording(
  deps: DeleteDeps & {
    readonly index: Pick<RecordingIndex, 'find' | 'forgetFile' | 'forgetArchived'>
    readonly archive: Pick<SegmentArchive, 'remove'>
  },
  id: string,
): Promise<void> {
  const { directory, index, archive, events } = deps
  const segment = await index.find(id)
  if (!segment) throw new AppError('RECORDING_NOT_FOUND', `no recording has the id "${id}"; it may have been deleted`)
  const { stream, path, sizeBytes } = segment
  if (segment.state === 'open') {
    throw new AppError(
      'RECORDING_OPEN',
      `recording ${id} of "${stream}" is being written; stop the recording or wait for its end`,
    )
  }
  await removeFile(directory, path)
  if (await index.forgetFile(id)) {
    await archive.remove(path)
    await index.forgetArchived(id)
  }
  events.emit({ type: 'recording.deleted', stream, segmentId: id, reason: 'request', sizeBytes })
}

async function removeFile(directory: string, path: string): Promise<void> {
  const file = absolutePath(directory, path)
  try {
    await rm(file, { force: true })
  } catch (error) {
    throw diskError(error, file)
  }
  await removeEmptyParents(directory, path)
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
