import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findHeader } from '#formats/rtsp/message.ts'
import { systemClock } from '#lib/clock.ts'
import { toAppError } from '#lib/errors.ts'
import { RtspSource } from '#live/sources/rtsp/rtsp-source.ts'
import { videoTrack } from '../../../test/support/media.ts'
import { RtspTestClient } from '../../../test/support/rtsp-client.ts'
import {
  cameraTracks,
  feed,
  sdpOf,
  silentLog,
  startRtspServer,
  tcpTransport,
  unitAt,
  video,
} from '../../../test/support/rtsp-server.ts'
import { until } from '../../../test/support/until.ts'
import type { Access } from './hub.ts'

const users: Record<string, string> = { camera: 'se:cret', viewer: 'v' }
const access: Access = {
  isRequired: (_action, stream) => stream !== 'open',
  findPassword: (user) => users[user],
  isAllowed: (user, action, stream) => stream === 'open' || user === 'camera' || (user === 'viewer' && action === 'read'),
}

const logins: [login: string, path: string, error: string | undefined][] = [
  ['camera:se:cret@', 'gate', undefined],
  ['viewer:v@', 'gate', undefined],
  ['viewer:wrong@', 'gate', 'SOURCE_REFUSED'],
  ['nobody:v@', 'gate', 'SOURCE_REFUSED'],
  ['', 'gate', 'SOURCE_REFUSED'],
  ['', 'open', undefined],
]

for (const [login, path, error] of logins) {
  test(`reading "${path}" as "${login}" ${error ? 'is refused' : 'is allowed'}`, async () => {
    await using rtsp = await startRtspServer({ access })
    const publication = feed(rtsp.hub, path)
    for (const unit of video()) publication.write(unit)
    const controller = new AbortController()
    let units = 0
    const source = new RtspSource({
      url: `rtsp://${login}127.0.0.1:${rtsp.server.port}/${path}`,
      transport: 'tcp',
      silenceMs: 5000,
      signal: controller.signal,
      clock: systemClock,
      log: silentLog,
      onTracks: () => {},
      onUnit: () => (units += 1),
      onLoss: () => {},
    })
    const running = source.run().then(
      () => undefined,
      (thrown: unknown) => toAppError(thrown).code,
    )
    if (!error) await until(() => units > 5, { what: 'units' })
    if (!error) controller.abort()
    assert.equal(await running, error)
  })
}

test('Basic is taken too, a user without the right is forbidden, and guessing ends the connection', async () => {
  await using rtsp = await startRtspServer({ access })
  feed(rtsp.hub, 'gate').write(unitAt(0, { isKeyframe: true }))
  await using client = await RtspTestClient.connect(rtsp.server.port, 'gate')
  const basic = (login: string) => ({ Authorization: `Basic ${Buffer.from(login).toString('base64')}` })
  const first = await client.request('DESCRIBE')
  assert.equal(first.status, 401)
  assert.deepEqual(
    first.headers.get('www-authenticate')?.map((value) => value.split(' ')[0]),
    ['Digest', 'Basic'],
  )
  assert.equal((await client.request('DESCRIBE', { headers: basic('viewer:v') })).status, 200)
  const forbidden = await client.request('ANNOUNCE', { headers: basic('viewer:v'), body: sdpOf(cameraTracks) })
  assert.equal(forbidden.status, 403)
  assert.match(findHeader(forbidden.headers, 'millrace-error') ?? '', /^FORBIDDEN: user "viewer" may not publish "gate"/)
  const stale = await client.request('DESCRIBE', {
    headers: { Authorization: 'Digest username="viewer", realm="Millrace", nonce="old", uri="/gate", response="0"' },
  })
  assert.match(stale.headers.get('www-authenticate')?.[0] ?? '', /stale=true/)
  for (let i = 0; i < 5; i++) assert.equal((await client.request('DESCRIBE', { headers: basic(`viewer:${i}`) })).status, 401)
  await until(() => client.isClosed, { what: 'the connection to be closed' })
  assert.equal(rtsp.server.stats.wrongPasswords, 5)
})

type Step = [method: string, options: { path?: string; headers?: Record<string, string>; body?: string }]
const setupTcp: Step = ['SETUP', { headers: { Transport: tcpTransport(0) } }]
const announce: Step = ['ANNOUNCE', { body: sdpOf([videoTrack]) }]

/** The last step is refused. */
const refusals: [name: string, steps: Step[], status: number, code: string | undefined][] = [
  ['an unknown stream', [['DESCRIBE', { path: 'nothing' }]], 404, 'STREAM_NOT_FOUND'],
  ['a stream without tracks', [['DESCRIBE', { path: 'empty' }]], 404, 'STREAM_OFFLINE'],
  ['a name that leaves the directory', [['DESCRIBE', { path: '../x' }]], 400, 'MALFORMED'],
  ['no name', [['ANNOUNCE', { path: '', body: sdpOf(cameraTracks) }]], 400, 'MALFORMED'],
  ['a description that is none', [['ANNOUNCE', { path: 'new', body: 'hello' }]], 400, 'MALFORMED'],
  [
    'only codecs that are not carried',
    [['ANNOUNCE', { path: 'new', body: 'm=video 0 RTP/AVP 26\r\n' }]],
    415,
    'CODEC_UNSUPPORTED',
  ],
  [
    'SETUP of a media that is not carried',
    [
      ['ANNOUNCE', { path: 'new', body: `${sdpOf([videoTrack])}m=video 0 RTP/AVP 26\r\na=control:x\r\n` }],
      ['SETUP', { path: 'new/x', headers: { Transport: tcpTransport(0) } }],
    ],
    415,
    'CODEC_UNSUPPORTED',
  ],
  [
    'SETUP of a media that is not there',
    [announce, ['SETUP', { path: 'gate/streamid=7', headers: { Transport: tcpTransport(0) } }]],
    404,
    'STREAM_NOT_FOUND',
  ],
  ['a second ANNOUNCE', [announce, announce], 455, 'RTSP_STATE_INVALID'],
  ['a stream that is being published', [announce, setupTcp, ['RECORD', {}]], 409, 'STREAM_BUSY'],
  ['RECORD before SETUP', [announce, ['RECORD', {}]], 455, 'RTSP_STATE_INVALID'],
  ['PLAY before SETUP', [['PLAY', {}]], 455, 'RTSP_STATE_INVALID'],
  ['PLAY in a session that publishes', [announce, setupTcp, ['PLAY', {}]], 455, 'RTSP_STATE_INVALID'],
  ['RECORD in a session that reads', [setupTcp, ['RECORD', {}]], 455, 'RTSP_STATE_INVALID'],
  ['SETUP while playing', [setupTcp, ['PLAY', {}], setupTcp], 455, 'RTSP_STATE_INVALID'],
  [
    'SETUP of a track that is not there',
    [['SETUP', { path: 'gate/trackID=99', headers: { Transport: tcpTransport(0) } }]],
    404,
    'STREAM_NOT_FOUND',
  ],
  ['a session that is not there', [['PLAY', { headers: { Session: 'x' } }]], 454, 'RTSP_SESSION_NOT_FOUND'],
  ['SETUP without Transport', [['SETUP', {}]], 461, 'RTSP_TRANSPORT_UNSUPPORTED'],
  ['multicast', [['SETUP', { headers: { Transport: 'RTP/AVP;multicast' } }]], 461, 'RTSP_TRANSPORT_UNSUPPORTED'],
  [
    'two transports in one session',
    [setupTcp, ['SETUP', { headers: { Transport: 'RTP/AVP;unicast;client_port=1000-1001' } }]],
    461,
    'RTSP_TRANSPORT_UNSUPPORTED',
  ],
  ['an unreadable Transport', [['SETUP', { headers: { Transport: 'RTP/AVP;client_port=x' } }]], 400, 'MALFORMED'],
  ['a parameter to set', [['SET_PARAMETER', { body: 'a: b\r\n' }]], 451, 'UNSUPPORTED'],
  ['a method that is none', [['FLY', {}]], 501, 'UNSUPPORTED'],
]

for (const [name, steps, status, code] of refusals) {
  test(`${name} is answered ${status}`, async () => {
    await using rtsp = await startRtspServer()
    feed(rtsp.hub, 'gate').write(unitAt(0, { isKeyframe: true }))
    rtsp.hub.stream('empty')
    await using client = await RtspTestClient.connect(rtsp.server.port, 'gate')
    const answers = []
    for (const [method, { path, ...options }] of steps) {
      answers.push(
        await client.request(method, { ...options, ...(path === undefined ? {} : { url: `rtsp://127.0.0.1/${path}` }) }),
      )
    }
    const last = answers.pop()
    assert.deepEqual(
      answers.map((answer) => answer.status),
      answers.map(() => 200),
    )
    assert.equal(last?.status, status)
    assert.equal(findHeader(last.headers, 'millrace-error')?.split(':')[0], code)
    assert.equal((await client.request('OPTIONS')).status, 200)
  })
}

const hopeless: [name: string, bytes: string, status: number][] = [
  ['a web browser', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ['a TLS client', '\u0016\u0003\u0001\u0002', 400],
  ['an endless head', `OPTIONS * RTSP/1.0\r\n${'A: b\r\n'.repeat(5000)}`, 413],
  ['a huge body', 'ANNOUNCE rtsp://h/x RTSP/1.0\r\nContent-Length: 999999999\r\n\r\n', 413],
  ['a flood of requests', 'OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n'.repeat(100), 413],
]

for (const [name, bytes, status] of hopeless) {
  test(`${name} is refused and the server goes on`, async () => {
    await using rtsp = await startRtspServer()
    await using client = await RtspTestClient.connect(rtsp.server.port, 'gate')
    client.send(bytes)
    await until(() => client.isClosed, { what: 'the connection to be closed' })
    assert.equal((await client.response()).status, status)
    await using other = await RtspTestClient.connect(rtsp.server.port, 'gate')
    assert.equal((await other.request('OPTIONS')).status, 200)
  })
}

test('connections above the limit are refused and counted', async () => {
  await using rtsp = await startRtspServer({ settings: { maxConnections: 1 } })
  await using first = await RtspTestClient.connect(rtsp.server.port, 'gate')
  assert.equal((await first.request('OPTIONS')).status, 200)
  await using second = await RtspTestClient.connect(rtsp.server.port, 'gate')
  await until(() => second.isClosed, { what: 'the second connection to be closed' })
  assert.equal(rtsp.server.stats.refusedConnections, 1)
})

test('a port that is taken is a coded error', async () => {
  await using rtsp = await startRtspServer()
  await assert.rejects(
    () => startRtspServer({ settings: { port: rtsp.server.port } }),
    (error) => toAppError(error).code === 'LISTEN_FAILED',
  )
  await assert.rejects(
    () => startRtspServer({ settings: { rtpPort: rtsp.server.rtpPort } }),
    (error) => toAppError(error).code === 'LISTEN_FAILED',
  )
})
