import { AppError } from '#lib/errors.ts'
import type { RecordingIndex, RecordingSegment } from '../recorder/recording-index.ts'
import { absolutePath } from '../recorder/segment-path.ts'
import type { SegmentArchive } from './segment-archive.ts'
import { openDiskSource, type SegmentSource } from './segment-source.ts'

/** Opens a recorded file wherever it is. Throws `RECORDING_NOT_FOUND` when it is gone, `DISK_FAILED`, and what the object store throws. */
export type OpenSegment = (segment: RecordingSegment) => Promise<SegmentSource>

type Deps = {
  readonly directory: string
  readonly index: Pick<RecordingIndex, 'find'>
  readonly archive: Pick<SegmentArchive, 'open'>
}

/** On the disk first, then in the archive. A segment may have moved there since it was looked up. */
export function segmentOpener({ directory, index, archive }: Deps): OpenSegment {
  return async (segment) => {
    const { id, path } = segment
    if (!segment.isOnDisk) return await archive.open(path)
    try {
      return await openDiskSource(absolutePath(directory, path))
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'RECORDING_NOT_FOUND') throw error
      const archivedAtMs = segment.archivedAtMs ?? (await index.find(id))?.archivedAtMs
      if (archivedAtMs === undefined) throw error
      return await archive.open(path)
    }
  }
}
