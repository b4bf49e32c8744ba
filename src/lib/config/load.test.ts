import assert from 'node:assert/strict'
import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Type } from 'typebox'
import { AppError } from '../errors.ts'
import { loadConfiguration, type LoadOptions } from './load.ts'
import { showConfiguration } from './show.ts'

const closed = { additionalProperties: false } as const
const schema = Type.Object(
  {
    api: Type.Object(
      { host: Type.String({ default: '127.0.0.1' }), port: Type.Integer({ default: 3000, minimum: 0, maximum: 65_535 }) },
      closed,
    ),
    live: Type.Object(
      {
        readerQueueMegabytes: Type.Number({ default: 8, minimum: 0.1 }),
        isEager: Type.Boolean({ default: false }),
        sync: Type.Union([Type.Literal('none'), Type.Literal('segment')], { default: 'segment' }),
        names: Type.Array(Type.String({ minLength: 1 }), { default: ['a'], maxItems: 3 }),
        directory: Type.Optional(Type.String({ default: 'unused' })),
      },
      closed,
    ),
    streams: Type.Record(
      Type.String({ pattern: '^[a-z/]+$' }),
      Type.Partial(Type.Object({ url: Type.String(), count: Type.Integer() }), closed),
      {
        keys: 'letters and / only',
      },
    ),
    users: Type.Array(Type.Object({ name: Type.String(), password: Type.String({ secret: true, minLength: 8 }) }, closed), {
      default: [],
    }),
  },
  closed,
)
type Options = Partial<Omit<LoadOptions<typeof schema>, 'schema' | 'file'>> & { text?: string; mode?: number }

/** Loads `text` as c.toml. Messages name the file by its path, which is cut to its name. */
async function load({ text, mode = 0o600, ...options }: Options) {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'millrace-config-'))
  const file = text === undefined ? undefined : join(directory.path, 'c.toml')
  if (file !== undefined && text !== undefined) {
    await writeFile(file, text)
    await chmod(file, mode)
  }
  const strip = (message: string): string => message.replaceAll(`${directory.path}/`, '')
  try {
    const loaded = await loadConfiguration({ schema, file, environment: {}, environmentPrefix: 'MILLRACE_', ...options })
    const origins = Object.fromEntries(Object.entries(loaded.origins).map(([key, origin]) => [key, strip(origin)]))
    return { ...loaded, origins }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, strip(error.message), { ...(error.details && { details: { ...error.details } }) })
  }
}

test('without anything there are the defaults, and optional keys stay absent', async () => {
  const { value, origins } = await load({})
  assert.deepEqual(value, {
    api: { host: '127.0.0.1', port: 3000 },
    live: { readerQueueMegabytes: 8, isEager: false, sync: 'segment', names: ['a'] },
    streams: {},
    users: [],
  })
  assert.equal(origins['api.port'], 'default')
})

const aliases = [
  { name: 'HTTP_PORT', key: 'api.port' },
  { name: 'OLD_PORT', key: 'api.port' },
]
const text = '[api]\nhost = "h"\nport = 1'
const own = { MILLRACE_API_PORT: '4' }
const flags = [{ flag: '--port', key: 'api.port', value: '5' }]
const precedence: readonly [name: string, options: Options, port: number, origin: string][] = [
  ['the default', {}, 3000, 'default'],
  ['the file over the default', { text }, 1, 'c.toml:3'],
  ['an alias over the file', { text, environment: { OLD_PORT: '2' } }, 2, 'environment OLD_PORT'],
  ['the first alias over the second', { text, environment: { OLD_PORT: '2', HTTP_PORT: '3' } }, 3, 'environment HTTP_PORT'],
  ['our variable over aliases', { text, environment: { HTTP_PORT: '3', ...own } }, 4, 'environment MILLRACE_API_PORT'],
  ['a flag over all', { text, environment: { HTTP_PORT: '3', ...own }, flags }, 5, 'flag --port'],
  ['an empty variable is absent', { text, environment: { MILLRACE_API_PORT: '' } }, 1, 'c.toml:3'],
  ['a flag not given is absent', { text, flags: [{ flag: '--port', key: 'api.port', value: undefined }] }, 1, 'c.toml:3'],
]
for (const [name, options, port, origin] of precedence) {
  test(`precedence: ${name}`, async () => {
    const loaded = await load({ aliases, ...options })
    assert.deepEqual([loaded.value.api.port, loaded.origins['api.port']], [port, origin])
  })
}

test('variables become what the schema wants', async () => {
  const environment = {
    MILLRACE_LIVE_READER_QUEUE_MEGABYTES: '2.5',
    MILLRACE_LIVE_IS_EAGER: 'true',
    MILLRACE_LIVE_SYNC: 'none',
    MILLRACE_LIVE_NAMES: 'x, y',
    MILLRACE_LIVE_DIRECTORY: '/d',
  }
  const { value } = await load({ environment })
  assert.deepEqual(value.live, { readerQueueMegabytes: 2.5, isEager: true, sync: 'none', names: ['x', 'y'], directory: '/d' })
})

test('variables inside the file become what the schema wants, too', async () => {
  const environment = { PORT: '81', NAME: 'x', ON: '1' }
  const { value, origins } = await load({
    text: 'api.port = "${PORT}"\nlive = { names = ["a-${NAME}"], isEager = "${ON}" }',
    environment,
  })
  assert.deepEqual([value.api.port, value.live.names, value.live.isEager, origins['api.port']], [81, ['a-x'], true, 'c.toml:1'])
})

const refusals: readonly [name: string, options: Options, message: RegExp][] = [
  [
    'a wrong type',
    { text: '[api]\n\nport = true' },
    /^c.toml:3: api.port is true, but must be an integer from 0 to 65535; leave it out for the default, 3000$/,
  ],
  ['a number in quotes', { text: 'api.port = "80"' }, /^c.toml:1: api.port is "80", .*; write port = 80, without quotes$/],
  ['a number out of range', { text: 'api.port = 70000' }, /api.port is 70000, but must be an integer from 0 to 65535/],
  ['a fraction', { text: 'api.port = 1.5' }, /api.port is 1.5, but must be an integer/],
  [
    'a wrong choice',
    { text: 'live.sync = "segmnt"' },
    /is "segmnt", but must be one of "none", "segment"; did you mean "segment"\?/,
  ],
  ['a text for a list', { text: 'live.names = "x"' }, /live.names is "x", but must be a list.*; write names = \["x"\]$/],
  ['too many items', { text: 'live.names = ["a","b","c","d"]' }, /live.names has 4 items, but must be a list.*at most 3/],
  ['an item', { text: 'live.names = [\n"a",\n3,\n]' }, /^c.toml:3: live.names\[1\] is 3, but must be text/],
  ['a value for a table', { text: 'api = 3' }, /^c.toml:1: api is 3, but must be a table/],
  ['a date', { text: 'api.host = 1979-05-27' }, /api.host is a date, but must be text/],
  ['a mistyped key', { text: '[api]\nprot = 1' }, /^c.toml:2: api.prot is not a known key; did you mean port\?$/],
  ['snake case', { text: 'live.reader_queue_megabytes = 1' }, /did you mean readerQueueMegabytes\?/],
  ['a strange key', { text: 'api.colour = 1' }, /api.colour is not a known key; known here: host, port$/],
  ['a mistyped section', { text: '[lvie]' }, /^c.toml:1: lvie is not a known key; did you mean live\?/],
  ['a strange stream name', { text: '[streams.A]' }, /^c.toml:1: streams.A has a name that is not allowed; letters and \/ only/],
  [
    'a key in a quoted table',
    { text: '[streams."a/b"]\nurl = "x"\ncout = 1' },
    /^c.toml:3: streams."a\/b".cout is not a known key; did you mean count\?/,
  ],
  [
    'a missing key',
    { text: '\n[[users]]\nname = "a"' },
    /^c.toml:2: users\[0\].password is missing; it must be text of 8 characters or more$/,
  ],
  [
    'a missing variable',
    { text: '\napi.host = "${NO}"' },
    /^c.toml:2: api.host needs the environment variable NO, which is not set; set it or write \$\{NO:-otherwise\}$/,
  ],
  [
    'a variable of the wrong type',
    { environment: { MILLRACE_API_PORT: '80a' } },
    /^environment MILLRACE_API_PORT: api.port is "80a", but must be an integer/,
  ],
  [
    'a mistyped variable',
    { environment: { MILLRACE_API_PROT: '80' } },
    /^environment: MILLRACE_API_PROT is not a known setting; did you mean MILLRACE_API_PORT\?$/,
  ],
  ['a strange variable', { environment: { MILLRACE_WHATEVER: '80' } }, /MILLRACE_WHATEVER is not a known setting; unset it$/],
  ['a flag', { flags: [{ flag: '--port', key: 'api.port', value: 'x' }] }, /^flag --port: api.port is "x", but/],
  ['no TOML', { text: 'a = 1\nb = ' }, /^c.toml:2:\d+: not TOML: /],
  ['dangerous keys', { text: '__proto__ = 1' }, /^c.toml:1:1: not TOML/],
]
for (const [name, options, message] of refusals) {
  test(`refused with line and remedy: ${name}`, async () => {
    await assert.rejects(load(options), (error) => {
      assert.ok(error instanceof AppError && error.code === 'CONFIG_INVALID')
      assert.match(error.message, message)
      return true
    })
  })
}

test('all mistakes are told at once', async () => {
  const options = { text: '[api]\nport = -1\nhots = "x"\n[live]\nsync = "${NO}"\nnames = 3', environment: { MILLRACE_X: '1' } }
  await assert.rejects(load(options), (error) => {
    assert.ok(error instanceof AppError)
    const problems = error.message.split('\n')
    assert.equal(problems[0], '6 problems in the configuration')
    assert.equal(problems.length, 7)
    return true
  })
})

test('ignored variables are no mistakes', async () => {
  await load({ environment: { MILLRACE_CONFIG: 'x', OTHER: 'y' }, ignoredVariables: /^MILLRACE_CONFIG$/ })
})

test('rules between settings name the line of the key they blame', async () => {
  const rules = () => [{ path: ['api', 'port'], message: 'is taken; choose another' }]
  await assert.rejects(load({ text: '\napi.port = 1', rules }), { message: 'c.toml:2: api.port is taken; choose another' })
})

for (const [name, secretText] of [
  ['a password', '[[users]]\nname = "a"\npassword = "hunter22"'],
  ['a password in a URL', '\n\nstreams.a.url = "rtsp://admin:hunter22@host/1"'],
] as const) {
  test(`a file with ${name} must be its owner's alone`, async () => {
    await load({ text: secretText, mode: 0o600 })
    await assert.rejects(load({ text: secretText, mode: 0o640 }), (error) => {
      assert.ok(error instanceof AppError)
      assert.match(
        error.message,
        /^c.toml:3: .* holds a secret and others may read the file \(mode 640\); run "chmod 600 c.toml", or write \$\{VARIABLE\}/,
      )
      assert.doesNotMatch(error.message, /hunter22/)
      return true
    })
  })
}

test('a secret from the environment may stand in a file that all can read', async () => {
  const secretText = '[[users]]\nname = "a"\npassword = "${P}"\n[streams.a]\nurl = "rtsp://admin:${P}@host/1"'
  const { value } = await load({ text: secretText, mode: 0o644, environment: { P: 'hunter22' } })
  assert.equal(value.users[0]?.password, 'hunter22')
})

test('secrets are hidden in dumps and messages', async () => {
  const loaded = await load({ text: 'users = [{ name = "a", password = "hunter22" }]\nstreams.a.url = "rtsp://u:hunter22@h/1"' })
  const shown = showConfiguration(schema, loaded)
  assert.doesNotMatch(JSON.stringify(shown), /hunter22/)
  assert.deepEqual(shown.at(-1), { key: 'users[0].password', value: '(hidden)', origin: 'c.toml:1' })
  assert.deepEqual(
    shown.find(({ key }) => key === 'streams.a.url'),
    { key: 'streams.a.url', value: 'rtsp://***@h/1', origin: 'c.toml:2' },
  )
  await assert.rejects(load({ text: 'live.names = "rtsp://u:hunter22@h/1"' }), {
    message: /is "rtsp:\/\/\*\*\*@h\/1".*write names = \["rtsp:\/\/\*\*\*@h\/1"\]$/,
  })
  await assert.rejects(load({ text: 'users = [{ name = "a", password = "short" }]' }), {
    message: /users\[0\].password is a hidden text, but must/,
  })
})

test('a file that is not there is told apart from one with mistakes', async () => {
  const options = { schema, environment: {}, environmentPrefix: 'MILLRACE_' }
  await assert.rejects(loadConfiguration({ ...options, file: '/nowhere/c.toml' }), {
    code: 'CONFIG_NOT_FOUND',
    message: /\/nowhere\/c.toml does not exist/,
  })
  await assert.rejects(loadConfiguration({ ...options, file: tmpdir() }), { code: 'CONFIG_NOT_FOUND', message: /is a directory/ })
})
