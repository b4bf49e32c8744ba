import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { answerJson, startHttpServer } from '../../test/support/http-server.ts'
import { MemoryTerminal } from '../../test/support/memory-terminal.ts'
import { until } from '../../test/support/until.ts'
import type { StreamView } from '#api/contract.ts'
import { ManualClock } from '#lib/clock.ts'
import { runCommandLine } from './program.ts'

const gate: StreamView = {
  name: 'site-2/gate',
  origin: 'api',
  spec: {
    sources: ['rtsp://***@camera/1', 'publish'],
    onDemand: false,
    onDemandCloseSeconds: 10,
    rtspTransport: 'auto',
    hls: 'on-demand',
    recording: {
      enabled: true,
      segmentSeconds: 300,
      retentionHours: 168,
      retentionMegabytes: 0,
      archive: false,
      archiveRetentionHours: 0,
    },
  },
  isEnabled: true,
  state: 'online',
  onlineSinceMs: new Date(2026, 0, 2, 10, 0, 0).getTime(),
  sources: [
    { index: 0, url: 'rtsp://***@camera/1', state: 'failed', error: { code: 'SOURCE_REFUSED', message: '401' }, reconnects: 2 },
    { index: 1, url: 'publish', state: 'active', reconnects: 0 },
  ],
  publisher: { id: 'rtsp-1', protocol: 'rtsp', remoteAddress: '10.0.0.1:5000' },
  tracks: [
    { id: 1, kind: 'video', codec: 'h264', clockRateHz: 90_000, width: 1920, height: 1080 },
    { id: 2, kind: 'audio', codec: 'aac', clockRateHz: 48_000, channelCount: 2 },
  ],
  health: {
    bitrateKbps: 2048.4,
    framesPerSecond: 25,
    lastUnitAgeMs: 40,
    receivedUnits: 10,
    receivedBytes: 1000,
    lostPackets: 3,
    timestampJumps: 0,
    outages: 1,
    reconnects: 2,
    droppedUnits: 0,
  },
  readerCount: 2,
  recording: { state: 'recording' },
  urls: { rtsp: 'rtsp://127.0.0.1:8554/site-2/gate', hls: 'http://127.0.0.1:3000/hls/site-2/gate/index.m3u8' },
}
const { onlineSinceMs: _, publisher: __, ...rest } = gate
const idle: StreamView = { ...rest, name: 'lobby', state: 'idle', tracks: [], readerCount: 0, recording: { state: 'off' } }

async function run(
  argv: string[],
  { terminal = new MemoryTerminal(), signal = new AbortController().signal, environment = {} } = {},
) {
  const code = await runCommandLine(argv, { terminal, environment, clock: new ManualClock(), signal })
  return { code, output: terminal.output, errors: terminal.errors }
}

type Routes = Record<string, (request: IncomingMessage, response: ServerResponse) => void>

/** A server that answers `METHOD path` as told and 404 otherwise. */
function serveApi(routes: Routes) {
  return startHttpServer((request, response) => {
    const route = routes[`${request.method} ${request.url?.replace('/api/v1', '')}`]
    if (route) route(request, response)
    else answerJson(response, 404, { code: 'STREAM_NOT_FOUND', message: `no ${request.url}` })
  })
}

const pages: Routes = {
  'GET /streams?limit=500': (_request, response) => answerJson(response, 200, { items: [gate], nextCursor: 'c 1' }),
  'GET /streams?limit=500&cursor=c+1': (_request, response) => answerJson(response, 200, { items: [idle] }),
}

test('streams are listed over all pages, as a table', async () => {
  await using api = await serveApi(pages)
  const { code, output } = await run(['streams', 'list', '--url', api.url])
  assert.equal(code, 0)
  assert.equal(
    output,
    [
      'NAME         STATE    FPS  KBPS  READERS  RECORDING  TRACKS',
      'site-2/gate  online  25.0  2048        2  recording  h264 1920×1080, aac',
      'lobby        idle                      0  off',
      '',
    ].join('\n'),
  )
})

test('with --json a list is one document', async () => {
  await using api = await serveApi(pages)
  const { output } = await run(['streams', 'list', '--json'], { environment: { MILLRACE_URL: api.url } })
  assert.deepEqual(JSON.parse(output), [gate, idle])
})

test('recordings are listed with where they are', async () => {
  const times = { startedAt: '2026-01-02T10:00:00.000Z', endedAt: '2026-01-02T10:05:00.000Z' }
  const recording = { ...times, stream: 'gate', durationMs: 300_000, sizeBytes: 150_000_000, state: 'closed' }
  const archivedAt = '2026-01-02T10:06:00.000Z'
  const items = [
    { ...recording, id: 'a', isOnDisk: false, archivedAt },
    { ...recording, id: 'b', isOnDisk: true, archivedAt },
    { ...recording, id: 'c', isOnDisk: true },
  ]
  const answer = (_request: IncomingMessage, response: ServerResponse): void => answerJson(response, 200, { items })
  await using api = await serveApi({ 'GET /recordings?limit=500&stream=gate': answer })
  const { output } = await run(['recordings', 'list', 'gate', '--url', api.url])
  assert.match(output, /STATE +WHERE +ID\n.* closed +archive +a\n.* closed +disk, archive +b\n.* closed +disk +c\n$/)
})

test('one stream is shown with sources and addresses', async () => {
  await using api = await serveApi({ 'GET /streams/site-2%2Fgate': (_request, response) => answerJson(response, 200, gate) })
  const { output } = await run(['streams', 'show', 'site-2/gate', '--url', api.url])
  assert.match(output, /^name +site-2\/gate\nstate +online since 2026-01-02 10:00:00\n/)
  assert.match(output, /\nwatch +rtsp:\/\/127.0.0.1:8554\/site-2\/gate\n +http:/)
  assert.match(output, /\nSOURCE +STATE +LAST ERROR\nrtsp:\/\/\*\*\*@camera\/1 +failed +SOURCE_REFUSED: 401\n/)
})

test('a stream is added with what was said and nothing else', async () => {
  let body = ''
  await using api = await serveApi({
    'POST /streams': (request, response) => {
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => answerJson(response, 201, gate))
    },
  })
  const argv = [
    'streams',
    'add',
    'site-2/gate',
    '--source',
    'rtsp://camera/1',
    '--source',
    'publish',
    '--record',
    '--retention-hours',
    '1.5',
  ]
  const { code, output } = await run([...argv, '--url', api.url])
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(body), {
    name: 'site-2/gate',
    sources: ['rtsp://camera/1', 'publish'],
    recording: { enabled: true, retentionHours: 1.5 },
  })
  assert.equal(output, 'Stream site-2/gate added: online; publish to rtsp://127.0.0.1:8554/site-2/gate\n')
})

for (const [verb, method, path] of [
  ['remove', 'DELETE', '/streams/lobby'],
  ['start', 'POST', '/streams/lobby/start'],
  ['stop', 'POST', '/streams/lobby/stop'],
] as const) {
  test(`streams ${verb} asks the server to`, async () => {
    await using api = await serveApi({ [`${method} ${path}`]: (_request, response) => response.writeHead(204).end() })
    assert.equal((await run(['streams', verb, 'lobby', '--url', api.url])).code, 0)
    assert.equal(api.requests.length, 1)
  })
}

test('user and password go as Basic credentials and not in the address', async () => {
  await using api = await serveApi(pages)
  await run(['streams', 'list', '--url', api.url.replace('//', '//ann:p%40ss@')])
  assert.equal(api.requests[0]?.headers.authorization, `Basic ${Buffer.from('ann:p@ss').toString('base64')}`)
})

test("the server's own errors come out with code, message and hint", async () => {
  await using api = await serveApi({})
  const { code, errors } = await run(['streams', 'show', 'x', '--url', api.url])
  assert.equal(code, 1)
  assert.equal(errors, 'error STREAM_NOT_FOUND: no /api/v1/streams/x\nhint: millrace streams list shows what there is\n')
})

test('a server that is not there, and something else in its place, are told with what to do', async () => {
  const nobody = await run(['streams', 'list', '--url', 'http://127.0.0.1:9'])
  assert.equal(nobody.code, 1)
  assert.match(
    nobody.errors,
    /^error API_UNREACHABLE: no Millrace answers at http:\/\/127.0.0.1:9 \(.*\); start the server with "millrace serve"/,
  )
  await using other = await startHttpServer((_request, response) => response.writeHead(502).end('<h1>Bad gateway</h1>'))
  const proxy = await run(['streams', 'list', '--url', other.url])
  assert.match(proxy.errors, /^error API_UNREACHABLE: .*status 502 from something else/)
  await using stranger = await startHttpServer((_request, response) => answerJson(response, 200, { hello: 1 }))
  assert.match((await run(['streams', 'list', '--url', stranger.url])).errors, /^error UNSUPPORTED: /)
})

for (const [argv, message] of [
  [['streams', 'lsit'], /^error USAGE: unknown command 'lsit' \(Did you mean list\?\)\nhint: millrace streams --help\n$/],
  [['streams', 'show'], /^error USAGE: missing required argument 'name'\nhint: millrace streams show --help\n$/],
  [['streams', 'show', 'a', 'b'], /^error USAGE: too many arguments/],
  [['streams', 'show', '../x'], /^error USAGE: name is "..\/x", but must be/],
  [['streams', 'list', '--jsno'], /^error USAGE: unknown option '--jsno' \(Did you mean --json\?\)/],
  [
    ['streams', 'watch', '--interval-seconds', 'x'],
    /^error USAGE: --interval-seconds is "x", but must be a number from 0.1 to 3600/,
  ],
  [['streams', 'add', 'a', '--hls', 'alwys'], /^error USAGE: --hls is "alwys".*did you mean "always"\?/],
  [['streams', 'list', '--url', 'nonsense'], /^error USAGE: "nonsense" is no address of a server/],
  [['recordings', 'export', 'a'], /^error USAGE: it is not said which stretch/],
  [['recordings', 'list', '--last', 'x'], /^error USAGE: "x" is no length of time/],
] as const) {
  test(`bad usage ends with 2: ${argv.join(' ')}`, async () => {
    const { code, output, errors } = await run([...argv])
    assert.deepEqual([code, output], [2, ''])
    assert.match(errors, message)
  })
}

test('help is no error, and no command is', async () => {
  const help = await run(['streams', 'add', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.output, /^Usage: millrace streams add \[options\] <name>\n/)
  assert.equal((await run([])).code, 2)
  assert.equal((await run(['streams'])).code, 2)
})

test('without a terminal, watching prints a line for each change until interrupted', async () => {
  let streams = [gate]
  await using api = await serveApi({
    'GET /streams?limit=500': (_request, response) => answerJson(response, 200, { items: streams }),
  })
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const done = run(['streams', 'watch', '--interval-seconds', '0.1', '--url', api.url], { terminal, signal: stop.signal })
  await until(() => terminal.output.includes('site-2/gate  online  2 readers  recording recording\n'))
  streams = [{ ...gate, state: 'offline', readerCount: 1 }]
  await until(() => terminal.output.includes('site-2/gate  offline  1 readers'))
  streams = []
  await until(() => terminal.output.includes('site-2/gate  removed'))
  stop.abort()
  assert.equal((await done).code, 0)
  assert.equal(terminal.output.trim().split('\n').length, 3)
})

test('on a terminal, watching draws the table over itself', async () => {
  await using api = await serveApi({
    'GET /streams?limit=500': (_request, response) => answerJson(response, 200, { items: [gate, idle] }),
  })
  const terminal = new MemoryTerminal({ isInteractive: true, columns: 60 })
  const stop = new AbortController()
  const done = run(['streams', 'watch', '--interval-seconds', '0.1', '--url', api.url], { terminal, signal: stop.signal })
  await until(() => terminal.output.includes('\u001B[5A'))
  stop.abort()
  assert.equal((await done).code, 0)
  assert.match(terminal.output, /1 of 2 online/)
  for (const line of terminal.output.split('\n')) assert.ok(stripVTControlCharacters(line).length <= 61)
})

test('watching a server that never answered is an error; one that went away is waited for', async () => {
  assert.equal((await run(['streams', 'watch', '--url', 'http://127.0.0.1:9'])).code, 1)
  let isAway = false
  await using api = await serveApi({
    'GET /streams?limit=500': (_request, response) =>
      isAway ? response.writeHead(502).end() : answerJson(response, 200, { items: [gate] }),
  })
  const terminal = new MemoryTerminal()
  const stop = new AbortController()
  const done = run(['streams', 'watch', '--json', '--interval-seconds', '0.1', '--url', api.url], {
    terminal,
    signal: stop.signal,
  })
  await until(() => terminal.output !== '')
  isAway = true
  await until(() => terminal.errors.includes('no Millrace answers'))
  isAway = false
  stop.abort()
  assert.equal((await done).code, 0)
  assert.deepEqual(JSON.parse(terminal.output), gate)
})
