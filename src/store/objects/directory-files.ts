import { link, mkdir, open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A delete may prune the folder that a put has just made; then the put makes it again. */
const maxPublishAttempts = 100

/** Gives a finished file its place, in one step, and makes that survive a power cut. */
export async function publish(temporary: string, path: string, { isNew }: { isNew: boolean }): Promise<void> {
  const folder = dirname(path)
  let firstMade: string | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      firstMade = (await mkdir(folder, { recursive: true })) ?? firstMade
      await (isNew ? link(temporary, path) : rename(temporary, path))
      break
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === maxPublishAttempts) throw error
    }
  }
  const topFolder = firstMade === undefined ? folder : dirname(firstMade)
  for (let current = folder; ; current = dirname(current)) {
    await syncFolder(current)
    if (current === topFolder) return
  }
}

/** A folder that is gone already was emptied by a delete in the meantime. */
async function syncFolder(path: string): Promise<void> {
  await using folder: FileHandle | undefined = await open(path, 'r').catch(ignore('ENOENT'))
  await folder?.sync()
}

/** Of a system error; '' for any other. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Turns errors with one of these codes into `undefined`. */
export function ignore(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(codeOf(error))) throw error
  }
}
