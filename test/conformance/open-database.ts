// A process of its own for the suite: opens the database of the first argument and stores a stream with the name of the second.
import { pino } from 'pino'
import { openDatabase } from '#store/sql/database.ts'

const [, , url = '', name = ''] = process.argv
await using database = await openDatabase({ url, log: pino({ level: 'silent' }) })
await database.db.insertInto('streams').values({ name, spec: '{}', is_declared: 1, created_at_ms: 1, updated_at_ms: 1 }).execute()
