import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, link, open, readFile, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, ignore } from './directory-files.ts'
import { DirectoryParts } from './directory-parts.ts'
import { checkObjectKey } from './object-key.ts'
import type { PartUpload } from './part-upload.ts'

/**
 * Where a store has its objects as files, for other processes on the same machine. A path alone says nothing, for every machine has one of that name: the
 * directory is the same where its file `proofName` holds `proof`.
 */
export type StorePlace = { readonly directory: string; readonly proof: string }

/** Unfinished objects; no key can begin with a dot. */
export const temporaryFolder = '.unfinished'
/** Within `temporaryFolder`; it stays as long as the store. */
export const proofName = 'proof'
const proofBytes = 32

/** The place of the store in this directory, which has its folder for what is unfinished. The first who asks writes the proof. */
export async function placeOf(directory: string): Promise<StorePlace> {
  const path = join(directory, temporaryFolder, proofName)
  const kept = await readFile(path, 'utf8').catch(ignore('ENOENT'))
  return { directory, proof: kept ?? (await writeProof(path)) }
}

/** Appears whole or not at all; of several at once the first wins. */
async function writeProof(path: string): Promise<string> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`
  const proof = randomBytes(proofBytes).toString('hex')
  try {
    await using file = await open(temporary, 'wx', 0o600)
    await file.writeFile(proof)
    await link(temporary, path).catch(ignore('EEXIST'))
    return await readFile(path, 'utf8')
  } finally {
    await rm(temporary, { force: true })
  }
}

/** A store's directory as another process sees it: objects are read as files, and finished files become objects without being copied. */
export class SharedDirectory {
  readonly #root: string
  readonly #parts: DirectoryParts

  private constructor(root: string) {
    this.#root = root
    this.#parts = new DirectoryParts(join(root, temporaryFolder))
  }

  /** Undefined where the directory of that name is another one, or belongs to another user, who could not remove what is put there. */
  static async find({ directory, proof }: StorePlace): Promise<SharedDirectory | undefined> {
    try {
      await using file = await open(join(directory, temporaryFolder, proofName), constants.O_RDONLY | constants.O_NOFOLLOW)
      return (await isProof(file, proof)) ? new SharedDirectory(directory) : undefined
    } catch (error) {
      if (codeOf(error) === '') throw error
      return undefined
    }
  }

  /** The file of an object, or undefined when it cannot be read here or has another size. Throws `OBJECT_KEY_INVALID`. */
  async findFile(key: string, sizeBytes: number | undefined): Promise<string | undefined> {
    checkObjectKey(key)
    const path = join(this.#root, key)
    try {
      await access(path, constants.R_OK)
      const found = await stat(path)
      return found.isFile() && (sizeBytes ?? found.size) === found.size ? path : undefined
    } catch {
      return undefined
    }
  }

  /** Makes a finished file the whole content of an upload; gives the tags of its parts. Throws what `DirectoryParts.adopt` throws. */
  async adopt(upload: PartUpload, path: string): Promise<string[]> {
    checkObjectKey(upload.key)
    return await this.#parts.adopt(upload, path)
  }
}

async function isProof(file: FileHandle, proof: string): Promise<boolean> {
  const { uid, size } = await file.stat()
  const isOwn = uid === process.geteuid?.()
  return isOwn && size === proofBytes * 2 && (await file.readFile('utf8')) === proof
}
