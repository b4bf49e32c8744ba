import assert from 'node:assert/strict'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { sqlLogMetadata } from '#eventlog/metadata/sql-log-metadata.ts'
import { systemClock } from '#lib/clock.ts'
import { openObjectStore } from '#store/objects/open-object-store.ts'
import { openDatabase, sqliteUrl } from '#store/sql/database.ts'
import { startPostgres } from '../support/postgres.ts'
import { startS3 } from '../support/s3.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { logAgentSuite, type Databases, type Stores } from './log-agent-suite.ts'

const log = pino({ level: 'silent' })
const deps = { dataDirectory: '/nowhere', clock: systemClock, log }

async function postgresDatabases(): Promise<Databases> {
  const server = await startPostgres()
  return {
    async create() {
      const url = await server.createDatabase()
      return async () => {
        const database = await openDatabase({ url, log, waitTimeoutMs: 2000 })
        return { metadata: sqlLogMetadata(database), [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
      }
    },
    async takeAway() {
      await server.kill()
      return { [Symbol.asyncDispose]: () => server.restart() }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function sqliteDatabases(): Promise<Databases> {
  const directory = await temporaryDirectory()
  let count = 0
  return {
    async create() {
      const url = sqliteUrl(join(directory.path, `${count++}.sqlite`))
      return async () => {
        const database = await openDatabase({ url, log })
        return { metadata: sqlLogMetadata(database), [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
      }
    },
    takeAway: () => assert.fail('a file is no server that could go away'),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

async function s3Stores(): Promise<Stores> {
  const server = await startS3({ hasConditionalPuts: true })
  return {
    async create() {
      const bucket = await server.createBucket()
      return () => openObjectStore(bucket, deps)
    },
    async takeAway() {
      await server.stop()
      return { [Symbol.asyncDispose]: () => server.restart() }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function directoryStores(): Promise<Stores> {
  const directory = await temporaryDirectory()
  let root = ''
  let count = 0
  return {
    async create() {
      const own = (root = join(directory.path, `objects ${count++}`))
      return () => openObjectStore({ directory: own, region: '', pathStyle: true }, deps)
    },
    async takeAway() {
      const away = `${root}.away`
      await rename(root, away)
      await writeFile(root, '')
      return {
        async [Symbol.asyncDispose]() {
          await rm(root)
          await rename(away, root)
        },
      }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

logAgentSuite('SQLite and a directory', { openDatabases: sqliteDatabases, openStores: directoryStores, hasDatabaseServer: false })
logAgentSuite('PostgreSQL and S3', { openDatabases: postgresDatabases, openStores: s3Stores, hasDatabaseServer: true })
