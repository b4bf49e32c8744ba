import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { findHeader } from '#formats/rtsp/message.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { RtspTestClient } from '../support/rtsp-client.ts'
import { TestApi } from '../support/test-api.ts'
import { makeMaterial, UnitPublisher } from '../support/unit-publisher.ts'
import { UnitReader } from '../support/unit-reader.ts'
import { until } from '../support/until.ts'

const name = 'healthy'
const url = 'rtsp://127.0.0.1/healthy'
const silentConnections = 200

/** What a client sends as its first bytes, and what it must be told before the connection ends or goes on. */
type Case = readonly [what: string, bytes: string | Buffer, status: number, code: string]

const request = (method: string, headers: string, { target = url, version = 'RTSP/1.0', body = '' } = {}): string =>
  `${method} ${target} ${version}\r\nCSeq: 1\r\n${headers}${body === '' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body}`
const announce = (sdp: string): string =>
  request('ANNOUNCE', 'Content-Type: application/sdp\r\n', { target: `${url}-not`, body: sdp })
const sdpHead = 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'
const tcp = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n'

const cases: readonly Case[] = [
  ['a head above its limit', `OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: ${'x'.repeat(20_000)}`, 413, 'LIMIT_EXCEEDED'],
  ['more header fields than allowed', request('OPTIONS', 'A: b\r\n'.repeat(100)), 413, 'LIMIT_EXCEEDED'],
  [
    'a body above its limit',
    'ANNOUNCE rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n',
    413,
    'LIMIT_EXCEEDED',
  ],
  ['a length that is no number', 'ANNOUNCE rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n', 400, 'MALFORMED'],
  ['a URL above its limit', request('DESCRIBE', '', { target: `rtsp://h/${'a'.repeat(4000)}` }), 413, 'LIMIT_EXCEEDED'],
  ['garbage', randomBytes(4000).fill(0x80, 0, 1), 400, 'MALFORMED'],
  ['zeros', Buffer.alloc(4000), 400, 'MALFORMED'],
  ['a TLS hello', Buffer.from('1603010200010001fc0303', 'hex'), 400, 'MALFORMED'],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', 400, 'MALFORMED'],
  ['a line that is no request', 'HELLO\r\n\r\n', 400, 'MALFORMED'],
  ['RTSP 2.0', request('OPTIONS', '', { version: 'RTSP/2.0' }), 505, 'UNSUPPORTED'],
  ['an unknown method', request('DANCE', ''), 501, 'UNSUPPORTED'],
  ['a stream that does not exist', request('DESCRIBE', '', { target: 'rtsp://h/nobody' }), 404, 'STREAM_NOT_FOUND'],
  ['a way out of the directory', request('DESCRIBE', '', { target: 'rtsp://h/../../etc/passwd' }), 400, 'MALFORMED'],
  ['SETUP without Transport', request('SETUP', ''), 461, 'RTSP_TRANSPORT_UNSUPPORTED'],
  ['a transport that nobody speaks', request('SETUP', 'Transport: RAW/RAW/UDP;unicast\r\n'), 461, 'RTSP_TRANSPORT_UNSUPPORTED'],
  ['a track that is not there', request('SETUP', tcp, { target: `${url}/trackID=99` }), 404, 'STREAM_NOT_FOUND'],
  ['PLAY without SETUP', request('PLAY', ''), 455, 'RTSP_STATE_INVALID'],
  ['RECORD without ANNOUNCE', request('RECORD', ''), 455, 'RTSP_STATE_INVALID'],
  ['a session that does not exist', request('PLAY', 'Session: 0123456789abcdef\r\n'), 454, 'RTSP_SESSION_NOT_FOUND'],
  ['TEARDOWN of nothing', request('TEARDOWN', 'Session: nothing\r\n'), 454, 'RTSP_SESSION_NOT_FOUND'],
  ['an SDP that is none', announce('this is no SDP'), 400, 'MALFORMED'],
  ['an empty SDP', request('ANNOUNCE', 'Content-Type: application/sdp\r\n', { target: `${url}-not` }), 400, 'MALFORMED'],
  ['an SDP without media', announce(sdpHead), 400, 'MALFORMED'],
  [
    'an SDP with no usable track',
    announce(`${sdpHead}m=video 0 RTP/AVP 26\r\nm=application 0 RTP/AVP 107\r\n`),
    415,
    'CODEC_UNSUPPORTED',
  ],
]

suite('bad input on the RTSP port', () => {
  let millrace: Millrace
  let api: TestApi
  let publisher: UnitPublisher
  let reader: UnitReader
  const stack = new AsyncDisposableStack()

  before(async () => {
    millrace = stack.use(await startMillrace({ config: `[rtsp]\nsessionTimeoutSeconds = 2\n[streams.${name}]\n` }))
    api = new TestApi(millrace)
    const material = await makeMaterial(millrace, { video: 'h264', gopFrames: 12, seconds: 1 })
    const [first] = material
    assert.ok(first)
    publisher = stack.use(await UnitPublisher.open(millrace, name, first.track))
    publisher.send({ ...first, ptsTicks: 0 })
    await api.untilState(name, 'online')
    reader = stack.use(await UnitReader.play(millrace, name))
    publisher.loop(material, { from: 1 })
  })
  after(() => stack.disposeAsync())

  for (const [what, bytes, status, code] of cases) {
    test(`refused with ${status} ${code}: ${what}`, async (t) => {
      showOutputOnFailure(t, millrace)
      await using client = await RtspTestClient.connect(portOf(millrace), name)
      client.send(bytes)
      const response = await client.response()
      assert.equal(response.status, status)
      assert.match(findHeader(response.headers, 'millrace-error') ?? '', new RegExp(`^${code}: .{10}`))
      if (status === 400 || status === 413) await untilClosedOrUsable(client)
    })
  }

  test('packets where none belong, and packets that are cut', async (t) => {
    showOutputOnFailure(t, millrace)
    await using client = await RtspTestClient.connect(portOf(millrace), `${name}-not`)
    client.send(Buffer.from('24000004deadbeef', 'hex'))
    await client.expect('OPTIONS')
    const [media] = reader.units
    assert.ok(media)
    await using cut = await UnitPublisher.open(millrace, 'cut', media.track)
    cut.send({ ...media, ptsTicks: 0 })
    cut.client.send(Buffer.from('2400ffff8060', 'hex'))
    cut.client.disconnect()
    await api.untilStream('cut', 'to lose its publisher', ({ publisher: gone }) => gone === undefined)
    await using noise = await UnitPublisher.open(millrace, 'noise', media.track)
    for (let round = 0; round < 50; round++) {
      const payload = randomBytes(200)
      noise.client.send(Buffer.concat([Buffer.from([0x24, round % 4, 0, payload.length]), payload]))
      noise.send({ ...media, ptsTicks: round * 3600 })
    }
    await api.untilState('noise', 'online')
    noise.client.send(Buffer.alloc(300_000, 0x80))
    assert.equal((await noise.client.response()).status, 400)
    await until(() => noise.client.isClosed, { what: 'a publisher that sends garbage to be closed' })
  })

  test(`${silentConnections} connections that say nothing are let go, and one byte at a time is a request too`, async (t) => {
    showOutputOnFailure(t, millrace)
    const sockets = await Promise.all(Array.from({ length: silentConnections }, () => openSocket(portOf(millrace))))
    await until(async () => (await connectionCount(millrace)) >= silentConnections, { what: 'all connections to be accepted' })
    await using slow = await RtspTestClient.connect(portOf(millrace), name)
    for (const byte of request('OPTIONS', '')) {
      slow.send(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal((await slow.response()).status, 200)
    await until(() => sockets.every(({ closed }) => closed), { what: 'silent connections to be closed', timeoutMs: 15_000 })
  })

  test('nobody else was hurt', async (t) => {
    showOutputOnFailure(t, millrace)
    const { sentUnits } = publisher
    await until(() => reader.units.length >= sentUnits + 25, { what: 'the healthy reader to go on' })
    assert.deepEqual([reader.damagedUnits, reader.units.filter(({ isAfterGap }) => isAfterGap).length], [0, 0])
    assert.equal((await api.stream(name)).health.outages, 0)
    t.diagnostic(`${reader.units.length} units meanwhile`)
    await publisher[Symbol.asyncDispose]()
    await reader[Symbol.asyncDispose]()
    await until(async () => (await connectionCount(millrace)) === 0, { what: 'all connections to be gone' })
    assert.deepEqual(
      millrace
        .output()
        .split('\n')
        .filter((line) => /"level":[56]0/.test(line)),
      [],
    )
  })
})

function portOf({ rtspUrl }: Millrace): number {
  return Number(new URL(rtspUrl).port)
}

/** After a refusal the connection is either closed, or takes the next request. */
async function untilClosedOrUsable(client: RtspTestClient): Promise<void> {
  if (client.isClosed) return
  const next = client.request('OPTIONS').catch(() => undefined)
  const outcome = await Promise.race([
    next.then((response) => response?.status),
    until(() => client.isClosed).then(() => 'closed' as const),
  ])
  assert.ok(outcome === 'closed' || outcome === 200, String(outcome))
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined).resume()
  await once(socket, 'connect')
  return socket
}

async function connectionCount({ metricsUrl }: Millrace): Promise<number> {
  const text = await (await fetch(metricsUrl)).text()
  const value = /^millrace_rtsp_connections (\d+)$/m.exec(text)?.[1]
  assert.ok(value !== undefined, 'no figure for RTSP connections')
  return Number(value)
}
