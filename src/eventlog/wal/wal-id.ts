import { join } from 'node:path'
import { crc32c } from '#formats/kafka/crc32c.ts'
import { AppError } from '#lib/errors.ts'
import type { Disk } from './disk.ts'

const idFile = 'wal.id'
const idPattern = /^([\x21-\x7e]{1,200}) ([0-9a-f]{8})\n$/
const maxIdFileBytes = 256

/** The id of the log in a directory, made at its first start. Throws `LOG_DAMAGED` when it cannot be read, or is gone while segments are there. */
export async function loadWalId(options: {
  readonly directory: string
  readonly disk: Disk
  readonly names: readonly string[]
  readonly hasSegments: boolean
  readonly newId: () => string
}): Promise<string> {
  const { directory, disk, names, hasSegments, newId } = options
  const path = join(directory, idFile)
  if (!names.includes(idFile)) {
    if (hasSegments)
      throw new AppError('LOG_DAMAGED', `${path} is gone while the write-ahead log has segments; bring it back from a copy`)
    return await createId({ directory, disk, path, id: newId() })
  }
  await using file = await disk.open(path, { isNew: false })
  const [, id, crc] = idPattern.exec((await file.read(0, maxIdFileBytes)).toString('latin1')) ?? []
  if (id === undefined || crc !== checksumOf(id)) {
    throw new AppError(
      'LOG_DAMAGED',
      `${path} is damaged; bring it back from a copy, or move the whole directory away to begin a new log`,
    )
  }
  return id
}

type NewId = { readonly directory: string; readonly disk: Disk; readonly path: string; readonly id: string }

async function createId({ directory, disk, path, id }: NewId): Promise<string> {
  const temporary = `${path}.tmp`
  {
    await using file = await disk.open(temporary, { isNew: true })
    await file.write(0, [Buffer.from(`${id} ${checksumOf(id)}\n`, 'latin1')])
    await file.sync()
  }
  await disk.rename(temporary, path)
  await disk.syncDirectory(directory)
  return id
}

function checksumOf(id: string): string {
  return crc32c(Buffer.from(id, 'latin1')).toString(16).padStart(8, '0')
}
