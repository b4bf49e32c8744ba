import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '#lib/errors.ts'

const secretBytes = 32

/** What this server signs addresses with: made at the first start and kept, so that addresses outlive a restart. Throws `CONFIG_INVALID`. */
export async function loadSigningSecret(dataDirectory: string): Promise<Buffer> {
  const path = join(dataDirectory, 'signing.key')
  await mkdir(dataDirectory, { recursive: true })
  try {
    await writeFile(path, randomBytes(secretBytes), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    if (!isThere)
      throw new AppError('CONFIG_INVALID', `${path} cannot be written; see that the data directory can`, { cause: error })
  }
  const secret = await readFile(path)
  if (secret.length === secretBytes) return secret
  throw new AppError(
    'CONFIG_INVALID',
    `${path} has ${secret.length} bytes in place of ${secretBytes}; remove it, and it is made anew`,
  )
}
