import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { runCommandLine } from './program.ts'

const dayMs = 86_400_000
const nowMs = Date.parse('2026-01-02T10:00:00Z')

/** Runs `millrace certs …` in a directory. */
async function certs(directory: string, ...argv: string[]) {
  const terminal = new MemoryTerminal()
  const clock = new ManualClock(nowMs)
  const context = { terminal, environment: {}, clock, signal: new AbortController().signal }
  const code = await runCommandLine(['certs', ...argv, '--directory', directory], context)
  return { code, output: terminal.output, errors: terminal.errors }
}

async function readCertificate(directory: string, name: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(join(directory, `${name}.pem`)))
}

test('an authority signs servers and clients, and nothing is overwritten', async () => {
  await using temporary = await temporaryDirectory()
  const directory = join(temporary.path, 'new')
  assert.equal((await certs(directory, 'authority')).code, 0)
  const made = await certs(
    directory,
    'server',
    'api.example.org',
    '--also',
    '10.0.0.5',
    '--also',
    '::1',
    '--also',
    'bücher.example',
  )
  assert.deepEqual([made.code, made.errors], [0, ''])
  assert.match(made.output, /\[tls\]\ncertificate = ".*api\.example\.org\.pem"\nkey = ".*api\.example\.org-key\.pem"\n/)
  assert.equal((await certs(directory, 'client', 'worker-1', '--days', '30')).code, 0)

  const authority = await readCertificate(directory, 'authority')
  assert.ok(authority.ca && authority.verify(authority.publicKey))
  assert.equal(authority.validToDate.getTime(), nowMs + 3650 * dayMs)
  const server = await readCertificate(directory, 'api.example.org')
  assert.ok(server.checkIssued(authority) && server.verify(authority.publicKey) && !server.ca)
  assert.equal(server.checkHost('api.example.org'), 'api.example.org')
  assert.equal(server.checkHost('xn--bcher-kva.example'), 'xn--bcher-kva.example')
  assert.equal(server.checkIP('10.0.0.5'), '10.0.0.5')
  assert.ok(server.subjectAltName?.includes('IP Address:0:0:0:0:0:0:0:1'))
  assert.ok(server.validToDate.getTime() - server.validFromDate.getTime() <= 825 * dayMs)
  const client = await readCertificate(directory, 'worker-1')
  assert.ok(client.checkIssued(authority) && client.verify(authority.publicKey))
  assert.equal(client.subject, 'CN=worker-1')
  assert.deepEqual([server.keyUsage, client.keyUsage], [['1.3.6.1.5.5.7.3.1'], ['1.3.6.1.5.5.7.3.2']])
  assert.ok(client.validToDate.getTime() <= nowMs + 30 * dayMs)

  for (const name of ['authority', 'api.example.org', 'worker-1']) {
    assert.equal((await stat(join(directory, `${name}-key.pem`))).mode & 0o777, 0o600)
  }
  const before = await readFile(join(directory, 'authority-key.pem'), 'utf8')
  for (const argv of [['authority'], ['client', 'worker-1'], ['client', 'authority'], ['server', 'api.example.org']]) {
    const { code, errors } = await certs(directory, ...argv)
    assert.equal(code, 2)
    assert.match(errors, /is there already and is not overwritten/)
  }
  assert.equal(await readFile(join(directory, 'authority-key.pem'), 'utf8'), before)
})

test('what cannot be made is refused with what to do', async () => {
  await using directory = await temporaryDirectory()
  assert.match(
    (await certs(directory.path, 'client', 'worker-1')).errors,
    /has no authority .*millrace certs authority --directory/,
  )
  await certs(directory.path, 'authority')
  for (const [argv, message] of [
    [['server', 'https://api.example.org'], /is no name or address of a machine/],
    [['server', 'a', '--days', '826'], /--days/],
    [['client', 'two words'], /user/],
  ] as const) {
    const { code, errors } = await certs(directory.path, ...argv)
    assert.equal(code, 2)
    assert.match(errors, message)
  }
})
