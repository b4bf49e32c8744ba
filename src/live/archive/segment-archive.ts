import { Readable } from 'node:stream'
import type { ByteSource } from '#formats/mp4/read-boxes.ts'
import { AppError } from '#lib/errors.ts'
import type { ObjectStore } from '#store/objects/object-store.ts'
import { diskError } from '../recorder/recording-disk.ts'
import type { RecordingSegment } from '../recorder/recording-index.ts'
import { absolutePath } from '../recorder/segment-path.ts'
import { type ArchivedKeys, ArchivedSource } from './archived-source.ts'
import { indexFile } from './index-file.ts'
import { openDiskSource, type SegmentSource } from './segment-source.ts'

/** What the archive needs of the object store. */
export type ArchiveObjects = Pick<ObjectStore, 'put' | 'get' | 'head' | 'deleteMany'>

/** Recorded files in the object store: the file as it is under `recordings/<its path>`, and beside it the index of its boxes. */
export class SegmentArchive {
  readonly #objects: ArchiveObjects
  readonly #directory: string

  constructor({ objects, directory }: { objects: ArchiveObjects; directory: string }) {
    this.#objects = objects
    this.#directory = directory
  }

  /**
   * Copies a closed file, replacing what an earlier try may have left. Kept when it returns. Throws what the store throws; of the file
   * `RECORDING_NOT_FOUND`, `DISK_FAILED`, and `TRUNCATED` when it is shorter than its row says.
   */
  async put({ path, sizeBytes }: Pick<RecordingSegment, 'path' | 'sizeBytes'>, signal: AbortSignal): Promise<void> {
    const keys = keysOf(path)
    const name = absolutePath(this.#directory, path)
    await using file = await openDiskSource(name)
    if (file.sizeBytes < sizeBytes)
      throw new AppError('TRUNCATED', `the recorded file ${name} has ${file.sizeBytes} bytes, its row says ${sizeBytes}`)
    const put = async (key: string, body: { sizeBytes: number; bytes: AsyncIterable<Buffer> }, contentType: string) => {
      const faults: AppError[] = []
      const bytes = watched(body.bytes, (error) => void faults.push(diskError(error, name)))
      const stream = Readable.from(bytes, { objectMode: false })
      try {
        await this.#objects.put(key, { stream, sizeBytes: body.sizeBytes }, { signal, contentType })
      } catch (error) {
        // The store tells of a file that cannot be read as of any broken body.
        throw faults[0] ?? error
      }
    }
    await put(keys.media, { sizeBytes, bytes: file.media([{ offset: 0, sizeBytes }]) }, 'video/mp4')
    const whole: ByteSource = {
      sizeBytes,
      read: (position, length) => file.read(position, Math.min(length, sizeBytes - position)),
    }
    const boxes = await indexFile(whole)
    await put(keys.boxes, { sizeBytes: boxes.sizeBytes, bytes: boxes.bytes() }, 'application/octet-stream')
  }

  /** Throws `RECORDING_NOT_FOUND` when it is gone, and what the store throws. */
  open(path: string): Promise<SegmentSource> {
    return ArchivedSource.open(this.#objects, keysOf(path))
  }

  /** What is gone already is no error. Throws what the store throws. */
  remove(path: string): Promise<void> {
    const { media, boxes } = keysOf(path)
    return this.#objects.deleteMany([media, boxes])
  }
}

function keysOf(path: string): ArchivedKeys {
  return { media: `recordings/${path}`, boxes: `recordings/${path}.index` }
}

async function* watched(bytes: AsyncIterable<Buffer>, onFault: (error: unknown) => void): AsyncGenerator<Buffer> {
  try {
    yield* bytes
  } catch (error) {
    onFault(error)
    throw error
  }
}
