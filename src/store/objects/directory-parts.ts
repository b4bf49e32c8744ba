import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '#lib/errors.ts'
import { codeOf, ignore, publish } from './directory-files.ts'
import {
  checkEtags,
  checkUploadSize,
  partMismatch,
  partRange,
  partUpload,
  uploadNotFound,
  type PartUpload,
} from './part-upload.ts'

/** The object as it grows, each part at its place: completing copies nothing. */
const dataName = 'data'

/**
 * Uploads in parts as folders: `data` is the object, and a small file for each part that is whole has its tag.
 *
 *   <uploadId>/data   <uploadId>/0   <uploadId>/1 …
 *
 * Calls may overlap; two for one part must bring the same bytes then, as a repetition does whose first try is still on its way. The tag is removed before a
 * part is written again: what broke off is never taken for whole.
 */
export class DirectoryParts {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async begin(options: Pick<PartUpload, 'key' | 'uploadId' | 'sizeBytes'>): Promise<PartUpload> {
    const upload = partUpload(options)
    const folder = this.#folder(upload.uploadId)
    await mkdir(folder)
    await using data = await open(join(folder, dataName), 'wx')
    await data.truncate(upload.sizeBytes)
    return upload
  }

  /** `chunks` must have the exact size, and throw when they do not. Gives the tag. */
  async put(upload: PartUpload, part: number, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
    const { key, uploadId } = upload
    const folder = this.#folder(uploadId)
    let { offsetBytes: position } = partRange(upload, part)
    const hash = createHash('sha256')
    if (!(await hasSize(join(folder, dataName), upload))) throw uploadNotFound(key)
    await using data = await open(join(folder, dataName), 'r+').catch(missing(key))
    await rm(join(folder, String(part)), { force: true })
    for await (const chunk of chunks) {
      hash.update(chunk)
      for (let done = 0; done < chunk.length;) {
        const { bytesWritten } = await data.write(chunk, done, chunk.length - done, position)
        done += bytesWritten
        position += bytesWritten
      }
    }
    // Here, part by part, so that completing does not wait for gigabytes.
    await data.datasync()
    const etag = `"${hash.digest('hex')}"`
    await writeTag(join(folder, String(part)), etag).catch(missing(key))
    return etag
  }

  /**
   * Puts all parts at once: the file at `path`, which must not change any more, becomes the object; it is not copied where both lie on one file system. Gives the
   * tags of the parts. Throws `TRUNCATED` and `LIMIT_EXCEEDED` for a file of another size, `OBJECT_NOT_FOUND` for an upload that is over.
   */
  async adopt(upload: PartUpload, path: string): Promise<string[]> {
    const { key, uploadId, partCount } = upload
    const folder = this.#folder(uploadId)
    const tags = Array.from({ length: partCount }, (_, part) => join(folder, String(part)))
    checkUploadSize(upload, (await stat(path)).size)
    if (!(await hasSize(join(folder, dataName), upload))) throw uploadNotFound(key)
    const adopted = join(folder, `${dataName}.${randomUUID()}`)
    await link(path, adopted)
      .catch(async () => copyFile(path, adopted, constants.COPYFILE_FICLONE))
      .catch(missing(key))
    await syncFile(adopted)
    for (const tag of tags) await rm(tag, { force: true })
    await rename(adopted, join(folder, dataName))
    const etag = `"${randomUUID()}"`
    for (const tag of tags) await writeTag(tag, etag).catch(missing(key))
    return tags.map(() => etag)
  }

  /** Moves the object to `path`; false when the upload is over. Throws `TRUNCATED` when a part is not the one that is meant. */
  async complete(upload: PartUpload, { etags, path }: { etags: readonly string[]; path: string }): Promise<boolean> {
    const { key, uploadId } = upload
    checkEtags(upload, etags)
    const data = join(this.#folder(uploadId), dataName)
    const isThere = await hasSize(data, upload)
    const other = isThere ? await this.#findOther(upload, etags) : -1
    // Whoever completes it at the same time may have moved it since.
    if (other >= 0 && (await hasSize(data, upload))) throw partMismatch(key, other)
    const isMoved = isThere && other < 0 && (await moveDurably(data, path))
    await this.remove(uploadId)
    return isMoved
  }

  async remove(uploadId: string): Promise<void> {
    await rm(this.#folder(uploadId), { recursive: true, force: true })
  }

  /** The first part that has another tag, or none; -1: all are as they should be. */
  async #findOther({ uploadId }: PartUpload, etags: readonly string[]): Promise<number> {
    for (const [part, etag] of etags.entries()) {
      const kept = await readFile(join(this.#folder(uploadId), String(part)), 'utf8').catch(ignore('ENOENT'))
      if (kept !== etag) return part
    }
    return -1
  }

  /** Ids come back from clients and must not lead out of the folder. */
  #folder(uploadId: string): string {
    if (!/^[0-9a-z]{10,40}$/.test(uploadId)) throw new AppError('REQUEST_INVALID', 'the upload id is none of this store')
    return join(this.#root, uploadId)
  }
}

/** Appears whole or not at all. */
async function writeTag(path: string, etag: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  await writeFile(temporary, etag)
  await rename(temporary, path)
}

/** False when the upload is over. Throws `REQUEST_INVALID` when it was begun with another size. */
async function hasSize(data: string, { key, sizeBytes }: PartUpload): Promise<boolean> {
  const found = await stat(data).catch(ignore('ENOENT'))
  if (!found || found.size === sizeBytes) return found !== undefined
  throw new AppError('REQUEST_INVALID', `the upload of "${key}" was begun with ${found.size} bytes, not ${sizeBytes}`)
}

/** False when it was moved away since. */
async function moveDurably(data: string, path: string): Promise<boolean> {
  const isSynced = await syncFile(data).then(() => true, ignore('ENOENT'))
  if (!isSynced) return false
  return (await publish(data, path, { isNew: false }).then(() => true, ignore('ENOENT'))) ?? false
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}

function missing(key: string): (error: unknown) => never {
  return (error) => {
    throw codeOf(error) === 'ENOENT' ? uploadNotFound(key, error) : error
  }
}
