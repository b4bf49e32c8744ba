import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Database } from '#store/sql/schema.ts'
import { openDatabase } from '#store/sql/database.ts'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres.ts'
import { sqlRecordingIndex } from './queries.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import { silentLog } from './recording.fixture.ts'

function segment(
  id: string,
  { stream = 'a', from = 0, to }: { stream?: string; from?: number; to?: number } = {},
): RecordingSegment {
  const base = {
    id,
    stream,
    sessionId: 's',
    path: `${stream}/${id}.mp4`,
    startedAtMs: from,
    initSizeBytes: 700,
    isDiscontinuity: id === 'b',
    isOnDisk: true,
  }
  if (to === undefined) return { ...base, durationMs: 0, sizeBytes: 1, state: 'open' }
  // Beyond 32 bits: sizes and times are 64-bit numbers on both databases.
  return { ...base, endedAtMs: to, durationMs: to - from, sizeBytes: 5_000_000_000, state: 'closed' }
}

function indexSuite(
  name: string,
  open: () => Promise<Database>,
  setUp?: { before: () => Promise<void>; after: () => Promise<void> },
): void {
  describe(`recording index on ${name}`, () => {
    if (setUp) before(setUp.before)
    if (setUp) after(setUp.after)

    async function filled(): Promise<{ index: RecordingIndex; [Symbol.asyncDispose](): Promise<void> }> {
      const database = await open()
      const index = sqlRecordingIndex(database.db)
      await index.save([
        segment('b', { from: 100, to: 200 }),
        segment('a', { from: 100, to: 150 }),
        segment('d', { stream: 'site/gate', from: 150, to: 250 }),
        segment('c', { from: 200, to: 300 }),
        segment('e', { from: 300 }),
      ])
      return { index, [Symbol.asyncDispose]: async () => await database[Symbol.asyncDispose]() }
    }
    const ids = (segments: readonly RecordingSegment[]): string => segments.map(({ id }) => id).join('')

    test('what is saved comes back, and saving again replaces', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      assert.deepEqual(await index.find('b'), segment('b', { from: 100, to: 200 }))
      assert.deepEqual(await index.find('e'), segment('e', { from: 300 }))
      assert.equal(await index.find('nope'), undefined)
      await index.save([segment('e', { from: 300, to: 1_900_000_000_000 })])
      assert.deepEqual(await index.find('e'), segment('e', { from: 300, to: 1_900_000_000_000 }))
    })

    test('lists by overlap, in the order of start and id, a page at a time', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      const cases = [
        [{}, 'abdce'],
        [{ stream: 'a' }, 'abce'],
        [{ fromMs: 200 }, 'dce'],
        [{ fromMs: 1000 }, 'e'],
        [{ toMs: 150 }, 'ab'],
        [{ stream: 'a', fromMs: 180, toMs: 300 }, 'bc'],
        [{ after: { startedAtMs: 100, id: 'a' } }, 'bdce'],
        [{ after: { startedAtMs: 150, id: 'd' }, stream: 'a' }, 'ce'],
      ] as const
      for (const [query, expected] of cases) assert.equal(ids(await index.list({ ...query, limit: 10 })), expected)
      assert.equal(ids(await index.list({ limit: 2 })), 'ab')
      assert.equal(ids(await index.pageOfDisk({ limit: 3 })), 'abd')
      assert.equal(ids(await index.pageOfDisk({ after: { startedAtMs: 100, id: 'b' }, limit: 2 })), 'dc')
    })

    test('sums up by stream, names the oldest closed, knows ids, removes', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      assert.deepEqual(await index.usage(), [
        { stream: 'a', sizeBytes: 15_000_000_001, segmentCount: 4, unarchivedCount: 3, unarchivedSinceMs: 150 },
        { stream: 'site/gate', sizeBytes: 5_000_000_000, segmentCount: 1, unarchivedCount: 1, unarchivedSinceMs: 250 },
      ])
      assert.equal(ids(await index.oldestClosed({ limit: 10 })), 'abdc')
      assert.equal(ids(await index.oldestClosed({ stream: 'a', endedBeforeMs: 201, limit: 10 })), 'ab')
      assert.deepEqual(await index.findKnownIds(['a', 'x', 'e']), new Set(['a', 'e']))
      await index.remove(['a', 'e', 'x'])
      assert.equal(ids(await index.list({ limit: 10 })), 'bdc')
    })

    test('where a segment is kept: on the disk, in the archive, in both, and then nowhere', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      assert.equal(await index.markArchived('b', 1_900_000_000_000), true)
      assert.equal(await index.markArchived('nope', 1), false)
      // Rows that are written late know nothing of the archive.
      await index.save([segment('b', { from: 100, to: 200 })])
      assert.deepEqual(await index.find('b'), { ...segment('b', { from: 100, to: 200 }), archivedAtMs: 1_900_000_000_000 })
      assert.equal(await index.forgetFile('b'), true)
      await index.save([segment('b', { from: 100, to: 200 })])
      const { isOnDisk, archivedAtMs } = (await index.find('b')) ?? assert.fail()
      assert.deepEqual([isOnDisk, archivedAtMs], [false, 1_900_000_000_000])
      assert.equal(await index.forgetArchived('b'), false)
      assert.equal(await index.find('b'), undefined)
      await index.markArchived('c', 1)
      assert.equal(await index.forgetArchived('c'), true)
      assert.deepEqual(await index.find('c'), segment('c', { from: 200, to: 300 }))
      assert.equal(await index.forgetFile('c'), false)
      assert.equal(await index.find('c'), undefined)
    })

    test('what is in the archive alone counts for nothing on the disk, and is listed with the rest', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      for (const id of ['a', 'd']) await index.markArchived(id, 1)
      await index.forgetFile('a')
      assert.deepEqual(
        (await index.usage()).map(({ segmentCount, unarchivedCount }) => [segmentCount, unarchivedCount]),
        [
          [3, 2],
          [1, 0],
        ],
      )
      assert.equal(ids(await index.list({ limit: 10 })), 'abdce')
      assert.equal(ids(await index.pageOfDisk({ limit: 10 })), 'bdce')
      assert.equal(ids(await index.oldestClosed({ limit: 10 })), 'bdc')
      assert.equal(ids(await index.oldestClosed({ unarchivedBeforeMs: 0, limit: 10 })), 'd')
      assert.equal(ids(await index.oldestClosed({ unarchivedBeforeMs: 201, limit: 10 })), 'bd')
      assert.equal(ids(await index.unarchived({ streams: ['a', 'site/gate'], limit: 10 })), 'bc')
      assert.equal(ids(await index.unarchived({ streams: ['a'], endedAfterMs: 200, limit: 10 })), 'c')
      assert.equal(ids(await index.unarchived({ streams: [], limit: 10 })), '')
      assert.equal(ids(await index.oldestArchived({ stream: 'a', endedBeforeMs: 151, limit: 10 })), 'a')
      assert.equal(ids(await index.oldestArchived({ stream: 'a', endedBeforeMs: 150, limit: 10 })), '')
    })

    test('thousands of rows in one call', async () => {
      await using filledIndex = await filled()
      const { index } = filledIndex
      const many = Array.from({ length: 2300 }, (_, i) => segment(`m${i}`, { stream: 'many', from: i, to: i + 1 }))
      await index.save(many)
      const all = many.map(({ id }) => id)
      assert.equal((await index.findKnownIds(all)).size, 2300)
      await index.remove(all)
      assert.equal((await index.list({ stream: 'many', limit: 10 })).length, 0)
    })
  })
}

indexSuite('SQLite', async () => await openDatabase({ url: 'sqlite::memory:', log: silentLog }))

let server: PostgresServer | undefined
indexSuite(
  'PostgreSQL',
  async () => {
    assert.ok(server)
    return await openDatabase({ url: await server.createDatabase(), log: silentLog })
  },
  {
    before: async () => {
      server = await startPostgres()
    },
    after: async () => await server?.[Symbol.asyncDispose](),
  },
)
