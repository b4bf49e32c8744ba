import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import type { AccessUnit } from '#formats/media/access-unit.ts'
import { writeBye } from '#formats/rtcp/rtcp-packet.ts'
import { RtpPacketizer } from '#formats/rtp/packetizer.ts'
import { describeTrack } from '#formats/rtp/track-description.ts'
import { RtspFramer } from '#formats/rtsp/framer.ts'
import { interleavedFrame } from '#formats/rtsp/interleaved-frame.ts'
import { findHeader, writeRequest, writeResponse, type HeaderFields, type RtspRequest } from '#formats/rtsp/message.ts'
import { writeSdp } from '#formats/sdp/write-sdp.ts'
import { systemClock } from '#lib/clock.ts'
import { toAppError, type ErrorCode } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { unitAt, videoTrack } from '../../../../test/support/media.ts'
import { until } from '../../../../test/support/until.ts'
import { RtspSource } from './rtsp-source.ts'

const silentLog = createLog({ level: 'silent', pretty: false })

type Answer = { readonly status?: number; readonly headers?: HeaderFields; readonly body?: string }
/** What a camera does with a request; `undefined` is silence. */
type Script = (request: RtspRequest, camera: Camera) => Answer | undefined

const sdp = writeSdp({ name: 'cam', medias: [{ description: describeTrack(videoTrack, 96), control: 'track1' }] })

/** A camera by hand: answers as its script says, and keeps what it was asked. */
class Camera implements AsyncDisposable {
  readonly requests: RtspRequest[] = []
  readonly answers: number[] = []
  connections = 0
  readonly port: number
  readonly #close: () => Promise<void>
  #socket: Socket | undefined
  readonly #packetizer = new RtpPacketizer({
    track: videoTrack,
    payloadType: 96,
    ssrc: 7,
    maxPayloadBytes: 1200,
    firstSequenceNumber: 0,
    timestampOffset: 0,
  })

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.#close = close
  }

  static async start(script: Script): Promise<Camera> {
    const server = createServer()
    const listening = once(server, 'listening')
    server.listen(0, '127.0.0.1')
    await listening
    const sockets = new Set<Socket>()
    const camera = new Camera(portOf(server.address()), async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    server.on('connection', (socket) => {
      sockets.add(socket)
      camera.#accept(socket, script)
    })
    return camera
  }

  get methods(): string[] {
    return this.requests.map(({ method }) => method)
  }
  url(path = 'live'): string {
    return `rtsp://127.0.0.1:${this.port}/${path}`
  }
  send(bytes: Buffer): void {
    this.#socket?.write(bytes)
  }
  sendPicture(dtsMs: number, isKeyframe = true): void {
    const unit = unitAt(dtsMs, { isKeyframe, sizeBytes: 3000 })
    unit.data[5] = 0x88 // first_mb_in_slice 0
    this.send(this.#packetizer.packetize(unit).bytes)
  }
  hangUp(): void {
    this.#socket?.destroy()
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  #accept(socket: Socket, script: Script): void {
    this.connections += 1
    this.#socket = socket
    const framer = new RtspFramer({
      interleaved: () => {},
      message: (message) => {
        if (message.kind === 'response') {
          this.answers.push(message.status)
          return
        }
        this.requests.push(message)
        const answer = script(message, this)
        if (!answer) return
        const { status = 200, headers = {}, body } = answer
        const all = { CSeq: findHeader(message.headers, 'cseq'), ...headers }
        socket.write(
          writeResponse({ status, reason: status === 200 ? 'OK' : 'No', headers: all, ...(body === undefined ? {} : { body }) }),
        )
      },
    })
    socket.on('data', (chunk) => {
      framer.push(chunk)
    })
    socket.on('error', () => {})
  }
}

function portOf(address: AddressInfo | string | null): number {
  assert.ok(address && typeof address === 'object')
  return address.port
}

/** A camera that does everything right, but for what the given answers say. */
function camera(own: Partial<Record<string, Script>> = {}): Promise<Camera> {
  const usual: Record<string, Script> = {
    OPTIONS: () => ({ headers: { Public: 'OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER' } }),
    DESCRIBE: () => ({ headers: { 'Content-Type': 'application/sdp' }, body: sdp }),
    SETUP: (request) => ({ headers: { Transport: findHeader(request.headers, 'transport'), Session: 'ab;timeout=60' } }),
    PLAY: (_request, self) => {
      setImmediate(() => {
        for (let i = 0; i < 5; i++) self.sendPicture(i * 40, i === 0)
      })
      return {}
    },
    GET_PARAMETER: () => ({}),
    TEARDOWN: () => ({}),
  }
  return Camera.start((request, self) => (own[request.method] ?? usual[request.method])?.(request, self))
}

function pull(url: string, options: { transport?: 'auto' | 'tcp' | 'udp'; silenceMs?: number } = {}) {
  const controller = new AbortController()
  const units: AccessUnit[] = []
  const source = new RtspSource({
    url,
    transport: options.transport ?? 'auto',
    silenceMs: options.silenceMs ?? 5000,
    signal: controller.signal,
    clock: systemClock,
    log: silentLog,
    onTracks: () => {},
    onUnit: (unit) => units.push(unit),
    onLoss: () => {},
  })
  const code = source.run().then(
    () => undefined,
    (error: unknown) => toAppError(error).code,
  )
  return { units, code, stop: () => controller.abort() }
}

test('a source is pulled, and told when it may stop', async () => {
  await using cam = await camera()
  const { units, code, stop } = pull(cam.url())
  await until(() => units.length >= 4, { what: 'pictures' })
  assert.equal(units[0]?.isKeyframe, true)
  stop()
  assert.equal(await code, undefined)
  assert.deepEqual(cam.methods, ['OPTIONS', 'DESCRIBE', 'SETUP', 'PLAY', 'TEARDOWN'])
  assert.equal(cam.requests[2]?.url, `${cam.url()}/track1`)
  assert.equal(findHeader(cam.requests[3]?.headers ?? new Map(), 'session'), 'ab')
})

test('the session is kept alive on the base URL, and the camera may ask too', async () => {
  await using cam = await camera({
    DESCRIBE: () => ({ headers: { 'Content-Base': '/base/' }, body: sdp }),
    SETUP: (request) => ({ headers: { Transport: findHeader(request.headers, 'transport'), Session: 'ab;timeout=1' } }),
    GET_PARAMETER: () => undefined,
  })
  const { units, code, stop } = pull(cam.url())
  await until(() => units.length > 0, { what: 'pictures' })
  cam.send(writeRequest({ method: 'OPTIONS', url: '*', headers: { CSeq: 77 } }))
  cam.send(writeRequest({ method: 'ANNOUNCE', url: '*', headers: { CSeq: 78 } }))
  await until(() => cam.methods.filter((method) => method === 'GET_PARAMETER').length >= 2, { what: 'two keepalives' })
  assert.equal(cam.requests.find(({ method }) => method === 'GET_PARAMETER')?.url, `rtsp://127.0.0.1:${cam.port}/base/`)
  assert.deepEqual(cam.answers, [200, 501])
  stop()
  assert.equal(await code, undefined)
})

test('a camera that knows no GET_PARAMETER is kept alive with OPTIONS', async () => {
  await using cam = await camera({
    OPTIONS: () => ({ headers: { Public: 'DESCRIBE, SETUP, PLAY' } }),
    SETUP: (request) => ({ headers: { Transport: findHeader(request.headers, 'transport'), Session: 'ab;timeout=1' } }),
  })
  const { code, stop } = pull(cam.url())
  await until(() => cam.methods.filter((method) => method === 'OPTIONS').length >= 2, { what: 'a keepalive' })
  stop()
  assert.equal(await code, undefined)
})

const challenges: [name: string, headers: string[]][] = [
  ['digest', ['Digest realm="c", nonce="n"']],
  ['digest with SHA-256 and qop', ['Digest realm="c", nonce="n", algorithm=SHA-256, qop="auth", opaque="o"']],
  ['Basic', ['Basic realm="c"']],
]

for (const [name, headers] of challenges) {
  test(`${name} is answered, and every request after carries it`, async () => {
    const check: Script = (request) =>
      findHeader(request.headers, 'authorization') === undefined
        ? { status: 401, headers: { 'WWW-Authenticate': headers } }
        : { body: sdp }
    await using cam = await camera({ DESCRIBE: check })
    const { units, code, stop } = pull(`rtsp://user:pass@127.0.0.1:${cam.port}/live`)
    await until(() => units.length > 0, { what: 'pictures' })
    stop()
    assert.equal(await code, undefined)
    assert.deepEqual(cam.methods, ['OPTIONS', 'DESCRIBE', 'DESCRIBE', 'SETUP', 'PLAY', 'TEARDOWN'])
    assert.ok(
      cam.requests
        .slice(2)
        .every((request) => findHeader(request.headers, 'authorization')?.startsWith(headers[0]?.split(' ')[0] ?? '-')),
    )
    assert.ok(cam.requests.every(({ url }) => !url.includes('pass')))
  })
}

test('a redirect is followed, with the credentials only to the same host', async () => {
  await using cam = await camera({
    DESCRIBE: (request, self) =>
      request.url.endsWith('/live') ? { status: 302, headers: { Location: self.url('other') } } : { body: sdp },
  })
  const { units, code, stop } = pull(cam.url())
  await until(() => units.length > 0, { what: 'pictures' })
  stop()
  assert.equal(await code, undefined)
  assert.equal(cam.connections, 2)
  await using loop = await camera({ DESCRIBE: (_request, self) => ({ status: 302, headers: { Location: self.url() } }) })
  assert.equal(await pull(loop.url()).code, 'SOURCE_REFUSED')
})

test('a source that refuses TCP is pulled over UDP', async () => {
  await using cam = await camera({
    SETUP: (request) => {
      const transport = findHeader(request.headers, 'transport') ?? ''
      return transport.includes('TCP')
        ? { status: 461 }
        : { headers: { Transport: `${transport};server_port=9-10`, Session: 'ab' } }
    },
    PLAY: () => ({}),
  })
  const { code } = pull(cam.url(), { silenceMs: 500 })
  assert.equal(await code, 'SOURCE_SILENT')
  assert.deepEqual(
    cam.requests.filter(({ method }) => method === 'SETUP').map(({ headers }) => findHeader(headers, 'transport')?.split(';')[0]),
    ['RTP/AVP/TCP', 'RTP/AVP'],
  )
  assert.equal(await pull(cam.url(), { transport: 'tcp' }).code, 'SOURCE_REFUSED')
})

test('nothing over UDP leads to TCP, with a new DESCRIBE', async () => {
  await using cam = await camera({
    SETUP: (request) => ({
      headers: { Transport: `${findHeader(request.headers, 'transport')};server_port=9-10`, Session: 'ab' },
    }),
    PLAY: (_request, self) => {
      setImmediate(() => self.connections === 2 && self.sendPicture(0))
      return {}
    },
  })
  const { units, code, stop } = pull(cam.url(), { transport: 'udp', silenceMs: 800 })
  await until(() => units.length > 0, { what: 'pictures over TCP' })
  stop()
  assert.equal(await code, undefined)
  assert.equal(cam.methods.filter((method) => method === 'DESCRIBE').length, 2)
})

test('a good-bye ends the pull without an error', async () => {
  await using cam = await camera()
  const { units, code } = pull(cam.url())
  await until(() => units.length > 0, { what: 'pictures' })
  cam.send(interleavedFrame(1, Buffer.from('not rtcp')))
  cam.send(interleavedFrame(1, writeBye(7)))
  assert.equal(await code, undefined)
})

test('garbage within the connection costs pictures, not the connection', async () => {
  await using cam = await camera()
  const { units, code, stop } = pull(cam.url())
  await until(() => units.length >= 4, { what: 'pictures' })
  cam.send(Buffer.from('garbage $ garbage'))
  for (let i = 0; i < 5; i++) cam.sendPicture(1000 + i * 40, i === 0)
  await until(() => units.length >= 8, { what: 'pictures after the garbage' })
  stop()
  assert.equal(await code, undefined)
})

function afterwards(act: (self: Camera) => void, answer: Answer | undefined): Script {
  return (_request, self) => {
    setImmediate(() => act(self))
    return answer
  }
}

const failures: [name: string, own: Partial<Record<string, Script>>, code: ErrorCode][] = [
  ['answers 404', { DESCRIBE: () => ({ status: 404 }) }, 'SOURCE_REFUSED'],
  [
    'wants a password and gets none',
    { DESCRIBE: () => ({ status: 401, headers: { 'WWW-Authenticate': 'Basic realm="c"' } }) },
    'SOURCE_REFUSED',
  ],
  [
    'wants something unknown',
    { DESCRIBE: () => ({ status: 401, headers: { 'WWW-Authenticate': 'Negotiate' } }) },
    'SOURCE_REFUSED',
  ],
  ['sends a description that is none', { DESCRIBE: () => ({ body: 'hello' }) }, 'MALFORMED'],
  ['has only codecs that are not carried', { DESCRIBE: () => ({ body: 'm=video 0 RTP/AVP 26\r\n' }) }, 'CODEC_UNSUPPORTED'],
  ['refuses every track', { SETUP: () => ({ status: 454 }) }, 'SOURCE_REFUSED'],
  ['refuses PLAY', { PLAY: () => ({ status: 500 }) }, 'SOURCE_REFUSED'],
  ['sends no media', { PLAY: () => ({}) }, 'SOURCE_SILENT'],
  ['hangs up', { DESCRIBE: afterwards((self) => self.hangUp(), undefined) }, 'SOURCE_UNREACHABLE'],
  ['hangs up later', { PLAY: afterwards((self) => self.hangUp(), {}) }, 'SOURCE_UNREACHABLE'],
  ['speaks no RTSP', { OPTIONS: afterwards((self) => self.send(Buffer.from('220 ftp ready\r\n')), undefined) }, 'MALFORMED'],
]

for (const [name, own, expected] of failures) {
  test(`a camera that ${name} is ${expected}`, async () => {
    await using cam = await camera(own)
    assert.equal(await pull(cam.url(), { silenceMs: 500 }).code, expected)
  })
}

test('nobody at the address is SOURCE_UNREACHABLE, and no RTSP URL is MALFORMED', async () => {
  const gone = await camera()
  await gone[Symbol.asyncDispose]()
  assert.equal(await pull(gone.url()).code, 'SOURCE_UNREACHABLE')
  assert.equal(await pull('http://127.0.0.1/').code, 'MALFORMED')
  assert.equal(await pull('rtsps://127.0.0.1/').code, 'UNSUPPORTED')
})

test('an attempt that is no longer wanted ends at once, wherever it is', async () => {
  await using cam = await camera({ DESCRIBE: () => undefined })
  const early = pull(cam.url())
  early.stop()
  assert.equal(await early.code, undefined)
  const later = pull(cam.url())
  await until(() => cam.methods.includes('DESCRIBE'), { what: 'DESCRIBE' })
  later.stop()
  assert.equal(await later.code, undefined)
})
