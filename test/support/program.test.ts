import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { startMillrace } from './program.ts'
import { until } from './until.ts'

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('the program starts, keeps its addresses over a restart, and leaves nothing behind', async () => {
  const millrace = await startMillrace()
  const { url, rtspUrl, directory } = millrace
  const firstPid = millrace.process.pid
  assert.equal((await fetch(`${url}/health`)).status, 200)
  assert.equal((await fetch(millrace.metricsUrl)).status, 200)
  await millrace.restart()
  assert.deepEqual([millrace.url, millrace.rtspUrl], [url, rtspUrl])
  assert.notEqual(millrace.process.pid, firstPid)
  assert.match(millrace.output(), /millrace is running/)
  const { pid } = millrace.process
  await millrace[Symbol.asyncDispose]()
  assert.ok(pid && !exists(pid))
  assert.ok(!existsSync(directory))
})

test('a configuration that is refused fails the start, with what the program said', async () => {
  await assert.rejects(startMillrace({ config: 'nonsense = 1\n' }), /did not start:[^]*nonsense/)
})

test('the program ends when the test that started it is killed', async () => {
  const script = `
    import { startMillrace } from ${JSON.stringify(new URL('./program.ts', import.meta.url).href)}
    const millrace = await startMillrace()
    process.stdout.write(JSON.stringify({ pid: millrace.process.pid, directory: millrace.directory }))
    setInterval(() => undefined, 1000)`
  const tester = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [text] = await once(tester.stdout, 'data')
  const { pid, directory }: { pid: number; directory: string } = JSON.parse(String(text))
  assert.ok(exists(pid))
  tester.kill('SIGKILL')
  await until(() => !exists(pid))
  await rm(directory, { recursive: true, force: true })
})
