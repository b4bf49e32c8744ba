import { rename, writeFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '#lib/clock.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { startS3 } from '../support/s3.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { objectsSuite } from './objects-suite.ts'

const deps = { dataDirectory: '/nowhere', clock: systemClock, log: pino({ level: 'silent' }) }

objectsSuite('directory', async () => {
  const directory = await temporaryDirectory()
  let root = ''
  let count = 0
  return {
    hasConditionalPuts: true,
    async createStore() {
      count += 1
      root = join(directory.path, `objects ${count}`)
      return await openObjectStore({ directory: root, region: '', pathStyle: true }, deps)
    },
    /** As when a mount is lost: a file is where the directory was. */
    async takeAway() {
      await rename(root, `${root}.away`)
      await writeFile(root, '')
      return {
        async [Symbol.asyncDispose]() {
          await rm(root)
          await rename(`${root}.away`, root)
        },
      }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

for (const hasConditionalPuts of [true, false]) {
  objectsSuite(`S3 ${hasConditionalPuts ? 'with' : 'without'} conditional puts`, async () => {
    const server = await startS3({ hasConditionalPuts })
    return {
      hasConditionalPuts,
      createStore: async () => await openObjectStore(await server.createBucket(), deps),
      async takeAway() {
        await server.stop()
        return { [Symbol.asyncDispose]: () => server.restart() }
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  })
}
