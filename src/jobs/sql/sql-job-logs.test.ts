import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openFleet } from '../scheduler/scheduler.fixture.ts'
import { sqlJobLogs } from './sql-job-logs.ts'

test('a job keeps its newest lines', async () => {
  await using fleet = await openFleet()
  const { job } = await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } } })
  const worker = await fleet.addWorker('one')
  const { taskId } = await worker.take()
  const logs = sqlJobLogs(fleet.database, { linesPerJob: 3 })
  const line = (text: string) => ({ taskId, atMs: 1, level: 'info', text }) as const
  await logs.append(worker.ref, ['a', 'b'].map(line))
  await logs.append(worker.ref, ['c', 'd', 'e'].map(line))
  const kept = await logs.list({ jobId: job.id, limit: 10, isTail: false })
  assert.deepEqual(
    kept.map(({ text }) => text),
    ['c', 'd', 'e'],
  )
})

test('lines of a process that was replaced, and of tasks that nobody knows, are dropped', async () => {
  await using fleet = await openFleet()
  const { job } = await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } } })
  const worker = await fleet.addWorker('one')
  const { taskId } = await worker.take()
  const logs = sqlJobLogs(fleet.database)
  const line = { taskId, atMs: 1, level: 'info', text: 'old' } as const
  await logs.append({ ...worker.ref, epoch: worker.ref.epoch + 1 }, [line])
  await logs.append(worker.ref, [{ ...line, taskId: 999_999 }])
  assert.deepEqual(await logs.list({ jobId: job.id, limit: 10, isTail: false }), [])
})
