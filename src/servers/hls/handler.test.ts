import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseMediaPlaylist } from '#formats/hls/parse-media-playlist.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import type { PackagerListener } from '#live/packager/cmaf.ts'
import { HlsWindow } from '#live/packager/hls-window.ts'
import { Packager } from '#live/packager/packager.ts'
import { unitAt, videoTrack } from '../../../test/support/media.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { createHlsHandler, type AuthorizeRead, type HlsHub } from './handler.ts'

const log = createLog({ level: 'silent', pretty: false })

type Served = AsyncDisposable & {
  baseUrl: string
  packager: Packager
  film: (frames: number) => void
  viewers: () => string[]
  openSignals: AbortSignal[]
}

/** A stream `lobby` behind a real HTTP server, one second of it filmed. */
async function serve({
  frameBytes = 100,
  closing,
  ...options
}: { authorize?: AuthorizeRead; frameBytes?: number; closing?: AbortSignal } = {}): Promise<Served> {
  const settings = { partMilliseconds: 200, segmentSeconds: 1, segmentCount: 7 }
  const packager = new Packager({ tracks: [videoTrack], settings })
  const window = new HlsWindow({ prefix: 'w', packager, settings, log })
  packager.addListener(window)
  const openSignals: AbortSignal[] = []
  const hub: HlsHub = {
    openHls: async (stream, { signal }) => {
      openSignals.push(signal)
      if (stream !== 'lobby') throw new AppError('STREAM_NOT_FOUND', `stream "${stream}" is unknown`)
      return window
    },
  }
  const handler = createHlsHandler({ hub, clock: systemClock, log, ...options })
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const [, stream = '', file = ''] = url.pathname.split('/')
    const target = { stream, file, query: url.searchParams, ...(closing ? { closing } : {}) }
    void handler.handle(request, response, target)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  let filmed = 0
  const film = (frames: number): void => {
    for (let i = 0; i < frames; i++, filmed++)
      packager.write(unitAt(filmed * 40, { isKeyframe: filmed % 25 === 0, sizeBytes: frameBytes }))
  }
  film(26)
  return {
    baseUrl: `http://127.0.0.1:${address.port}/lobby`,
    packager,
    film,
    viewers: () => handler.viewers('lobby').map((viewer) => `${viewer.remoteAddress} ${viewer.userAgent}`),
    openSignals,
    [Symbol.asyncDispose]: async () => {
      packager.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The same, with its second segment in a file and no longer in memory. */
async function serveRecorded({ frameBytes = 100 } = {}): Promise<Served & { path: string; segment: Buffer }> {
  await using opened = new AsyncDisposableStack()
  const directory = opened.use(await temporaryDirectory())
  const served = opened.use(await serve({ frameBytes }))
  const path = join(directory.path, 'recorded.mp4')
  const media: Buffer[] = []
  const head = Buffer.from('what stands before it')
  const recorded: PackagerListener = {
    segmentStarted() {},
    partAdded(part) {
      const offset = media.reduce((sum, bytes) => sum + bytes.length, head.length)
      if (part.segmentSequence !== 1) return
      part.stored.range = { path, offset, sizeBytes: part.sizeBytes }
      media.push(...part.chunks)
    },
    segmentEnded() {},
    ended() {},
  }
  served.packager.addListener(recorded)
  served.film(76)
  const segment = Buffer.concat(media)
  await writeFile(path, Buffer.concat([head, segment]))
  const held = opened.move()
  return { ...served, path, segment, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** How many descriptors of this process are open on a file. */
function openFiles(path: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return undefined
    }
  })
  return links.filter((link) => link === path).length
}

async function json(response: Response): Promise<{ status: number; code: string }> {
  const body = JSON.parse(await response.text())
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.ok(typeof body.message === 'string' && body.message.length > 0)
  return { status: response.status, code: body.code }
}

test('a player goes from the multivariant playlist to the media', async () => {
  await using served = await serve()
  const index = await fetch(`${served.baseUrl}/index.m3u8`)
  assert.equal(index.status, 200)
  assert.equal(index.headers.get('content-type'), 'application/vnd.apple.mpegurl')
  assert.equal(index.headers.get('cache-control'), 'no-cache')
  const mediaUri = (await index.text()).trim().split('\n').at(-1)
  const playlist = parseMediaPlaylist(await (await fetch(`${served.baseUrl}/${mediaUri}?_HLS_skip=YES&token=x`)).text())
  const uris = playlist.segments.flatMap((segment) =>
    segment.isGap ? [] : [segment.map?.uri ?? '', segment.uri, ...segment.parts.map((part) => part.uri)],
  )
  assert.equal(uris.length, 7)
  for (const uri of uris) {
    assert.match(uri, /^[a-z0-9.-]+$/, 'child URIs carry nothing of the query')
    const media = await fetch(`${served.baseUrl}/${uri}`)
    assert.equal(media.status, 200)
    assert.equal(media.headers.get('content-type'), 'video/mp4')
    assert.equal(media.headers.get('cache-control'), 'max-age=3600, immutable')
    assert.equal((await media.arrayBuffer()).byteLength, Number(media.headers.get('content-length')))
  }
  assert.equal((await fetch(`${served.baseUrl}/plain.m3u8`)).status, 200)
})

test('a request for what comes next is held until it is there', async () => {
  await using served = await serve()
  const opened = served.openSignals.length
  let answers = 0
  const waiting = ['live.m3u8?_HLS_msn=8&_HLS_part=0', 'w-part-8.0.mp4'].map(async (file) => {
    const response = await fetch(`${served.baseUrl}/${file}`)
    answers += 1
    return response.status
  })
  await until(() => served.openSignals.length === opened + 2)
  assert.equal(answers, 0)
  served.film(5)
  assert.deepEqual(await Promise.all(waiting), [200, 200])
})

test('a player that leaves is not waited for', async () => {
  await using served = await serve()
  const controller = new AbortController()
  const waiting = fetch(`${served.baseUrl}/live.m3u8?_HLS_msn=8`, { signal: controller.signal })
  await until(() => served.openSignals.length === 1)
  controller.abort()
  await assert.rejects(waiting)
  await until(() => served.openSignals[0]?.aborted)
})

const refused: [name: string, file: string, status: number, code: string][] = [
  ['a position out of reach', 'live.m3u8?_HLS_msn=20', 400, 'REQUEST_INVALID'],
  ['a position that is no number', 'live.m3u8?_HLS_msn=-1', 400, 'REQUEST_INVALID'],
  ['a part without a segment', 'live.m3u8?_HLS_part=1', 400, 'REQUEST_INVALID'],
  ['a file that is not there', 'w-seg-6.m4s', 404, 'HLS_FILE_NOT_FOUND'],
  ['a file of another window', 'v-seg-7.m4s', 404, 'HLS_FILE_NOT_FOUND'],
  ['a stream that is not there', '../gate/index.m3u8', 404, 'STREAM_NOT_FOUND'],
]
for (const [name, file, status, code] of refused) {
  test(`${name} is answered with ${status} and a code`, async () => {
    await using served = await serve()
    const response = await fetch(`${served.baseUrl}/${file}`)
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    assert.deepEqual(await json(response), { status, code })
  })
}

test('other methods are refused, and a preflight is answered', async () => {
  await using served = await serve()
  const posted = await fetch(`${served.baseUrl}/index.m3u8`, { method: 'POST' })
  assert.equal(posted.headers.get('allow'), 'GET, HEAD, OPTIONS')
  assert.deepEqual(await json(posted), { status: 405, code: 'METHOD_NOT_ALLOWED' })
  const preflight = await fetch(`${served.baseUrl}/index.m3u8`, { method: 'OPTIONS' })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, HEAD, OPTIONS')
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /Range/)
})

test('a server that stops lets no request wait', async () => {
  const closing = new AbortController()
  await using served = await serve({ closing: closing.signal })
  const waiting = fetch(`${served.baseUrl}/live.m3u8?_HLS_msn=8`)
  await until(() => served.openSignals.length === 1)
  closing.abort()
  assert.deepEqual(await json(await waiting), { status: 503, code: 'HLS_NOT_READY' })
})

test('who may not read gets no media', async () => {
  await using served = await serve({
    authorize: async ({ headers }) => {
      if (headers.authorization !== 'Bearer good') throw new AppError('UNAUTHORIZED', 'send a token')
    },
  })
  assert.deepEqual(await json(await fetch(`${served.baseUrl}/w-seg-7.m4s`)), { status: 401, code: 'UNAUTHORIZED' })
  const headers = { Authorization: 'Bearer good' }
  assert.equal((await fetch(`${served.baseUrl}/w-seg-7.m4s`, { headers })).status, 200)
})

test('HEAD tells the size and sends nothing; ranges are cut across parts', async () => {
  await using served = await serve()
  const url = `${served.baseUrl}/w-seg-7.m4s`
  const whole = Buffer.from(await (await fetch(url)).arrayBuffer())
  const head = await fetch(url, { method: 'HEAD' })
  assert.deepEqual([head.headers.get('content-length'), head.headers.get('accept-ranges')], [String(whole.length), 'bytes'])
  assert.equal((await head.arrayBuffer()).byteLength, 0)
  const range = await fetch(url, { headers: { Range: 'bytes=100-1999' } })
  assert.deepEqual([range.status, range.headers.get('content-range')], [206, `bytes 100-1999/${whole.length}`])
  assert.deepEqual(Buffer.from(await range.arrayBuffer()), whole.subarray(100, 2000))
  const beyond = await fetch(url, { headers: { Range: `bytes=${whole.length}-` } })
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, `bytes */${whole.length}`])
})

test('a recorded segment is read from its file: whole, by range across parts, and its size', async () => {
  await using served = await serveRecorded()
  const url = `${served.baseUrl}/w-seg-8.m4s`
  const whole = await fetch(url)
  assert.equal(whole.headers.get('content-length'), String(served.segment.length))
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), served.segment)
  const range = await fetch(url, { headers: { Range: 'bytes=100-1999' } })
  assert.deepEqual([range.status, range.headers.get('content-range')], [206, `bytes 100-1999/${served.segment.length}`])
  assert.deepEqual(Buffer.from(await range.arrayBuffer()), served.segment.subarray(100, 2000))
  const head = await fetch(url, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), String(served.segment.length))
  assert.equal((await head.arrayBuffer()).byteLength, 0)
  await until(() => openFiles(served.path) === 0, { what: 'files to be closed' })
})

test('a segment whose recording was deleted is not there', async () => {
  await using served = await serveRecorded()
  await rm(served.path)
  for (const method of ['GET', 'HEAD']) {
    assert.equal((await fetch(`${served.baseUrl}/w-seg-8.m4s`, { method })).status, 404)
  }
  assert.equal((await json(await fetch(`${served.baseUrl}/w-seg-8.m4s`))).code, 'HLS_FILE_NOT_FOUND')
})

test('a slow player does not make us read ahead, what it reads may be deleted, and when it leaves the file is closed', async () => {
  await using served = await serveRecorded({ frameBytes: 1_000_000 })
  const socket = connect(Number(new URL(served.baseUrl).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /lobby/w-seg-8.m4s HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable')
  assert.equal(openFiles(served.path), 1)
  await rm(served.path)
  assert.equal(openFiles(`${served.path} (deleted)`), 1)
  socket.destroy()
  await until(() => openFiles(`${served.path} (deleted)`) === 0, { what: 'the file to be closed' })
})

test('playlists are compressed for those who take it', async () => {
  await using served = await serve()
  const cases = [
    ['gzip, br', 'gzip'],
    ['identity', null],
    ['gzip;q=0', null],
    ['br;q=1, gzip;q=0.5', 'gzip'],
  ] as const
  const texts = new Set<string>()
  for (const [accepted, encoding] of cases) {
    const response = await fetch(`${served.baseUrl}/live.m3u8`, { headers: { 'Accept-Encoding': accepted } })
    assert.equal(response.headers.get('content-encoding'), encoding, accepted)
    assert.equal(response.headers.get('vary'), 'Accept-Encoding')
    texts.add(await response.text())
  }
  assert.equal(texts.size, 1)
})

test('viewers are told apart by address and user agent', async () => {
  await using served = await serve()
  for (const userAgent of ['one', 'two', 'one'])
    await (await fetch(`${served.baseUrl}/live.m3u8`, { headers: { 'User-Agent': userAgent } })).text()
  assert.deepEqual(served.viewers().toSorted(), ['127.0.0.1 one', '127.0.0.1 two'])
})
