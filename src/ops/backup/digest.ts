import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'

const blockBytes = 1024 * 1024

/** SHA-256 and size of a file. Blocks the thread: for threads and commands that do nothing else. */
export function digestFile(path: string): { readonly sha256: string; readonly sizeBytes: number } {
  const hash = createHash('sha256')
  const block = Buffer.allocUnsafe(blockBytes)
  const file = openSync(path, 'r')
  try {
    let sizeBytes = 0
    for (;;) {
      const count = readSync(file, block, 0, block.length, sizeBytes)
      if (count === 0) return { sha256: hash.digest('hex'), sizeBytes }
      hash.update(block.subarray(0, count))
      sizeBytes += count
    }
  } finally {
    closeSync(file)
  }
}
