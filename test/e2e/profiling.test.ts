import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../support/command-line.ts'
import { type Millrace, showOutputOnFailure, startMillrace } from '../support/program.ts'
import { until } from '../support/until.ts'

const users = `
[[users]]
name = "admin"
password = "a"
admin = true
[[users]]
name = "viewer"
password = "v"
`
const admin = 'admin:a'

test('profiles of a running server: off, turned on without a restart, for administrators, one at a time', async (t) => {
  await using millrace = await startMillrace({ config: users })
  showOutputOnFailure(t, millrace)
  const { url } = millrace
  assert.deepEqual(await refusal(url, 'cpu', { user: admin }), [409, 'PROFILING_DISABLED'])

  await writeFile(join(millrace.directory, 'millrace.toml'), `[profiling]\nenabled = true\n${users}`)
  millrace.process.kill('SIGHUP')
  const reloaded = await until(() => lineWith(millrace, 'configuration reloaded'), { what: 'the reload' })
  assert.deepEqual([reloaded['changed'], reloaded['restarted'], reloaded['needsRestart']], [['profiling'], [], []])
  assert.ok(lineWith(millrace, 'profiling is on'))
  assert.deepEqual(await refusal(url, 'cpu', {}), [401, 'UNAUTHORIZED'])
  assert.deepEqual(await refusal(url, 'cpu', { user: 'viewer:v' }), [403, 'FORBIDDEN'])
  assert.deepEqual(await refusal(url, 'cpu?seconds=121', { user: admin }), [400, 'REQUEST_INVALID'])

  const gone = new AbortController()
  const left = ask(url, 'cpu?seconds=120', { user: admin, signal: gone.signal })
  await until(() => lineWith(millrace, 'profile begins'), { what: 'the first profile to begin' })
  assert.deepEqual(await refusal(url, 'heap', { user: admin }), [409, 'PROFILE_RUNNING'])
  gone.abort()
  await assert.rejects(left)
  const brokenOff = await until(() => lineWith(millrace, 'profile broken off'), { what: 'the client to be missed' })
  assert.match(String(brokenOff['reason']), /client went away/)

  const profile = ask(url, 'cpu?seconds=1', { user: admin })
  await keepBusyUntil(profile, millrace)
  const { nodes } = await readJson(await profile, ['nodes', 'samples', 'timeDeltas'])
  assert.match(JSON.stringify(nodes), /file:[^"]*\/src\/api\/routes\/config\.ts/)
  assert.partialDeepStrictEqual(lineWith(millrace, 'profile is taken'), { kind: 'cpu', seconds: 1, user: 'admin' })

  const answered = ask(url, 'allocations?seconds=120', { user: admin })
  await until(() => linesWith(millrace, 'profile begins').length === 3, { what: 'the last profile to begin' })
  await Promise.all([answered.then((response) => codeOf(response)), millrace.kill('SIGTERM')]).then(([code]) =>
    assert.deepEqual(code, [503, 'SHUTTING_DOWN']),
  )
})

test('the command line saves profiles, privately, and names the functions that took most', async (t) => {
  await using millrace = await startMillrace({ args: ['--enable-profiling'] })
  showOutputOnFailure(t, millrace)
  const path = (name: string): string => join(millrace.directory, name)
  const profile = runCommand(millrace, ['profile', 'cpu', '--seconds', '1', '--output', path('a.cpuprofile')])
  await keepBusyUntil(profile, millrace)
  const cpu = await profile
  assert.equal(cpu.code, 0, cpu.errors)
  assert.match(
    cpu.output,
    /^Wrote .*a\.cpuprofile: .*B\n\nBusy \d.* %.*\n *SELF +TIME +FUNCTION +WHERE\n(.* %.*\n){1,5}\nOpen it in /,
  )
  assert.equal((await stat(path('a.cpuprofile'))).mode & 0o777, 0o600)
  const again = await runCommand(millrace, ['profile', 'cpu', '--output', path('a.cpuprofile')])
  assert.match(again.errors, /^error OUTPUT_FAILED: .* exists already/)

  const flags = [
    '--seconds',
    '1',
    '--objects',
    'alive',
    '--interval-bytes',
    '1024',
    '--force',
    '--json',
    '-o',
    path('a.cpuprofile'),
  ]
  const sampled = runCommand(millrace, ['profile', 'allocations', ...flags])
  await keepBusyUntil(sampled, millrace)
  const allocations = await sampled
  assert.equal(allocations.code, 0, allocations.errors)
  assert.partialDeepStrictEqual(JSON.parse(allocations.output), { file: path('a.cpuprofile'), seconds: 1, objects: 'alive' })
  assert.ok(JSON.parse(allocations.output).functions.length > 0)

  const heap = await runCommand(millrace, ['profile', 'heap', '--json', '-o', path('a.heapsnapshot')])
  assert.equal(heap.code, 0, heap.errors)
  const { sizeBytes } = JSON.parse(heap.output)
  assert.equal((await stat(path('a.heapsnapshot'))).size, sizeBytes)
  const snapshot = JSON.parse(await readFile(path('a.heapsnapshot'), 'utf8'))
  assert.equal(snapshot.nodes.length, snapshot.snapshot.node_count * snapshot.snapshot.meta.node_fields.length)
})

test('a worker by itself gives profiles to its own machine only', async (t) => {
  await using worker = await startMillrace({
    role: 'worker',
    args: ['--enable-profiling'],
    env: { MILLRACE_WORKER_URLS: 'http://127.0.0.1:9' },
  })
  showOutputOnFailure(t, worker)
  const url = worker.workerUrl
  assert.deepEqual(await refusal(url, 'cpu', { headers: { 'x-forwarded-for': '127.0.0.1' } }), [403, 'FORBIDDEN'])
  assert.deepEqual(await refusal(url, 'cpu', { headers: { origin: url } }), [403, 'FORBIDDEN'])
  assert.deepEqual(await refusal(url, 'cpu?seconds=0', {}), [400, 'REQUEST_INVALID'])
  assert.deepEqual(await refusal(url, 'else', {}), [404, 'ROUTE_NOT_FOUND'])
  const gone = new AbortController()
  const left = ask(url, 'cpu?seconds=120', { signal: gone.signal })
  await until(() => lineWith(worker, 'profile begins'), { what: 'the profile to begin' })
  assert.deepEqual(await refusal(url, 'cpu', {}), [409, 'PROFILE_RUNNING'])
  gone.abort()
  await assert.rejects(left)
  await until(() => lineWith(worker, 'profile broken off'), { what: 'the client to be missed' })
  const { head } = await readJson(await ask(url, 'allocations?seconds=1', {}), ['head', 'samples'])
  assert.ok(head)
})

type Caller = {
  readonly user?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

function ask(url: string, what: string, { user, headers, signal }: Caller): Promise<Response> {
  const authorization = user === undefined ? {} : { authorization: `Basic ${btoa(user)}` }
  return fetch(`${url}/api/v1/profiles/${what}`, {
    method: 'POST',
    headers: { ...authorization, ...headers },
    ...(signal && { signal }),
  })
}

async function refusal(url: string, what: string, caller: Caller): Promise<[status: number, code: unknown]> {
  return await codeOf(await ask(url, what, caller))
}

async function codeOf(response: Response): Promise<[status: number, code: unknown]> {
  const { code } = await readJson(response, ['code', 'message'])
  return [response.status, code]
}

async function readJson(response: Response, keys: readonly string[]): Promise<Record<string, unknown>> {
  const body: Record<string, unknown> = JSON.parse(await response.text())
  for (const key of keys) assert.ok(key in body, `${key} in ${JSON.stringify(body).slice(0, 200)}`)
  return body
}

/** Asks for the configuration again and again until something else is done. */
async function keepBusyUntil(done: Promise<unknown>, { url }: Millrace): Promise<void> {
  const stop = new AbortController()
  void Promise.allSettled([done]).then(() => stop.abort())
  while (!stop.signal.aborted)
    await (await fetch(`${url}/api/v1/config`, { headers: { authorization: `Basic ${btoa(admin)}` } })).text()
}

function linesWith(millrace: Millrace, text: string): Record<string, unknown>[] {
  const lines = millrace.output().split('\n')
  return lines.filter((line) => line.includes(`"msg":"${text}`)).map((line) => JSON.parse(line))
}

function lineWith(millrace: Millrace, text: string): Record<string, unknown> | undefined {
  return linesWith(millrace, text).at(-1)
}
