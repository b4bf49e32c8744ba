import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '#lib/backoff.ts'
import { AppError } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import { IndexWriter } from './index-writer.ts'
import type { RecordingIndex, RecordingSegment } from './recording-index.ts'
import { openIndex, silentLog } from './recording.fixture.ts'

const backoff = (): Backoff => new Backoff({ firstMs: 5, maxMs: 20 })

function row(id: string, sizeBytes = 1): RecordingSegment {
  const base = { id, stream: 'a', sessionId: 's', path: `${id}.mp4`, startedAtMs: 1, durationMs: 1, initSizeBytes: 1 }
  return { ...base, sizeBytes, state: 'open', isDiscontinuity: false, isOnDisk: true }
}

/** The index behind a database that is away while `isAway` says so. */
function behind(index: RecordingIndex, isAway: () => boolean): { tries: number } & Pick<RecordingIndex, 'save' | 'remove'> {
  const refuse = (): void => {
    if (isAway()) throw new AppError('DATABASE_UNAVAILABLE', 'away')
  }
  const flaky = {
    tries: 0,
    async save(segments: readonly RecordingSegment[]) {
      flaky.tries += 1
      refuse()
      await index.save(segments)
    },
    async remove(ids: readonly string[]) {
      refuse()
      await index.remove(ids)
    },
  }
  return flaky
}

test('rows wait while the database is away and arrive in their last state', async () => {
  await using opened = await openIndex()
  let isAway = true
  const flaky = behind(opened.index, () => isAway)
  await using writer = new IndexWriter({ index: flaky, log: silentLog, backoff: backoff() })
  for (let size = 1; size <= 5; size++) writer.save(row('one', size))
  writer.save(row('two'))
  writer.remove('two')
  await until(() => flaky.tries >= 3)
  assert.equal(writer.pendingRows, 2)
  isAway = false
  await until(() => writer.pendingRows === 0)
  assert.deepEqual(await opened.index.list({ limit: 10 }), [row('one', 5)])
})

test('closing writes what is left, also when the database comes back only then', async () => {
  await using opened = await openIndex()
  let tries = 0
  const flaky = behind(opened.index, () => (tries += 1) < 3)
  const writer = new IndexWriter({ index: flaky, log: silentLog, backoff: backoff() })
  for (let i = 0; i < 1000; i++) writer.save(row(`row-${i}`))
  await writer[Symbol.asyncDispose]()
  assert.equal(writer.pendingRows, 0)
  assert.equal((await opened.index.usage())[0]?.segmentCount, 1000)
})

test('closing gives up on a database that stays away', async () => {
  await using opened = await openIndex()
  const writer = new IndexWriter({ index: behind(opened.index, () => true), log: silentLog, backoff: backoff() })
  writer.save(row('one'))
  await writer[Symbol.asyncDispose]()
  assert.equal(writer.pendingRows, 1)
})

test('what waits is bounded: the oldest rows are let go', async () => {
  await using opened = await openIndex()
  const writer = new IndexWriter({ index: behind(opened.index, () => true), log: silentLog, backoff: backoff() })
  for (let i = 0; i < 20_500; i++) writer.save(row(`row-${i}`))
  assert.equal(writer.pendingRows, 20_000)
  await writer[Symbol.asyncDispose]()
})
