import { execFile, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './temp-directory.ts'

const run = promisify(execFile)

/** A disk of a few megabytes, in memory; `undefined` where this process may not mount one. */
export async function mountSmallDisk(megabytes: number): Promise<({ readonly path: string } & AsyncDisposable) | undefined> {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'disk')
  await mkdir(path)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'millrace-test', path])
  } catch {
    await directory[Symbol.asyncDispose]()
    return undefined
  }
  // Its end of the pipe closes when this process dies, however it does.
  const guard = spawn('/bin/sh', ['-c', `read -r _; umount -l '${path}'`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  return {
    path,
    async [Symbol.asyncDispose]() {
      guard.kill('SIGKILL')
      await run('umount', ['-l', path])
      await directory[Symbol.asyncDispose]()
    },
  }
}
