import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { openDatabase } from '#store/sql/database.ts'
import type { Database } from '#store/sql/schema.ts'
import { startPostgres, type PostgresServer } from '../../test/support/postgres.ts'
import type { StoredStream } from './registry.ts'
import { deleteStreamRow, loadStreamRows, saveStreamRow } from './stream-queries.ts'

const log = pino({ level: 'silent' })

const streams: StoredStream[] = [
  { name: 'a', isDeclared: true, spec: {}, createdAtMs: 1_800_000_000_000, updatedAtMs: 1_800_000_000_001 },
  {
    name: 'b/c',
    isDeclared: false,
    spec: { sources: ['rtsp://me:"quoted"@host/é'], onDemand: true, recording: { enabled: true, retentionHours: 0.5 } },
    isEnabled: false,
    recording: 'paused',
    createdAtMs: 1,
    updatedAtMs: 2,
  },
  { name: 'd', isDeclared: true, spec: { hls: 'off' }, isEnabled: true, recording: 'on', createdAtMs: 3, updatedAtMs: 3 },
]

describe('SQLite', () => cases(() => openDatabase({ url: 'sqlite::memory:', log })))

describe('PostgreSQL', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  cases(async () => openDatabase({ url: await server.createDatabase(), log }))
})

function cases(open: () => Promise<Database>): void {
  test('streams come back as they were saved, by name', async () => {
    await using database = await open()
    for (const stream of streams.toReversed()) await saveStreamRow(database.db, stream)
    assert.deepEqual(await loadStreamRows(database.db, log), streams)
  })

  test('saving again replaces what was said, and keeps when it was created', async () => {
    await using database = await open()
    for (const stream of streams) await saveStreamRow(database.db, { ...stream, name: 'a' })
    const [last] = streams.slice(-1)
    assert.deepEqual(await loadStreamRows(database.db, log), [{ ...last, name: 'a', createdAtMs: 1_800_000_000_000 }])
    await saveStreamRow(database.db, { name: 'a', isDeclared: true, spec: {}, createdAtMs: 9, updatedAtMs: 9 })
    const [forgotten] = await loadStreamRows(database.db, log)
    assert.deepEqual(Object.keys(forgotten ?? {}), ['name', 'isDeclared', 'spec', 'createdAtMs', 'updatedAtMs'])
  })

  test('a deleted stream is gone, and deleting it again changes nothing', async () => {
    await using database = await open()
    for (const stream of streams) await saveStreamRow(database.db, stream)
    await deleteStreamRow(database.db, 'b/c')
    await deleteStreamRow(database.db, 'b/c')
    const rest = await loadStreamRows(database.db, log)
    assert.deepEqual(
      rest.map(({ name }) => name),
      ['a', 'd'],
    )
  })

  test('a field of a newer version is kept', async () => {
    await using database = await open()
    const row = { name: 'a', spec: '{"onDemand":true,"tomorrow":1}', is_declared: 1, created_at_ms: 1, updated_at_ms: 1 }
    await database.db.insertInto('streams').values(row).execute()
    for (const stream of await loadStreamRows(database.db, log)) await saveStreamRow(database.db, stream)
    assert.deepEqual(await database.db.selectFrom('streams').select('spec').execute(), [{ spec: row.spec }])
  })

  const unreadable: [string, { spec?: string; recording?: string }][] = [
    ['no JSON', { spec: '{"sources":' }],
    ['no object', { spec: '[]' }],
    ['a value of the wrong type', { spec: '{"onDemand":"yes"}' }],
    ['a wrong value within recording', { spec: '{"recording":{"segmentSeconds":"long"}}' }],
    ['an unknown wish for recording', { recording: 'maybe' }],
  ]
  test('a row that cannot be read costs that stream only, and stays', async () => {
    await using database = await open()
    for (const stream of streams) await saveStreamRow(database.db, stream)
    for (const [name, change] of unreadable) {
      const row = { name, spec: '{}', is_declared: 1, created_at_ms: 1, updated_at_ms: 1, ...change }
      await database.db.insertInto('streams').values(row).execute()
    }
    assert.deepEqual(await loadStreamRows(database.db, log), streams)
    const rows = await database.db.selectFrom('streams').select('name').execute()
    assert.equal(rows.length, streams.length + unreadable.length)
  })
}
