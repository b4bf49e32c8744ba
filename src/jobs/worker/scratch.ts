import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '#lib/errors.ts'

export type ScratchFolder = { readonly path: string } & AsyncDisposable

/**
 * Where tasks make their files: `<directory>/worker-<id>/<task>.<fence>/`. What an earlier process with this id left there is removed at the start, a task's
 * folder when it ends; nothing else in the directory is touched.
 */
export class Scratch implements AsyncDisposable {
  readonly path: string
  readonly #minFreeBytes: number

  private constructor(path: string, minFreeBytes: number) {
    this.path = path
    this.#minFreeBytes = minFreeBytes
  }

  static async open({
    directory,
    workerId,
    minFreeBytes,
  }: {
    directory: string
    workerId: string
    minFreeBytes: number
  }): Promise<Scratch> {
    const scratch = new Scratch(join(directory, `worker-${workerId}`), minFreeBytes)
    await mkdir(scratch.path, { recursive: true })
    for (const left of await readdir(scratch.path)) await remove(join(scratch.path, left))
    return scratch
  }

  /** An empty folder, removed with all that is in it. Throws `DISK_FULL`. */
  async openFolder(name: string): Promise<ScratchFolder> {
    await this.checkSpace()
    const path = join(this.path, name)
    await remove(path)
    await mkdir(path, { recursive: true })
    return { path, [Symbol.asyncDispose]: () => remove(path) }
  }

  async loadFreeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path)
    return bavail * bsize
  }

  /** Throws `DISK_FULL` when there is less free space than the floor. */
  async checkSpace(): Promise<void> {
    const freeBytes = await this.loadFreeBytes()
    if (freeBytes >= this.#minFreeBytes) return
    throw new AppError(
      'DISK_FULL',
      `the disk of "${this.path}" has ${freeBytes} bytes free, and the floor is ${this.#minFreeBytes}; free some, or lower worker.minFreeMegabytes`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.path)
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 })
}
