import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startMillrace, showOutputOnFailure } from '../test/support/program.ts'
import { temporaryDirectory } from '../test/support/temp-directory.ts'
import { until } from '../test/support/until.ts'
import { readVersion } from '#lib/version.ts'

const launcher = join(import.meta.dirname, '../bin/millrace')

type Outcome = { code: number | string | null | undefined; output: string; errors: string }

/** Runs the launcher in a directory without configuration and environment of ours. */
async function run(
  args: readonly string[],
  { cwd, program = launcher, env = {} }: { cwd: string; program?: string; env?: Record<string, string> },
) {
  return await new Promise<Outcome>((resolve) => {
    execFile(program, [...args], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env } }, (error, output, errors) =>
      resolve({ code: error ? error.code : 0, output, errors }),
    )
  })
}

test('the version, also through links to the launcher', async () => {
  await using directory = await temporaryDirectory()
  await symlink(launcher, join(directory.path, 'first'))
  await symlink('first', join(directory.path, 'millrace'))
  const { code, output } = await run(['--version'], { cwd: directory.path, program: join(directory.path, 'millrace') })
  assert.deepEqual([code, output], [0, `${readVersion()}\n`])
})

test('a valid configuration ends with 0, a broken one with 1, a bad command line with 2', async () => {
  await using directory = await temporaryDirectory()
  const cwd = directory.path
  await writeFile(join(cwd, 'millrace.toml'), '[api]\nport = 8080\n')
  const valid = await run(['validate'], { cwd, env: { MILLRACE_LOGGING_LEVEL: 'warn' } })
  assert.deepEqual(valid.errors, '')
  assert.match(valid.output, /^millrace.toml is valid: 1 settings from the file, 1 from the environment, \d+ by default\n$/)
  assert.deepEqual(await run(['serve', '--validate'], { cwd, env: { MILLRACE_LOGGING_LEVEL: 'warn' } }), valid)

  await writeFile(join(cwd, 'broken.toml'), '[api]\nprot = 8080\nhost = 1\n')
  const broken = await run(['validate', '--config', 'broken.toml'], { cwd })
  assert.deepEqual([broken.code, broken.output], [1, ''])
  assert.match(
    broken.errors,
    /^error CONFIG_INVALID: 2 problems in the configuration\n {2}broken.toml:\d: .*\n {2}broken.toml:\d: .*\n$/,
  )

  const exposed = await run(['validate', '--host', '0.0.0.0'], { cwd })
  assert.equal(exposed.code, 1)
  assert.match(exposed.errors, /^error LISTEN_REFUSED: api.host = "0.0.0.0" opens Millrace to other machines/)

  assert.equal((await run(['validate', '--config', 'missing.toml'], { cwd })).code, 1)
  assert.equal((await run(['validate', '--nonsense'], { cwd })).code, 2)
})

test('the settings in force are shown with where they come from, and secrets hidden', async () => {
  await using directory = await temporaryDirectory()
  const cwd = directory.path
  await writeFile(
    join(cwd, 'c.toml'),
    'users = [{ name = "ann", password = "${P}" }]\n[streams.gate]\nsources = ["rtsp://u:${P}@camera/1"]\n',
  )
  const env = { MILLRACE_CONFIG: 'c.toml', P: 'hunter22' }
  const table = await run(['validate', '--show', '--port', '0'], { cwd, env })
  assert.match(table.output, /^SETTING +VALUE +FROM\n/)
  assert.match(table.output, /\napi.port +0 +flag --port\n/)
  assert.match(table.output, /\nusers\[0\].password +"\(hidden\)" +c.toml:1\n/)
  assert.match(table.output, /\nstreams.gate.sources +\["rtsp:\/\/\*\*\*@camera\/1"\] +c.toml:3\n/)
  const json = await run(['validate', '--show', '--json'], { cwd, env })
  assert.doesNotMatch(table.output + json.output, /hunter22/)
  const shown: unknown = JSON.parse(json.output)
  assert.ok(typeof shown === 'object' && shown !== null && 'settings' in shown && Array.isArray(shown.settings))
})

test('a reader that goes away ends the program quietly', async () => {
  const child = spawn('/bin/sh', ['-c', `"${launcher}" validate --show | head -1`], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  await once(child, 'close')
  assert.equal(errors, '')
})

test('a server takes on a changed file, keeps what it has when the file is broken, and stops in order', async (context) => {
  await using millrace = await startMillrace({ config: '[streams.a]\n' })
  showOutputOnFailure(context, millrace)
  const file = join(millrace.directory, 'millrace.toml')
  await writeFile(file, '[streams.a]\n[streams.b]\n')
  await until(() => millrace.output().includes('"configuration reloaded"'))
  assert.equal((await fetch(`${millrace.url}/api/v1/streams/b`)).status, 200)
  await writeFile(file, '[streams.c\n')
  await until(() => millrace.output().includes('"configuration refused; what was in force stays"'))
  assert.equal((await fetch(`${millrace.url}/api/v1/streams/b`)).status, 200)
  await writeFile(file, '[streams.c]\n')
  millrace.process.kill('SIGHUP')
  await until(async () => (await fetch(`${millrace.url}/api/v1/streams/c`)).status === 200)
  const { process: child } = millrace
  await millrace.kill('SIGTERM')
  assert.equal(child.exitCode, 0)
})
