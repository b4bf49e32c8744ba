import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { mergeStreamSpec } from '#live/stream-spec.ts'
import { AppError } from '#lib/errors.ts'
import { settingsDocuments } from './settings-documents.ts'
import { checkListenAddresses, loadSettings } from './settings.ts'

const root = join(import.meta.dirname, '../..')

for (const { path, text } of settingsDocuments()) {
  test(`${path} is what "npm run generate" writes`, () => {
    assert.ok(readFileSync(join(root, path), 'utf8') === text, `${path} is stale; run npm run generate`)
  })
}

async function loadText(text: string, environment: Record<string, string> = {}) {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'millrace.toml')
  await writeFile(file, text, { mode: 0o600 })
  return (await loadSettings({ file, environment })).value
}

test('the example changes nothing, and is valid with every setting taken in', async () => {
  const example = readFileSync(join(root, 'config.example.toml'), 'utf8')
  const { value: defaults } = await loadSettings({ environment: {} })
  assert.deepEqual(await loadText(example), defaults)
  const takenIn = await loadText(example.replaceAll(/^#(?=[^ #\n])/gm, ''), {
    CAMERA_PASSWORD: 'secret',
    SECRET_ACCESS_KEY: 'key',
    CREDENTIAL: 'worker:secret',
  })
  assert.deepEqual(Object.keys(takenIn.streams), ['lobby', 'site-2/gate'])
  assert.equal(takenIn.users[0]?.password, 'secret')
})

test('a stream takes from the defaults what it does not say', async () => {
  const settings = await loadText(
    '[streamDefaults]\nhls = "off"\nrecording.enabled = true\n[streams."a/b"]\nrecording = { segmentSeconds = 60 }',
  )
  const spec = mergeStreamSpec(settings.streamDefaults, settings.streams['a/b'] ?? {})
  assert.equal(spec.hls, 'off')
  const { retentionHours, retentionMegabytes } = spec.recording
  assert.deepEqual(
    [spec.recording.enabled, spec.recording.segmentSeconds, retentionHours, retentionMegabytes],
    [true, 60, 168, 0],
  )
})

test('HTTPS needs a certificate, and a user without a password an authority', async () => {
  const tls = '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n'
  const authority = 'clientAuthority = "a.pem"\n'
  const user = '[[users]]\nname = "worker-1"\n'
  const whole = `[api]\ntlsPort = 0\n${tls}${authority}${user}`
  assert.deepEqual((await loadText(whole)).users[0], { name: 'worker-1', publish: [], read: ['*'], admin: false })
  for (const [text, message] of [
    ['[api]\ntlsPort = 0\n', /api\.tlsPort needs tls\.certificate/],
    [`${tls}${authority}`, /tls\.clientAuthority is for HTTPS only; set api\.tlsPort/],
    [`[api]\ntlsPort = 0\n${tls}${user}`, /users\[0\]\.password is missing; .*tls\.clientAuthority/],
    ['[worker]\ncertificate = "c.pem"\n', /worker\.key is missing/],
  ] as const) {
    await assert.rejects(loadText(text), { code: 'CONFIG_INVALID', message })
  }
  const open = await loadText(whole.replace(user, '').replace('[api]', '[api]\nhost = "0.0.0.0"'))
  assert.throws(() => checkListenAddresses(open), { code: 'LISTEN_REFUSED' })
})

test('names of other programs are understood', async () => {
  const environment = { DATABASE_URL: 'postgres://db/m', S3_BUCKET: 'b', AWS_REGION: 'eu-1', S3_PATH_STYLE: 'false' }
  const { value } = await loadSettings({ environment })
  assert.equal(value.database.url, 'postgres://db/m')
  assert.deepEqual(value.objects, { bucket: 'b', region: 'eu-1', pathStyle: false })
})

test('variables of the command line and of Kubernetes are no mistakes', async () => {
  const environment = {
    MILLRACE_CONFIG: 'x',
    MILLRACE_URL: 'y',
    MILLRACE_API_AUTHORITY: 'authority.pem',
    MILLRACE_PORT: 'tcp://10.0.0.1:80',
    MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
    MILLRACE_SERVICE_HOST: '10.0.0.1',
  }
  await loadSettings({ environment })
})

for (const [text, message] of [
  [
    '[[users]]\nname = "a"\npassword = "x"\n[[users]]\nname = "a"\npassword = "y"',
    /:5: users\[1\].name is "a", which another user has/,
  ],
  ['[live]\nretryMaxSeconds = 0.5', /:2: live.retryMaxSeconds is 0.5, less than live.retryFirstSeconds \(1\); raise it/],
  ['[streams."a//b"]', /:1: streams."a\/\/b" has a name that is not allowed; a stream name is letters/],
] as const) {
  test(`refused: ${String(message)}`, async () => {
    await assert.rejects(loadText(text), (error) => {
      assert.ok(error instanceof AppError && error.code === 'CONFIG_INVALID')
      assert.match(error.message, message)
      return true
    })
  })
}

const user = '[[users]]\nname = "a"\npassword = "x"\n'
const addresses: readonly [name: string, text: string, refused: string[]][] = [
  ['loopback', 'api.host = "127.0.0.1"\nrtsp.host = "::1"\nmetrics.host = "localhost"', []],
  ['every network', 'api.host = "0.0.0.0"', ['api.host']],
  ['a name', 'rtsp.host = "millrace.example"\nmetrics.host = "::"', ['rtsp.host', 'metrics.host']],
  ['metrics that are off', 'metrics = { enabled = false, host = "0.0.0.0" }', []],
  ['with users', `${user}[api]\nhost = "0.0.0.0"`, []],
  ['allowed in plain words', 'server.allowUnauthenticatedRemote = true\napi.host = "0.0.0.0"', []],
]
for (const [name, text, refused] of addresses) {
  test(`listening on ${name} is ${refused.length > 0 ? 'refused' : 'allowed'}`, async () => {
    const settings = await loadText(text)
    if (refused.length === 0) return checkListenAddresses(settings)
    assert.throws(() => checkListenAddresses(settings), { code: 'LISTEN_REFUSED', details: { keys: refused } })
  })
}
