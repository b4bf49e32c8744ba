import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { until } from '../../../test/support/until.ts'
import { CodecProcesses } from './codec-processes.ts'
import type { RunContext } from './task-runner.ts'
import { silentLog } from './worker.fixture.ts'

const nothing = (): void => undefined

function contextOf(jobId: string): RunContext {
  const { signal } = new AbortController()
  return {
    jobId,
    directory: '',
    urlOf: String,
    signal,
    onProgress: nothing,
    onMoved: nothing,
    onProcess: nothing,
    log: silentLog,
  }
}

/** Runs a task and gives the id of its process. */
function pidOf(processes: CodecProcesses, jobId: string, options: { isLast?: boolean } = {}): Promise<number> {
  return processes.run(contextOf(jobId), async ({ pid }) => pid ?? assert.fail('no process was started'), options)
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('tasks of one job share a process, those of another job do not, and the last ends it', async () => {
  await using processes = new CodecProcesses({ log: silentLog, idleMs: 60_000 })
  const first = await pidOf(processes, 'a')
  assert.equal(await pidOf(processes, 'a'), first)
  const other = await pidOf(processes, 'b')
  assert.notEqual(other, first)
  assert.equal(await pidOf(processes, 'a', { isLast: true }), first)
  assert.deepEqual([isThere(first), isThere(other)], [false, true])
})

test('tasks at the same time have processes of their own', async () => {
  await using processes = new CodecProcesses({ log: silentLog, idleMs: 60_000 })
  const pids = await processes.run(contextOf('a'), async ({ pid }) => [pid, await pidOf(processes, 'a')])
  assert.equal(new Set(pids).size, 2)
  assert.equal(processes.idleCount, 2)
})

test('a process whose task failed is gone', async () => {
  await using processes = new CodecProcesses({ log: silentLog, idleMs: 60_000 })
  let failed = 0
  const work = async ({ pid = 0 }): Promise<never> => {
    failed = pid
    throw new AppError('MALFORMED', 'no film')
  }
  await assert.rejects(processes.run(contextOf('a'), work), { code: 'MALFORMED' })
  assert.deepEqual([isThere(failed), processes.idleCount], [false, 0])
})

test('nobody waits for longer than said, nor after a crash, nor when the worker ends', async () => {
  const processes = new CodecProcesses({ log: silentLog, idleMs: 300 })
  const waiting = await pidOf(processes, 'a')
  await until(() => !isThere(waiting), { what: 'the process to be ended' })
  assert.equal(processes.idleCount, 0)
  const crashed = await pidOf(processes, 'a')
  process.kill(-crashed, 'SIGKILL')
  await until(() => processes.idleCount === 0, { what: 'the process to be forgotten' })
  const last = await pidOf(processes, 'a')
  assert.notEqual(last, crashed)
  await processes[Symbol.asyncDispose]()
  assert.ok(!isThere(last))
})
