import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test, type TestContext } from 'node:test'
import { runCommand } from '../support/command-line.ts'
import { startControl, startWorker } from '../support/fleet.ts'
import { makeMp4 } from '../support/job-files.ts'
import { showOutputOnFailure, type Millrace } from '../support/program.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

const scenario = {
  name: 'quick',
  renditions: [{ name: '180p', height: 180, codec: 'h264', preset: 'ultrafast', rate: { mode: 'crf', crf: 30 } }],
  chunkSeconds: 2,
  gopSeconds: 1,
  segmentSeconds: 2,
  pictures: false,
}

/** A server with users and no password, as its owner sets it up with `millrace certs` in this directory. */
async function startSecureControl(t: TestContext, directory: string): Promise<Millrace> {
  const certs = async (...argv: string[]) => {
    await promisify(execFile)(process.execPath, [main, 'certs', ...argv, '--directory', directory])
  }
  await certs('authority')
  await certs('server', 'localhost', '--also', '127.0.0.1')
  for (const user of ['worker-1', 'root', 'nobody']) await certs('client', user)
  const path = (name: string): string => JSON.stringify(join(directory, name))
  const control = await startControl({
    config: `
[api]
tlsPort = 0
[tls]
certificate = ${path('localhost.pem')}
key = ${path('localhost-key.pem')}
clientAuthority = ${path('authority.pem')}
[[users]]
name = "root"
admin = true
[[users]]
name = "worker-1"
admin = true
`,
  })
  showOutputOnFailure(t, control)
  return control
}

/** What a worker is told to connect as this user. */
function workerConfig(directory: string, user: string): string {
  const path = (name: string): string => JSON.stringify(join(directory, name))
  return `authority = ${path('authority.pem')}\ncertificate = ${path(`${user}.pem`)}\nkey = ${path(`${user}-key.pem`)}\n`
}

test('a worker with a client certificate does a job that the command line submits, all over HTTPS', async (t) => {
  await using directory = await temporaryDirectory()
  await using control = await startSecureControl(t, directory.path)
  await using worker = await startWorker([control.tlsUrl], { config: workerConfig(directory.path, 'worker-1') })
  showOutputOnFailure(t, worker)
  const film = await makeMp4(directory.path, { seconds: 2 })
  const scenarioFile = join(directory.path, 'quick.json')
  await writeFile(scenarioFile, JSON.stringify(scenario))

  const file = (name: string): string => join(directory.path, name)
  const flags = ['--authority', file('authority.pem'), '--certificate', file('root.pem'), '--key', file('root-key.pem')]
  const run = async (...argv: string[]): Promise<string> => {
    const { code, output, errors } = await runCommand({ url: control.tlsUrl }, [...argv, ...flags])
    assert.equal(code, 0, `${argv.join(' ')}: ${errors}${output}`)
    return output
  }
  await run('scenarios', 'add', scenarioFile)
  await run('jobs', 'submit', film, '--scenario', 'quick', '--watch')
  const jobs: { state: string }[] = JSON.parse(await run('jobs', 'list', '--json'))
  assert.deepEqual(
    jobs.map(({ state }) => state),
    ['completed'],
  )
  const tried = await runCommand({ url: control.tlsUrl }, ['jobs', 'list'])
  assert.match(tried.errors, /API_UNREACHABLE: the server at https:.* is not trusted: .* set --authority to/)
})

test('a worker that is refused says why and what to do, and keeps trying', async (t) => {
  await using directory = await temporaryDirectory()
  await using control = await startSecureControl(t, directory.path)
  const refused: [config: string, message: RegExp][] = [
    ['', /the API at https:\/\/127\.0\.0\.1:\d+ is not trusted: .* set worker\.authority to/],
    [workerConfig(directory.path, 'nobody'), /the client certificate is of \\"nobody\\", who is no user; declare \[\[users\]\]/],
  ]
  for (const [config, message] of refused) {
    await using worker = await startWorker([control.tlsUrl], { config })
    const count = (): number =>
      worker
        .output()
        .split('\n')
        .filter((line) => message.test(line)).length
    await until(() => count() >= 2, { what: `two lines like ${message}`, timeoutMs: 30_000 })
  }
})
