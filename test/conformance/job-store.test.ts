import { join } from 'node:path'
import { pino } from 'pino'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { jobStoreSuite } from './job-store-suite.ts'

const log = pino({ level: 'silent' })

jobStoreSuite('SQLite', async () => {
  const directory = await temporaryDirectory()
  let count = 0
  return {
    name: 'SQLite',
    async createFleet() {
      count += 1
      const url = sqliteUrl(join(directory.path, `${count}.sqlite`))
      return { open: () => openDatabase({ url, log }) }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

jobStoreSuite('PostgreSQL', async () => {
  const server = await startPostgres()
  return {
    name: 'PostgreSQL',
    async createFleet() {
      const url = await server.createDatabase()
      return { open: () => openDatabase({ url, log }) }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})
