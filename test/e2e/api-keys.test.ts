import assert from 'node:assert/strict'
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
const streams = '[streams.lobby]\nsources = ["publish"]\n[streams.gate]\nsources = ["publish"]\n'

test('keys of a running server: made, used, rotated with an overlap, kept over a restart, revoked', async (t) => {
  await using millrace = await startMillrace({ config: users + streams, env: { MILLRACE_LOGGING_LEVEL: 'debug' } })
  showOutputOnFailure(t, millrace)
  const admin = { url: millrace.url.replace('//', '//admin:a@') }
  const { id, key: first } = await runJson(admin, 'keys', 'create', 'wall', '--read', 'lobby')
  assert.deepEqual(await statuses(millrace, first), { lobby: 200, gate: 403, keys: 403, change: 403 })
  await until(() => millrace.output().includes('"user":"key:wall"'), { what: 'the key in the log' })
  assert.ok(!millrace.output().includes(first.slice(-43)), 'no secret is logged')

  const { key: second } = await runJson(admin, 'keys', 'rotate', id)
  for (const key of [first, second]) assert.equal((await statuses(millrace, key)).lobby, 200)
  await millrace.restart()
  for (const key of [first, second]) assert.equal((await statuses(millrace, key)).lobby, 200)
  const { key: third } = await runJson(admin, 'keys', 'rotate', id, '--overlap', '0s')
  assert.equal((await statuses(millrace, second)).lobby, 401)

  const list = await runCommand(admin, ['keys', 'list'])
  assert.match(list.output, new RegExp(`^ID .*\n${id} +wall +read lobby +\\S+ \\S+ +`))
  assert.equal((await runCommand(admin, ['keys', 'revoke', id])).output, `Key ${id} revoked\n`)
  const refused = await runCommand({ url: millrace.url.replace('//', `//${third}@`) }, ['streams', 'list'])
  assert.match(
    refused.errors,
    /^error UNAUTHORIZED: API key "wall" was revoked at .*\nhint: give user and password, or an API key/,
  )
  const gone = await runCommand(admin, ['keys', 'revoke', id])
  assert.match(gone.errors, /^error KEY_NOT_FOUND: .*\nhint: millrace keys list shows what there is\n$/)
})

test('who is no admin neither makes keys nor sees them; a key with admin rights does', async (t) => {
  await using millrace = await startMillrace({ config: users })
  showOutputOnFailure(t, millrace)
  for (const command of [['list'], ['create', 'x']]) {
    const outcome = await runCommand({ url: millrace.url.replace('//', '//viewer:v@') }, ['keys', ...command])
    assert.match(outcome.errors, /^error FORBIDDEN: user "viewer" is no admin/)
  }
  const { key } = await runJson({ url: millrace.url.replace('//', '//admin:a@') }, 'keys', 'create', 'ops', '--admin')
  const made = await runCommand({ url: millrace.url.replace('//', `//${key}@`) }, ['keys', 'create', 'ci', '--expires-in', '1h'])
  assert.match(made.output, /^Key ci \(\w{22}\) made, valid until .*; keep it, it is not shown again:\nmrk_\S{66}\n$/)
})

test('a worker has a key as its credential', async (t) => {
  await using millrace = await startMillrace({ config: users })
  showOutputOnFailure(t, millrace)
  const admin = { url: millrace.url.replace('//', '//admin:a@') }
  const { key } = await runJson(admin, 'keys', 'create', 'encoder', '--admin')
  await using worker = await startMillrace({
    role: 'worker',
    env: { MILLRACE_WORKER_URLS: millrace.url, MILLRACE_WORKER_CREDENTIAL: key, MILLRACE_WORKER_ID: 'encoder-1' },
  })
  showOutputOnFailure(t, worker)
  const nodes = async (): Promise<string> => (await runCommand(admin, ['nodes', 'list'])).output
  await until(async () => /^encoder-1 +active/m.test(await nodes()), { what: 'the worker', timeoutMs: 20_000 })
})

test('a client that sends too many requests is refused, others are not, and the metrics tell', async (t) => {
  await using millrace = await startMillrace({
    config: users,
    env: { MILLRACE_API_REQUESTS_PER_SECOND: '0.01', MILLRACE_API_REQUEST_BURST: '5' },
  })
  showOutputOnFailure(t, millrace)
  const ask = (user: string): Promise<Response> => get(`${millrace.url}/api/v1/status`, `Basic ${btoa(user)}`)
  for (let n = 0; n < 5; n++) assert.equal((await ask('admin:a')).status, 200)
  const refused = await ask('admin:a')
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '100'])
  assert.match(await refused.text(), /"RATE_LIMITED".*admin sends more than 0.01 requests a second.*api\.requestsPerSecond/)
  assert.equal((await ask('viewer:v')).status, 200)
  assert.match(await (await fetch(millrace.metricsUrl)).text(), /^millrace_http_requests_limited_total 1$/m)
})

async function runJson(server: Pick<Millrace, 'url'>, ...argv: string[]): Promise<{ id: string; key: string }> {
  const { output, errors } = await runCommand(server, [...argv, '--json'])
  assert.equal(errors, '')
  const made: { id: string; key: string } = JSON.parse(output)
  return made
}

async function statuses({ url }: Millrace, key: string) {
  const authorization = `Bearer ${key}`
  const status = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await get(`${url}/api/v1/${path}`, authorization, init)).status
  return {
    lobby: await status('streams/lobby'),
    gate: await status('streams/gate'),
    keys: await status('keys'),
    change: await status('streams/lobby/stop', { method: 'POST' }),
  }
}

function get(url: string, authorization: string, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, headers: { authorization } })
}
