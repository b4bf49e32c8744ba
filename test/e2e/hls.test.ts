import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { audioVideoSkewMs, countFrames, onlyTrack, playStream, type PlayResult } from '../support/peers/play-stream.ts'
import { publishTestStream, type TestStreamOptions } from '../support/peers/publish-test-stream.ts'
import { showOutputOnFailure, startMillrace, type Millrace } from '../support/program.ts'
import { until } from '../support/until.ts'

const framesPerSecond = 25
const playedFrames = 4 * framesPerSecond

type Case = { name: string; published: Pick<TestStreamOptions, 'video' | 'audio'>; played: string[]; codecs: RegExp }

const cases: readonly Case[] = [
  {
    name: 'h264-aac',
    published: { video: 'h264', audio: 'aac' },
    played: ['h264', 'aac'],
    codecs: /"avc1\.[0-9a-f]{6},mp4a\.40\.2"/i,
  },
  {
    name: 'h264-bframes-opus',
    published: { video: 'h264-bframes', audio: 'opus' },
    played: ['h264', 'opus'],
    codecs: /"avc1\.[0-9a-f]{6},opus"/i,
  },
  { name: 'h265-aac', published: { video: 'h265', audio: 'aac' }, played: ['hevc', 'aac'], codecs: /"hvc1\.[^"]+,mp4a\.40\.2"/i },
  // G.711 has no place in HLS: the picture goes on without it.
  { name: 'h264-pcma', published: { video: 'h264', audio: 'pcma' }, played: ['h264'], codecs: /"avc1\.[0-9a-f]{6}"/i },
  { name: 'aac', published: { audio: 'aac' }, played: ['aac'], codecs: /"mp4a\.40\.2"/ },
]

suite('HLS read by libav', { concurrency: 3 }, () => {
  let millrace: Millrace
  before(async () => {
    millrace = await startMillrace({ config: '[streamDefaults]\nhls = "always"\n' })
  })
  after(() => millrace[Symbol.asyncDispose]())

  for (const { name, published, played, codecs } of cases) {
    test(`${name}, by the low-latency and the plain playlist`, async (t) => {
      showOutputOnFailure(t, millrace)
      await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/${name}`, ...published })
      const playlists = ['index.m3u8', 'plain.m3u8'].map((file) => `${millrace.url}/hls/${name}/${file}`)
      const multivariant = await untilServed(`${millrace.url}/hls/${name}/index.m3u8`)
      assert.match(multivariant, codecs)
      await using stack = new AsyncDisposableStack()
      const players = playlists.map((url) =>
        stack.use(playStream({ url, format: 'hls', decode: true, isFromStart: true, untilFrames: playedFrames })),
      )
      for (const { result } of players) assertPlays(await result, played)
    })
  }

  test('a low-latency player gets each part as soon as it is made, and all of them in a row', async (t) => {
    showOutputOnFailure(t, millrace)
    await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/low-latency`, video: 'h264', audio: 'aac' })
    await untilServed(`${millrace.url}/hls/low-latency/index.m3u8`)
    const { init, parts, latenciesMs } = await playParts(`${millrace.url}/hls/low-latency/live.m3u8`, 20)
    const file = join(millrace.directory, 'parts.mp4')
    await writeFile(file, Buffer.concat([init, ...parts]))
    const result = await countFrames(file)
    // Parts of 200 ms hold five frames each.
    assert.equal(onlyTrack(result, 'video').frames, 20 * 5)
    assertContinuous(result)
    const median = latenciesMs.toSorted((a, b) => a - b)[latenciesMs.length / 2] ?? Infinity
    assert.ok(median < 500, `median of ${median} ms from the first frame of a part to its arrival; of these it is 200 ms long`)
  })

  test('a stream that nobody publishes is not found', async (t) => {
    showOutputOnFailure(t, millrace)
    const response = await fetch(`${millrace.url}/hls/nobody/index.m3u8`)
    assert.equal(response.status, 404)
    assert.match(await response.text(), /STREAM_/)
  })
})

test('HLS on demand is packaged from the first request on', async (t) => {
  await using millrace = await startMillrace({ config: '[streamDefaults]\nhls = "on-demand"\n' })
  showOutputOnFailure(t, millrace)
  await using _stream = await publishTestStream({ url: `${millrace.rtspUrl}/wanted`, video: 'h264', audio: 'aac' })
  await untilServed(`${millrace.url}/hls/wanted/index.m3u8`)
  await using player = playStream({ url: `${millrace.url}/hls/wanted/index.m3u8`, format: 'hls', decode: true, untilFrames: 50 })
  const result = await player.result
  assert.equal(onlyTrack(result, 'video').decodeErrors, 0)
  assertContinuous(result)
})

/** A playlist is there as soon as the stream has its first frame. */
async function untilServed(url: string): Promise<string> {
  return await until(async () => await fetch(url).then(async (response) => (response.ok ? await response.text() : undefined)), {
    what: url,
  })
}

function assertPlays(result: PlayResult, codecs: readonly string[]): void {
  const messages = result.messages.join('\n')
  assert.equal(result.end, 'frames', messages)
  assert.deepEqual(result.tracks.map(({ codec }) => codec).toSorted(), codecs.toSorted(), messages)
  for (const { packets, frames, decodeErrors, kind } of result.tracks) {
    assert.equal(decodeErrors, 0, messages)
    // The decoder of Opus and AAC may swallow its first frame.
    assert.ok(frames >= packets - (kind === 'video' ? 0 : 1), `${frames} of ${packets} ${kind} frames\n${messages}`)
  }
  assertContinuous(result)
  const kinds = new Set(result.tracks.map(({ kind }) => kind))
  if (kinds.size === 2) assert.ok(Math.abs(audioVideoSkewMs(result)) < 40, `sound is ${audioVideoSkewMs(result)} ms late`)
}

/** Each picture is one frame after the last: nothing is lost between parts, segments and packets. */
function assertContinuous({ tracks }: PlayResult): void {
  for (const { kind, ptsSeconds } of tracks) {
    const times = ptsSeconds.toSorted((a, b) => a - b)
    const steps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    const longest = kind === 'video' ? 1 / framesPerSecond + 0.002 : 0.025
    assert.ok(Math.max(...steps) <= longest, `a gap of ${Math.max(...steps)} s in ${kind}`)
  }
}

type PlayedParts = { init: Buffer; parts: Buffer[]; latenciesMs: number[] }

/** A low-latency player: reads the playlist with blocking reload and each part that it names, from the next keyframe on. */
async function playParts(playlistUrl: string, count: number): Promise<PlayedParts> {
  const get = async (uri: string) => {
    const response = await fetch(new URL(uri, playlistUrl))
    assert.equal(response.status, 200, uri)
    return Buffer.from(await response.arrayBuffer())
  }
  const first = parsePlaylist(String(await get(playlistUrl)))
  const init = await get(first.initUri)
  const seen = new Set(first.parts.map(({ uri }) => uri))
  const parts: Buffer[] = []
  const latenciesMs: number[] = []
  let { next } = first
  while (parts.length < count) {
    const playlist = parsePlaylist(String(await get(`${playlistUrl}?_HLS_msn=${next.msn}&_HLS_part=${next.part}`)))
    for (const { uri, isIndependent, startsAtMs } of playlist.parts) {
      if (seen.has(uri)) continue
      seen.add(uri)
      if ((parts.length === 0 && !isIndependent) || parts.length === count) continue
      parts.push(await get(uri))
      latenciesMs.push(Date.now() - startsAtMs)
    }
    next = playlist.next
  }
  return { init, parts, latenciesMs }
}

type ListedPart = { uri: string; isIndependent: boolean; startsAtMs: number }
type LivePlaylist = { initUri: string; parts: ListedPart[]; next: { msn: number; part: number } }

function parsePlaylist(text: string): LivePlaylist {
  const attribute = (line: string, name: string) => new RegExp(`${name}="?([^",]*)"?`).exec(line)?.[1] ?? ''
  const playlist: LivePlaylist = { initUri: '', parts: [], next: { msn: 0, part: 0 } }
  let atMs = 0
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) playlist.next.msn = Number(line.slice(22))
    if (line.startsWith('#EXT-X-MAP:')) playlist.initUri = attribute(line, 'URI')
    if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) atMs = Date.parse(line.slice(25))
    if (line.startsWith('#EXT-X-PART:')) {
      playlist.parts.push({ uri: attribute(line, 'URI'), isIndependent: line.includes('INDEPENDENT=YES'), startsAtMs: atMs })
      atMs += Number(attribute(line, 'DURATION')) * 1000
      playlist.next.part += 1
    }
    if (line !== '' && !line.startsWith('#')) playlist.next = { msn: playlist.next.msn + 1, part: 0 }
  }
  return playlist
}
