import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { parseMediaPlaylist, type ParsedMediaPlaylist } from '#formats/hls/parse-media-playlist.ts'
import type { Track } from '#formats/media/track.ts'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { h264Parameters, unitAt, video, videoTrack } from '../../../test/support/media.ts'
import type { PackagerListener, Part } from './cmaf.ts'
import type { HlsFile } from './hls-file.ts'
import { HlsWindow } from './hls-window.ts'
import { Packager } from './packager.ts'

const log = createLog({ level: 'silent', pretty: false })
const otherVideo: Track = { ...videoTrack, parameters: { ...h264Parameters, pps: Buffer.from('68ebe3cb22c1', 'hex') } }

/** A window over a packager, and a camera of 25 fps with a keyframe each second that is moved on by hand. */
function live({ gop = 25, segmentCount = 7 } = {}): {
  window: HlsWindow
  packager: Packager
  film: (frames: number, track?: Track) => void
} {
  const settings = { partMilliseconds: 200, segmentSeconds: 1, segmentCount }
  const packager = new Packager({ tracks: [videoTrack], settings })
  const window = new HlsWindow({ prefix: 'w1', packager, settings, log })
  packager.addListener(window)
  let filmed = 0
  const film = (frames: number, track = videoTrack): void => {
    for (let i = 0; i < frames; i++, filmed++) packager.write(unitAt(filmed * 40, { track, isKeyframe: filmed % gop === 0 }))
  }
  return { window, packager, film }
}

async function load(window: HlsWindow, request: Parameters<HlsWindow['playlist']>[0] = {}): Promise<ParsedMediaPlaylist> {
  return parseMediaPlaylist((await window.playlist(request)).bytes.toString())
}

function fails(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code
}

function chunksOf({ body }: HlsFile): readonly Buffer[] {
  assert.ok(body.kind === 'memory')
  return body.chunks
}

/** A recorder that wrote every part of `only` segments to one file, the moment it was made. */
function storeAt(path: string, only: (part: Part) => boolean = () => true): PackagerListener {
  let offset = 0
  return {
    segmentStarted() {},
    partAdded(part) {
      if (only(part)) part.stored.range = { path, offset, sizeBytes: part.sizeBytes }
      offset += part.sizeBytes
    },
    segmentEnded() {},
    ended() {},
  }
}

/** Whether a promise is settled once all that is ready has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  const turn = new Promise((resolve) => setImmediate(resolve, pending))
  const first = await Promise.race([promise.catch(() => undefined), turn])
  return first !== pending
}

test('the first playlist comes with the first segment', async () => {
  const { window, film } = live()
  film(25)
  const waiting = load(window)
  assert.equal(await isSettled(waiting), false)
  film(1)
  const playlist = await waiting
  assert.deepEqual([playlist.targetDurationSeconds, playlist.partTargetSeconds, playlist.partHoldBackSeconds], [2, 0.216, 0.648])
  assert.deepEqual(
    playlist.segments.map((segment) => segment.isGap),
    [true, true, true, true, true, true, false],
  )
  assert.deepEqual([playlist.mediaSequence, playlist.segments.at(-1)?.uri], [1, 'w1-seg-7.m4s'])
  assert.deepEqual(
    playlist.segments.at(-1)?.parts.map((part) => part.uri),
    [0, 1, 2, 3, 4].map((i) => `w1-part-7.${i}.mp4`),
  )
  assert.equal(playlist.preloadHintUri, 'w1-part-8.0.mp4')
})

test('a long first segment is played while it is made, with a target duration that leaves it room', async () => {
  const { window, film } = live({ gop: 250 })
  film(102)
  const playlist = await load(window)
  assert.equal(playlist.targetDurationSeconds, 12)
  assert.deepEqual([playlist.openParts.length, playlist.preloadHintUri], [20, 'w1-part-7.20.mp4'])
  film(150)
  assert.equal((await load(window)).targetDurationSeconds, 12)
})

test('neither target changes, whatever comes', async () => {
  const { window, packager } = live()
  const seen = new Set<string>()
  let atMs = 0
  for (const frameMs of [40, 40, 200, 500, 40, 1000, 20]) {
    for (let i = 0; i < 60; i++, atMs += frameMs) packager.write(unitAt(atMs, { isKeyframe: i % 30 === 0 }))
    const { targetDurationSeconds, partTargetSeconds } = await load(window)
    seen.add(`${targetDurationSeconds} ${partTargetSeconds}`)
  }
  assert.equal(seen.size, 1)
})

test('a blocked request is answered by the part it asks for', async () => {
  const { window, film } = live()
  film(26)
  const next = load(window, { msn: 8, part: 0 })
  const afterNext = load(window, { msn: 8, part: 1 })
  const whole = load(window, { msn: 8 })
  assert.equal(await isSettled(next), false)
  film(5)
  assert.deepEqual(
    (await next).openParts.map((part) => part.uri),
    ['w1-part-8.0.mp4'],
  )
  assert.equal(await isSettled(afterNext), false)
  film(5)
  assert.equal((await afterNext).openParts.length, 2)
  assert.equal(await isSettled(whole), false)
  film(15)
  assert.equal((await whole).segments.at(-1)?.uri, 'w1-seg-8.m4s')
})

test('an index beyond the last part of a segment means the first part of the next', async () => {
  const { window, film } = live()
  film(26)
  const waiting = load(window, { msn: 7, part: 5 })
  assert.equal(await isSettled(waiting), false)
  film(5)
  assert.equal((await waiting).openParts.length, 1)
})

const outOfReach: [name: string, position: { msn?: number; part?: number }][] = [
  ['a part without a segment', { part: 1 }],
  ['a segment more than two after the last', { msn: 10 }],
  ['a part far after the last', { msn: 8, part: 40 }],
]
for (const [name, position] of outOfReach) {
  test(`a request for ${name} is refused`, async () => {
    const { window, film } = live()
    film(26)
    await assert.rejects(window.playlist(position), fails('REQUEST_INVALID'))
  })
}

test('the next segment but one may be asked for', async () => {
  const { window, film } = live()
  film(26)
  const waiting = load(window, { msn: 9 })
  assert.equal(await isSettled(waiting), false)
  film(50)
  assert.equal((await waiting).segments.at(-1)?.uri, 'w1-seg-9.m4s')
})

test('a blocked request ends after three target durations, or when the player leaves', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { window, film } = live()
    film(26)
    const controller = new AbortController()
    const left = assert.rejects(window.playlist({ msn: 8, signal: controller.signal }), fails('HLS_NOT_READY'))
    controller.abort()
    await left
    const late = assert.rejects(window.playlist({ msn: 8 }), fails('HLS_NOT_READY'))
    mock.timers.tick(6000)
    await late
  } finally {
    mock.timers.reset()
  }
})

test('all who wait for one change share one playlist, plain and compressed', async () => {
  const { window, film } = live()
  film(26)
  const waiting = Array.from({ length: 50 }, () => window.playlist({ msn: 8, part: 0 }))
  film(5)
  const playlists = await Promise.all(waiting)
  assert.equal(new Set(playlists).size, 1)
  const [first] = playlists
  assert.ok(first)
  assert.equal(first.gzip, first.gzip)
  assert.deepEqual(gunzipSync(first.gzip), first.bytes)
  film(5)
  assert.notEqual(await window.playlist({}), first)
})

test('old segments leave, the discontinuities among them are counted, and they can be loaded a little longer', async () => {
  const { window, film } = live()
  film(50)
  film(25, otherVideo)
  film(6 * 25 + 1)
  const before = await load(window)
  assert.deepEqual([before.mediaSequence, before.discontinuitySequence, before.segments.length], [9, 0, 7])
  assert.deepEqual(
    before.segments.map((segment) => segment.isDiscontinuity),
    [true, true, false, false, false, false, false],
  )
  assert.deepEqual(
    before.segments.slice(0, 2).map((segment) => segment.map?.uri),
    ['w1-init-2.mp4', 'w1-init-3.mp4'],
  )
  film(25)
  assert.deepEqual([(await load(window)).mediaSequence, (await load(window)).discontinuitySequence], [10, 1])
  assert.equal((await window.file('w1-seg-7.m4s', {})).contentType, 'video/mp4')
  assert.ok(await window.file('w1-init-1.mp4', {}))
  film(25 * 2)
  await assert.rejects(window.file('w1-seg-7.m4s', {}), fails('HLS_FILE_NOT_FOUND'))
  await assert.rejects(window.file('w1-init-1.mp4', {}), fails('HLS_FILE_NOT_FOUND'))
})

test('missing segments at the start give way to real ones, and their numbers never come back', async () => {
  const { window, film } = live({ segmentCount: 3 })
  let last = 0
  film(1)
  for (let segment = 0; segment < 12; segment++) {
    film(25)
    const playlist = await load(window)
    assert.ok(playlist.mediaSequence >= last)
    last = playlist.mediaSequence
    for (const [i, { uri, isGap }] of playlist.segments.entries()) {
      assert.equal(uri, isGap ? 'w1-gap.m4s' : `w1-seg-${playlist.mediaSequence + i}.m4s`)
      assert.equal(isGap, playlist.mediaSequence + i < 7)
    }
  }
  const { segments, targetDurationSeconds } = await load(window)
  assert.ok(segments.reduce((sum, segment) => sum + segment.durationSeconds, 0) >= 3 * targetDurationSeconds)
})

test('a delta update leaves out what is older than the skip boundary, and only that', async () => {
  const { window, film } = live({ segmentCount: 30 })
  film(25 * 29 + 1)
  const full = await load(window)
  const delta = await load(window, { skip: true })
  assert.equal(delta.mediaSequence, full.mediaSequence)
  assert.ok(delta.skippedSegments > 0)
  assert.deepEqual(
    delta.segments.map((segment) => segment.uri),
    full.segments.slice(delta.skippedSegments).map((segment) => segment.uri),
  )
  const keptSeconds = delta.segments.reduce((sum, segment) => sum + segment.durationSeconds, 0)
  assert.ok(keptSeconds >= (full.canSkipUntilSeconds ?? Infinity))
  const short = live()
  short.film(25 * 3 + 1)
  assert.equal((await load(short.window, { skip: true })).skippedSegments, 0)
})

test('parts are listed near the end only', async () => {
  const { window, film } = live({ segmentCount: 30 })
  film(25 * 29 + 1)
  const listed = (await load(window)).segments.map((segment) => segment.parts.length > 0)
  assert.deepEqual([listed.indexOf(true), listed.lastIndexOf(false)], [listed.length - 6, listed.length - 7])
})

test('media is found by name: a segment is its parts in a row', async () => {
  const { window, film } = live()
  film(26)
  const segment = await window.file('w1-seg-7.m4s', {})
  const parts = await Promise.all([0, 1, 2, 3, 4].map((index) => window.file(`w1-part-7.${index}.mp4`, {})))
  assert.deepEqual(chunksOf(segment), parts.flatMap(chunksOf))
  assert.equal(
    segment.sizeBytes,
    parts.reduce((sum, part) => sum + part.sizeBytes, 0),
  )
  assert.equal(chunksOf(await window.file('w1-init-1.mp4', {}))[0]?.toString('latin1', 4, 8), 'ftyp')
})

test('recorded segments are in memory only while they are new', async () => {
  const { window, packager, film } = live()
  packager.addListener(storeAt('/r/a.mp4'))
  film(26)
  const { sizeBytes } = await window.file('w1-seg-7.m4s', {})
  const part = await window.file('w1-part-7.1.mp4', {})
  film(25)
  assert.equal((await window.file('w1-seg-8.m4s', {})).body.kind, 'memory')
  const older = await window.file('w1-seg-7.m4s', {})
  assert.deepEqual(older, {
    contentType: 'video/mp4',
    sizeBytes,
    body: { kind: 'stored', ranges: [{ path: '/r/a.mp4', offset: 0, sizeBytes }] },
  })
  assert.deepEqual((await window.file('w1-part-7.1.mp4', {})).body, {
    kind: 'stored',
    ranges: [{ path: '/r/a.mp4', offset: part.sizeBytes, sizeBytes: part.sizeBytes }],
  })
  assert.ok((await load(window)).segments.at(-1)?.parts.length)
})

test('a segment of which the recorder missed a part stays in memory, and so does one that is not recorded yet', async () => {
  const { window, packager, film } = live()
  const late: Part[] = []
  packager.addListener(storeAt('/r/a.mp4', ({ segmentSequence, index }) => segmentSequence !== 0 || index !== 3))
  packager.addListener({ segmentStarted() {}, partAdded: (part) => void late.push(part), segmentEnded() {}, ended() {} })
  film(51)
  assert.equal((await window.file('w1-seg-7.m4s', {})).body.kind, 'memory')
  const missed = late[3]
  assert.ok(missed)
  missed.stored.range = { path: '/r/b.mp4', offset: 0, sizeBytes: missed.sizeBytes }
  film(25)
  const { body } = await window.file('w1-seg-7.m4s', {})
  assert.ok(body.kind === 'stored')
  assert.deepEqual(
    body.ranges.map(({ path }) => path),
    ['/r/a.mp4', '/r/b.mp4', '/r/a.mp4'],
  )
})

test('the part that comes next is waited for; others, open segments and foreign names are not there', async () => {
  const { window, film } = live()
  film(26)
  const hinted = window.file('w1-part-8.0.mp4', {})
  assert.equal(await isSettled(hinted), false)
  for (const name of [
    'w1-part-8.1.mp4',
    'w1-part-7.5.mp4',
    'w1-seg-8.m4s',
    'w1-init-2.mp4',
    'w2-seg-7.m4s',
    'w1-seg-7.mp4',
    'w1-gap.m4s',
    '../x',
  ]) {
    await assert.rejects(window.file(name, {}), fails('HLS_FILE_NOT_FOUND'), name)
  }
  film(5)
  assert.ok((await hinted).sizeBytes > 500)
})

test('a hinted part that never comes is not there', async () => {
  const { window, packager, film } = live()
  film(26)
  packager.pause()
  const hinted = assert.rejects(window.file('w1-part-9.0.mp4', {}), fails('HLS_FILE_NOT_FOUND'))
  packager.close()
  await hinted
})

test('after a source went away the playlist goes on with the next one', async () => {
  const { window, packager, film } = live()
  film(40)
  packager.pause()
  const offline = await load(window)
  assert.equal(offline.preloadHintUri, 'w1-part-9.0.mp4')
  assert.equal(offline.segments.at(-1)?.durationSeconds, 0.6)
  film(25, otherVideo)
  const online = await load(window)
  assert.ok(online.openParts.length > 0 || online.segments.at(-1)?.isDiscontinuity)
})

test('an ended stream lets everybody go and says so', async () => {
  const { window, packager, film } = live()
  film(30)
  const waiting = load(window, { msn: 9 })
  packager.close()
  const playlist = await waiting
  assert.equal(playlist.isEnded, true)
  assert.equal(playlist.preloadHintUri, undefined)
  assert.equal(parseMediaPlaylist((await window.plainPlaylist({})).bytes.toString()).isEnded, true)
})

test('a stream that ends before its first segment is not ready', async () => {
  const { window, packager } = live()
  const waiting = assert.rejects(window.playlist({}), fails('HLS_NOT_READY'))
  packager.close()
  await waiting
})

test('the plain playlist has complete segments only and no missing ones', async () => {
  const { window, film } = live()
  film(60)
  const plain = parseMediaPlaylist((await window.plainPlaylist({})).bytes.toString())
  assert.deepEqual([plain.version, plain.mediaSequence, plain.partTargetSeconds], [7, 7, undefined])
  assert.deepEqual(
    plain.segments.map((segment) => [segment.uri, segment.isGap, segment.parts.length]),
    [
      ['w1-seg-7.m4s', false, 0],
      ['w1-seg-8.m4s', false, 0],
    ],
  )
})

test('the multivariant playlist tells codec, size, rates and where the media is', async () => {
  const { window, film } = live()
  film(60)
  const text = (await window.multivariantPlaylist({})).bytes.toString()
  assert.match(
    text,
    /BANDWIDTH=\d+,AVERAGE-BANDWIDTH=\d+,CODECS="avc1.64000d",RESOLUTION=320x180,FRAME-RATE=25.000\nlive.m3u8\n$/,
  )
})

test('a window opened while the packager runs starts with the open segment', async () => {
  const settings = { partMilliseconds: 200, segmentSeconds: 1, segmentCount: 7 }
  const packager = new Packager({ tracks: [videoTrack], settings })
  for (const unit of video({ frames: 260 })) packager.write(unit)
  const window = new HlsWindow({ prefix: 'w2', packager, settings, log })
  packager.addListener(window)
  for (const unit of video({ fromMs: 260 * 40, frames: 30, gop: 15 })) packager.write(unit)
  const playlist = await load(window)
  assert.equal(playlist.segments.find((segment) => !segment.isGap)?.uri, 'w2-seg-7.m4s')
  assert.equal(playlist.discontinuitySequence, 0)
})
