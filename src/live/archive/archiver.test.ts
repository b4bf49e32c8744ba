import assert from 'node:assert/strict'
import { readFile, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '#lib/clock.ts'
import { until } from '../../../test/support/until.ts'
import { deleteRecording } from '../recorder/delete-segment.ts'
import { absolutePath } from '../recorder/segment-path.ts'
import { ArchiveExpiry } from './archive-expiry.ts'
import { archiveBench, wanted } from './archive.fixture.ts'

const hourMs = 3_600_000
const exists = async (b: { objects: { head(key: string): Promise<unknown> } }, key: string): Promise<boolean> =>
  await b.objects.head(key).then(
    () => true,
    () => false,
  )

test('closed segments of streams that want it are archived, the oldest first, and those that come later', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 8 })
  await b.record({ seconds: 4, stream: 'other' })
  await using archiver = b.archiver()
  await b.untilArchived(2)
  await b.record({ seconds: 4, fromMs: 60_000 })
  archiver.wake()
  await b.untilArchived(3)
  const segments = await b.segments()
  const archived = segments.filter(({ stream }) => stream === 'site/gate')
  const told = b.events.events.flatMap((event) => (event.type === 'recording.archived' ? [event.segmentId] : []))
  // Two go at once: which of them ends first is open.
  assert.deepEqual(
    [told.slice(0, 2).toSorted(), told[2]],
    [
      archived
        .slice(0, 2)
        .map(({ id }) => id)
        .toSorted(),
      archived[2]?.id,
    ],
  )
  for (const { path } of archived) {
    const object = join(b.objectsDirectory, 'recordings', path)
    assert.deepEqual(await readFile(object), await readFile(absolutePath(b.directory, path)))
  }
  assert.equal(segments.find(({ stream }) => stream === 'other')?.archivedAtMs, undefined)
})

test('a store that is away is tried again with growing waits, told once, and nothing is lost', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 12, segmentSeconds: 2 })
  const count = (await b.segments()).length
  const away = `${b.objectsDirectory}.away`
  await rename(b.objectsDirectory, away)
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const startedAt = performance.now()
  await using archiver = b.archiver({ log })
  await until(() => archiver.failures >= 6)
  // Two at once at most, and at least 10 ms after each round.
  const most = 2 * (2 + (performance.now() - startedAt) / 10)
  assert.ok(archiver.failures <= most, `${archiver.failures} of at most ${most}`)
  await rename(away, b.objectsDirectory)
  await b.untilArchived(count)
  assert.equal(b.requests.filter(({ operation }) => operation === 'put').length, archiver.failures + 2 * count)
  await until(() => b.types().includes('recording.archive-recovered'))
  assert.deepEqual([b.types().filter((type) => type === 'recording.archive-failed').length, lines.length], [1, 1])
})

test('a file that cannot be archived does not hold up the others', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 8, segmentSeconds: 2 })
  const [gone, short, ...rest] = await b.segments()
  assert.ok(gone && short && rest.length > 0)
  await rm(absolutePath(b.directory, gone.path))
  await truncate(absolutePath(b.directory, short.path), short.sizeBytes - 1)
  await using archiver = b.archiver()
  await b.untilArchived(rest.length)
  assert.ok(archiver.failures >= 2)
  assert.ok(!b.types().includes('recording.archive-failed'))
})

test('what is deleted while it is uploaded leaves nothing in the archive', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 4 })
  const [segment] = await b.segments()
  assert.ok(segment)
  const archive = {
    put: async (...[one, signal]: Parameters<typeof b.archive.put>) => {
      await b.archive.put(one, signal)
      await deleteRecording(b, segment.id)
    },
    remove: (path: string) => b.archive.remove(path),
  }
  await using _ = b.archiver({ archive })
  await until(() => b.requests.some(({ operation }) => operation === 'delete'))
  await until(async () => !(await exists(b, `recordings/${segment.path}`)))
  assert.deepEqual(await b.segments(), [])
  assert.ok(!b.types().includes('recording.archived'))
})

test('on request a recording goes from the disk and from the archive', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 8 })
  {
    await using _ = b.archiver()
    await b.untilArchived(2)
  }
  const [freed, both] = await b.segments()
  assert.ok(freed && both)
  await b.free([freed])
  const away = `${b.objectsDirectory}.away`
  await rename(b.objectsDirectory, away)
  await assert.rejects(deleteRecording(b, freed.id), { code: 'OBJECTS_UNAVAILABLE' })
  await rename(away, b.objectsDirectory)
  for (const { id, path } of [freed, both]) {
    await deleteRecording(b, id)
    for (const key of [`recordings/${path}`, `recordings/${path}.index`]) assert.equal(await exists(b, key), false)
  }
  assert.deepEqual(await b.segments(), [])
})

test('too old for the archive: deleted there, kept as long as the disk has it, and not archived again', async () => {
  await using b = await archiveBench()
  await b.record({ seconds: 12 })
  {
    await using _ = b.archiver()
    await b.untilArchived(3)
  }
  const [freed, both, young] = await b.segments()
  assert.ok(freed && both && young)
  await b.free([freed])
  const clock = new ManualClock((young.endedAtMs ?? 0) + hourMs - 1)
  const policies = () => [['site/gate', { ...wanted, archiveRetentionHours: 1 }]] as const
  await using expiry = new ArchiveExpiry({ ...b, clock, policies })
  await expiry.run()
  const { archivedAtMs: _, ...kept } = both
  assert.deepEqual(await b.segments(), [kept, young])
  for (const { path, archived } of [
    { ...freed, archived: false },
    { ...both, archived: false },
    { ...young, archived: true },
  ]) {
    assert.equal(await exists(b, `recordings/${path}`), archived)
    assert.equal(await exists(b, `recordings/${path}.index`), archived)
  }
  const deleted = b.events.events.filter(({ type }) => type === 'recording.deleted')
  assert.deepEqual(deleted, [
    { type: 'recording.deleted', stream: 'site/gate', segmentId: freed.id, reason: 'archive-age', sizeBytes: freed.sizeBytes },
  ])
  const before = b.requests.length
  await b.record({ seconds: 4, fromMs: 2 * hourMs })
  await using __ = b.archiver({ clock, policies })
  await b.untilArchived(2)
  assert.equal(b.requests.slice(before).filter(({ operation }) => operation === 'put').length, 2)
})
