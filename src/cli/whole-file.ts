import { existsSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { Type } from 'typebox'
import { AppError } from '#lib/errors.ts'
import { isAbort } from './client.ts'

/** Flags of a command that writes one file; `named` says after what it is named otherwise. */
export function outputOptions(named: string) {
  return {
    output: Type.Optional(
      Type.String({
        short: 'o',
        placeholder: 'file',
        minLength: 1,
        description: `Where to; otherwise named after ${named}, here`,
      }),
    ),
    force: Type.Boolean({ default: false, description: 'Overwrite the file if it is there' }),
  }
}

/** Throws `OUTPUT_FAILED` when the file is there and nobody said that it may be overwritten. */
export function checkOutput(file: string, { force }: { force: boolean }): void {
  if (existsSync(file) && !force)
    throw new AppError('OUTPUT_FAILED', `${file} exists already; choose another --output, or overwrite it with --force`)
}

/**
 * Writes beside the file and renames at the end, so that under the name there is all or what was there before. `mode` are its rights. Gives back what `write`
 * does; throws `OUTPUT_FAILED`, and errors of `write` that have a code.
 */
export async function writeWhole<Result>(
  file: string,
  write: (handle: FileHandle) => Promise<Result>,
  { mode = 0o666 }: { mode?: number } = {},
): Promise<Result> {
  const partial = `${file}.part`
  try {
    const result = await writeInto(partial, write, mode)
    await rename(partial, file)
    return result
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    if (error instanceof AppError || isAbort(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('OUTPUT_FAILED', `${file} cannot be written: ${reason}; choose another --output`, { cause: error })
  }
}

/** A file that an earlier try left behind may have other rights: it is not used again. */
async function writeInto<Result>(path: string, write: (handle: FileHandle) => Promise<Result>, mode: number): Promise<Result> {
  await rm(path, { force: true })
  await using handle = await open(path, 'ax', mode)
  return await write(handle)
}
