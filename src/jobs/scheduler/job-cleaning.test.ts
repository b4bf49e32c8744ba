import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../test/support/until.ts'
import { cleanJobs, pruneJobs } from './job-cleaning.ts'
import { openFleet, type TestFleet } from './scheduler.fixture.ts'
import { findResult } from './stored-values.ts'

async function keysBelow({ objects }: TestFleet, prefix: string): Promise<string[]> {
  return (await objects.list({ prefix })).objects.map(({ key }) => key)
}

async function completed(fleet: TestFleet): Promise<string> {
  const { job } = await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } } })
  await (await fleet.addWorker('one')).work()
  return job.id
}

test('of a job that is completed what it published stays, and nothing else', async () => {
  await using fleet = await openFleet()
  const id = await completed(fleet)
  await fleet.objects.put(`jobs/${id}/out/99/lost.mp4`, Buffer.from('of an attempt that did not count'))
  assert.ok((await keysBelow(fleet, `jobs/${id}/work/`)).length > 0)
  await cleanJobs(fleet)
  const prefix = findResult((await fleet.scheduler.requireJob(id)).result)?.prefix ?? ''
  const keys = await keysBelow(fleet, `jobs/${id}/`)
  assert.ok(keys.length > 0)
  assert.deepEqual(
    keys.filter((key) => !key.startsWith(prefix)),
    [],
  )
  assert.deepEqual(await fleet.store.findUncleaned(10), [])
})

test('a job that failed keeps what a retry goes on with', async () => {
  await using fleet = await openFleet()
  const { job } = await fleet.scheduler.submit({ scenario: 'tiny', input: { source: { object: fleet.source } } })
  const worker = await fleet.addWorker('one')
  await worker.finish(await worker.take())
  const [first, second, ...others] = await worker.claim()
  assert.ok(first && second)
  await worker.finish(first)
  await worker.fail(second, { code: 'ENCODE_DAMAGED' })
  await worker.heartbeat(others)
  await cleanJobs(fleet)
  assert.ok((await keysBelow(fleet, `jobs/${job.id}/work/${first.taskId}.`)).length > 0)
  await fleet.scheduler.retry(job.id)
  const kinds = await worker.work()
  assert.ok(!kinds.includes('probe') && kinds.length === others.length + 2, kinds.join())
  assert.equal((await fleet.scheduler.requireJob(job.id)).state, 'completed')
})

test('a job that has been over for long is forgotten; what it published stays', async () => {
  await using fleet = await openFleet()
  const id = await completed(fleet)
  await until(async () => (await fleet.store.nowMs()) > ((await fleet.store.findJob(id))?.finishedAtMs ?? Infinity))
  await pruneJobs(fleet, { retentionMs: 60_000 })
  assert.ok(await fleet.store.findJob(id))
  await pruneJobs(fleet, { retentionMs: 0 })
  assert.equal(await fleet.store.findJob(id), undefined)
  assert.deepEqual(await keysBelow(fleet, `jobs/${id}/work/`), [])
  assert.ok((await keysBelow(fleet, `jobs/${id}/out/`)).length > 0)
})
