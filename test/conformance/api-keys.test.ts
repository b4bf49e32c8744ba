import { join } from 'node:path'
import { sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../support/postgres.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { apiKeysSuite } from './api-keys-suite.ts'

apiKeysSuite('SQLite', async () => {
  const directory = await temporaryDirectory()
  let count = 0
  return {
    createDatabase: async () => sqliteUrl(join(directory.path, `${(count += 1)}.sqlite`)),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

apiKeysSuite('PostgreSQL', () => startPostgres())
