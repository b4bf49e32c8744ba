import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import { encodeBatch } from '#formats/kafka/records.ts'
import { ManualClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { ManualTimers } from '#lib/timers.ts'
import { AckDeadlines } from './ack-deadlines.ts'
import { LogSpan } from './log-span.ts'
import type { AckLevel } from './topic-config.ts'

function open() {
  const clock = new ManualClock()
  const timers = new ManualTimers(clock)
  const deadlines = new AckDeadlines({ clock, timers })
  /** How each wait has ended so far, by its name. */
  const ends: Record<string, string> = {}
  const wait = (name: string, batch: LogSpan, { ack, timeoutMs }: { ack: AckLevel; timeoutMs: number }): void => {
    const end = (how: string): void => {
      ends[name] ??= how
      deadlines.remove(one)
    }
    const one = {
      ack,
      timeoutMs,
      next: undefined,
      dueMs: 0,
      place: -1,
      reached: () => end('reached'),
      ended: ({ code }: AppError) => end(code),
    }
    deadlines.add(one, clock.monotonicMs())
    batch.wait(one)
  }
  return { timers, ends, wait }
}

function newBatch(): LogSpan {
  const bytes = encodeBatch([{ key: null, value: Buffer.from('a'), headers: [], timestampMs: 1 }])
  return new LogSpan(readBatchHeader(bytes), 0, bytes)
}

test('waits end when they are over, and no timer is left', async () => {
  const { timers, ends, wait } = open()
  const batch = newBatch()
  wait('short', batch, { ack: 'wal', timeoutMs: 250 })
  wait('long', batch, { ack: 'wal', timeoutMs: 1000 })
  wait('object', batch, { ack: 'object', timeoutMs: 2000 })
  assert.equal(timers.pending, 1)
  await timers.advance(249)
  assert.deepEqual(ends, {})
  await timers.advance(101)
  assert.deepEqual(ends, { short: 'TIMEOUT' })
  batch.reach('synced')
  await timers.advance(1)
  assert.deepEqual(ends, { short: 'TIMEOUT', long: 'reached' })
  await timers.advance(1750)
  assert.deepEqual(ends, { short: 'TIMEOUT', long: 'reached', object: 'TIMEOUT' })
  assert.equal(timers.pending, 0)
})

test('a batch that was reached or has failed in time leaves nothing to wait for', async () => {
  const { timers, ends, wait } = open()
  const [synced, failed] = [newBatch(), newBatch()]
  wait('synced', synced, { ack: 'wal', timeoutMs: 60_000 })
  wait('failed', failed, { ack: 'wal', timeoutMs: 60_000 })
  synced.reach('synced')
  failed.fail(new AppError('LOG_UNAVAILABLE', 'gone'))
  wait('at once', synced, { ack: 'wal', timeoutMs: 60_000 })
  await timers.advance(100)
  assert.deepEqual(ends, { synced: 'reached', failed: 'LOG_UNAVAILABLE', 'at once': 'reached' })
  assert.equal(timers.pending, 0)
})
