import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import type { OpenedMetadata } from './log-metadata-fixture.ts'
import { logMetadataSuite } from './log-metadata-suite.ts'

const log = pino({ level: 'silent' })

logMetadataSuite('SQLite', async () => {
  const directory = await temporaryDirectory()
  let count = 0
  return {
    async createLog() {
      count += 1
      const path = join(directory.path, `${count}.sqlite`)
      return {
        open: () => open(sqliteUrl(path), 2000),
        /** Another process that keeps the write lock. */
        async takeAway() {
          const other = new DatabaseSync(path)
          other.exec('begin exclusive')
          return { [Symbol.asyncDispose]: async () => other.close() }
        },
      }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

logMetadataSuite('PostgreSQL', async () => {
  const server = await startPostgres()
  return {
    async createLog() {
      const url = await server.createDatabase()
      return {
        open: () => open(url, 5000),
        async takeAway() {
          await server.kill()
          return { [Symbol.asyncDispose]: () => server.restart() }
        },
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})

async function open(url: string, waitTimeoutMs: number): Promise<OpenedMetadata> {
  const database = await openDatabase({ url, log, waitTimeoutMs })
  return { metadata: sqlLogMetadata(database), [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}
