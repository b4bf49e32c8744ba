import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { ApiKeys, type KeyRequest } from '#auth/api-keys.ts'
import { ManualClock } from '#lib/clock.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { openDatabase } from '#store/sql/database.ts'
import { until } from '../support/until.ts'

const log = pino({ level: 'silent' })
const hourMs = 3_600_000
const readAll = { admin: false, publish: [], read: ['*'] }

/** What the suite needs of an implementation. */
export interface KeyDatabases extends AsyncDisposable {
  createDatabase(): Promise<string>
}

/** What holds for API keys on every database. */
export function apiKeysSuite(name: string, start: () => Promise<KeyDatabases>): void {
  describe(`API keys on ${name}`, () => {
    let server: KeyDatabases
    before(async () => {
      server = await start()
    })
    after(() => server[Symbol.asyncDispose]())
    const open = async () => {
      const database = await openDatabase({ url: await server.createDatabase(), log })
      const clock = new ManualClock()
      const node = () => new ApiKeys({ database, clock, log })
      const make = (request: Partial<KeyRequest> = {}) =>
        node().create({ name: 'ci', rights: readAll, expiresAtMs: undefined, ...request })
      return { database, clock, node, make, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
    }

    test('a key is shown once, kept hashed, and carries its rights to every node', async () => {
      await using world = await open()
      const rights = { admin: false, publish: ['site-1/*'], read: ['lobby'] }
      const { key, text } = await world.make({ rights })
      assert.match(text, /^mrk_[0-9a-z]{22}_[\w-]{43}$/)
      assert.deepEqual(await world.node().list(), [key])
      const secret = text.slice(-43)
      assert.ok(!JSON.stringify(await world.database.db.selectFrom('api_keys').selectAll().execute()).includes(secret))
      const holder = await world.node().check(text)
      assert.deepEqual([holder.name, holder.rights.isAdmin, holder.rights.patterns.publish], ['ci', false, [/^site-1\/.*$/]])
    })

    test('wrong, expired and revoked keys are refused, and told apart', async () => {
      await using world = await open()
      const keys = world.node()
      const { key, text } = await world.make({ expiresAtMs: world.clock.nowMs() + hourMs })
      const other = await world.make({ name: 'other' })
      await refused(keys.check('mrk_1'), /is no API key/)
      await refused(keys.check(text.slice(0, -43) + other.text.slice(-43)), /is wrong/)
      await refused(keys.check(`mrk_${'0'.repeat(22)}_${text.slice(-43)}`), /is wrong/)
      await keys.check(text)
      world.clock.advance(hourMs)
      await refused(keys.check(text), /"ci" expired at/)
      await keys.revoke(key.id)
      await refused(keys.check(text), /"ci" was revoked at/)
      assert.deepEqual(
        (await keys.list()).map(({ id }) => id),
        [other.key.id],
      )
    })

    test('a rotation leaves both secrets valid for the overlap', async () => {
      await using world = await open()
      const keys = world.node()
      const { key, text: first } = await world.make()
      const { text: second, key: rotated } = await keys.rotate(key.id, { overlapMs: hourMs })
      assert.equal(rotated.previousUntilMs, world.clock.nowMs() + hourMs)
      await keys.check(first)
      await keys.check(second)
      world.clock.advance(hourMs)
      await refused(keys.check(first), /"ci" was rotated, and its old secret was valid until/)
      await keys.check(second)
    })

    test('a rotation in an overlap ends the oldest secret, one without an overlap the one before', async () => {
      await using world = await open()
      const keys = world.node()
      const { key, text: first } = await world.make()
      const { text: second } = await keys.rotate(key.id, { overlapMs: hourMs })
      const { text: third } = await keys.rotate(key.id, { overlapMs: 0 })
      await refused(keys.check(first), /is wrong/)
      await refused(keys.check(second), /was rotated/)
      await keys.check(third)
    })

    test('other nodes see a change within five seconds', async () => {
      await using world = await open()
      const [one, other] = [world.node(), world.node()]
      const { key, text } = await world.make()
      await other.check(text)
      await one.revoke(key.id)
      await refused(one.check(text), /was revoked/)
      world.clock.advance(4_999)
      await other.check(text)
      world.clock.advance(1)
      await refused(other.check(text), /was revoked/)
    })

    test('a name is taken while its key lives', async () => {
      await using world = await open()
      const { key } = await world.make()
      await fails(world.make(), 'KEY_EXISTS')
      await world.node().revoke(key.id)
      await world.make()
    })

    test('what is not there, was revoked or has expired is neither rotated nor revoked', async () => {
      await using world = await open()
      const keys = world.node()
      const { key } = await world.make({ expiresAtMs: world.clock.nowMs() + 1 })
      world.clock.advance(1)
      await fails(keys.rotate(key.id, { overlapMs: 0 }), 'KEY_EXPIRED')
      await keys.revoke(key.id)
      for (const id of [key.id, 'x']) {
        await fails(keys.revoke(id), 'KEY_NOT_FOUND')
        await fails(keys.rotate(id, { overlapMs: 0 }), 'KEY_NOT_FOUND')
      }
    })

    test('there are 1000 keys at most', async () => {
      await using world = await open()
      const { key } = await world.make()
      const row = await world.database.db.selectFrom('api_keys').selectAll().executeTakeFirstOrThrow()
      const others = Array.from({ length: 999 }, (_, n) => ({ ...row, id: `id-${n}`, name: `name-${n}` }))
      await world.database.db.insertInto('api_keys').values(others).execute()
      await fails(world.make({ name: 'last' }), 'KEY_LIMIT')
      await world.node().revoke(key.id)
      await world.make({ name: 'last' })
    })

    test('of revoked keys the last 1000 are remembered', async () => {
      await using world = await open()
      const { key } = await world.make()
      const row = await world.database.db.selectFrom('api_keys').selectAll().executeTakeFirstOrThrow()
      const before = Array.from({ length: 1000 }, (_, n) => ({ ...row, id: `id-${n}`, revoked_at_ms: n }))
      await world.database.db.insertInto('api_keys').values(before).execute()
      await world.node().revoke(key.id)
      const rows = await world.database.db.selectFrom('api_keys').select('id').execute()
      assert.deepEqual(
        [rows.length, rows.some(({ id }) => id === 'id-0'), rows.some(({ id }) => id === key.id)],
        [1000, false, true],
      )
    })

    test('when it was last used is told once a minute', async () => {
      await using world = await open()
      const keys = world.node()
      const { text } = await world.make()
      const lastUsed = async () => (await keys.list())[0]?.lastUsedAtMs
      const startMs = world.clock.nowMs()
      assert.equal(await lastUsed(), undefined)
      await keys.check(text)
      await until(async () => (await lastUsed()) === startMs)
      world.clock.advance(59_999)
      await keys.check(text)
      assert.equal(await lastUsed(), startMs)
      world.clock.advance(1)
      await keys.check(text)
      await until(async () => (await lastUsed()) === startMs + 60_000)
    })
  })
}

async function refused(check: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(
    check,
    (error) => error instanceof AppError && error.code === 'UNAUTHORIZED' && message.test(error.message),
  )
}

async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, { code })
}
