import { globSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Run after the installation: compiles the program, so that its very first start is as quick as all others. */
await import('#lib/startup-flags.ts')
const source = join(import.meta.dirname, '../src')
// The processes of the codec are programs of their own, and need FFmpeg.
for (const file of globSync('*/**/*.ts', { cwd: source, exclude: ['**/*.{test,fixture}.ts', 'codec/process/**'] })) {
  await import(pathToFileURL(join(source, file)).href)
}
flushCompileCache()
