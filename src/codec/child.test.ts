import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { createLog } from '#lib/log.ts'
import { until } from '../../test/support/until.ts'
import { CodecChild } from './child.ts'

const entry = new URL('../../test/support/peers/process/codec-fixture.ts', import.meta.url)
const log = createLog({ level: 'silent', pretty: false })
const timeoutMs = 10_000

function startChild(options: { onEvent?: (value: unknown) => void; aliveTimeoutMs?: number } = {}): CodecChild {
  return new CodecChild({ entry, log, ...options })
}

/** Whether a process, or with a negative id a group, exists. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function pidOf(child: CodecChild): number {
  assert.ok(child.pid)
  return child.pid
}

test('a request brings back value and bytes', async () => {
  await using child = startChild()
  const payload = Buffer.from([1, 2, 3])
  const results = await Promise.all([1, 2, 3].map((value) => child.request('echo', { value }, { payload, timeoutMs })))
  assert.deepEqual(
    results,
    [1, 2, 3].map((value) => ({ value: { value }, payload })),
  )
})

test('an error of the child arrives with its code', async () => {
  await using child = startChild()
  await assert.rejects(child.request('refuse', {}, { timeoutMs }), { code: 'UNSUPPORTED', message: 'no such pixel format' })
  await assert.rejects(child.request('nothing', {}, { timeoutMs }), { code: 'CODEC_FAILED', message: /has no "nothing"/ })
})

test('events arrive', async () => {
  const events: unknown[] = []
  await using child = startChild({ onEvent: (value) => events.push(value) })
  await child.request('emit', { camera: 'a' }, { timeoutMs })
  assert.deepEqual(events, [{ camera: 'a' }])
})

test('an aborted request is given up on both sides and the child goes on', async () => {
  const events: unknown[] = []
  await using child = startChild({ onEvent: (value) => events.push(value) })
  const abort = new AbortController()
  const waiting = child.request('wait', {}, { timeoutMs, signal: abort.signal })
  abort.abort(new Error('not needed'))
  await assert.rejects(waiting, /not needed/)
  await until(() => events.includes('cancelled'))
  assert.deepEqual((await child.request('echo', 1, { timeoutMs })).value, 1)
})

test('the child does not get the secrets of the environment', async () => {
  process.env['MILLRACE_TEST_SECRET'] = 'hidden'
  await using child = startChild()
  const { value } = await child.request('environment', {}, { timeoutMs })
  delete process.env['MILLRACE_TEST_SECRET']
  assert.doesNotMatch(JSON.stringify(value), /hidden/)
})

test('a crash fails what is under way, with the last lines and without passwords', async () => {
  await using child = startChild()
  const waiting = child.request('wait', {}, { timeoutMs })
  await assert.rejects(Promise.all([waiting, child.request('crash', {}, { timeoutMs })]), {
    code: 'CODEC_FAILED',
    message: /ended by SIGSEGV; it wrote last:\nopening rtsp:\/\/\*\*\*@camera\/1\nabout to crash/,
  })
  assert.equal((await child.ended)?.code, 'CODEC_FAILED')
  await assert.rejects(child.request('echo', {}, { timeoutMs }), { code: 'CODEC_FAILED' })
})

test('a child whose event loop stands still is killed', async () => {
  await using child = startChild({ aliveTimeoutMs: 1500 })
  const hanging = child.request('hang', {}, { timeoutMs: 60_000 })
  await assert.rejects(hanging, { code: 'CODEC_FAILED', message: /said nothing for 1500 ms/ })
  await child.ended
  assert.equal(exists(-pidOf(child)), false)
})

test('a child that does not answer in time is killed', async () => {
  await using child = startChild()
  await child.request('echo', {}, { timeoutMs })
  await assert.rejects(child.request('wait', {}, { timeoutMs: 50 }), { code: 'CODEC_FAILED', message: /within 50 ms/ })
  await child.ended
  assert.equal(exists(-pidOf(child)), false)
})

test('a child that sends nonsense is killed', async () => {
  await using child = startChild()
  await child.request('talkNonsense', {}, { timeoutMs }).catch(() => undefined)
  assert.match(String(await child.ended), /sent what is no message/)
})

test('disposing takes the whole group, also what ignores SIGTERM', async () => {
  const child = startChild()
  await child.request('ignoreTerm', {}, { timeoutMs })
  const { value } = await child.request('startGrandchild', {}, { timeoutMs })
  const grandchild = Number(value)
  assert.equal(exists(grandchild), true)
  await child[Symbol.asyncDispose]()
  await child[Symbol.asyncDispose]()
  assert.equal(await child.ended, undefined)
  assert.equal(exists(pidOf(child)), false)
  await until(() => !exists(grandchild))
})

test('an entry that cannot be run is CODEC_FAILED', async () => {
  await using child = new CodecChild({ entry: new URL('./no-such-file.ts', import.meta.url), log })
  await assert.rejects(child.request('echo', {}, { timeoutMs }), { code: 'CODEC_FAILED', message: /ended with code 1/ })
})

for (const method of ['echo', 'hang']) {
  test(`a child ends when its parent is killed, after "${method}"`, async () => {
    const script = `
      import { CodecChild } from ${JSON.stringify(new URL('./child.ts', import.meta.url).href)}
      import { createLog } from '#lib/log.ts'
      const child = new CodecChild({ entry: new URL(${JSON.stringify(entry.href)}), log: createLog({ level: 'silent', pretty: false }) })
      await child.request('echo', {}, { timeoutMs: 10000 })
      void child.request('${method}', {}, { timeoutMs: 60000 })
      process.stdout.write(String(child.pid))`
    const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      cwd: new URL('../..', import.meta.url),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [text] = await once(parent.stdout, 'data')
    const childPid = Number(String(text))
    assert.equal(exists(childPid), true)
    parent.kill('SIGKILL')
    await until(() => !exists(childPid))
  })
}
