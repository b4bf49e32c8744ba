import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { sqlSuite } from './sql-suite.ts'

sqlSuite('SQLite', async () => {
  const directory = await temporaryDirectory()
  let count = 0
  return {
    deadUrl: 'sqlite:///dev/null/millrace.sqlite',
    transactionCount: 1,
    waitTimeoutMs: 100,
    async createEmptyDatabase() {
      count += 1
      return sqliteUrl(join(directory.path, 'made on demand, 100%', `#${count}?.sqlite`))
    },
    /** Another process that keeps the write lock. */
    async takeAway(url) {
      const other = new DatabaseSync(decodeURIComponent(new URL(url).pathname))
      other.exec('begin exclusive')
      return { [Symbol.asyncDispose]: async () => other.close() }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

sqlSuite('PostgreSQL', async () => {
  const server = await startPostgres()
  return {
    deadUrl: 'postgres://nobody@127.0.0.1:1/nothing',
    transactionCount: 8,
    waitTimeoutMs: 2_000,
    createEmptyDatabase: () => server.createEmptyDatabase(),
    async takeAway() {
      await server.kill()
      return { [Symbol.asyncDispose]: () => server.restart() }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})
