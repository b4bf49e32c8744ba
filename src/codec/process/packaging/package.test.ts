import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FFmpegError, FormatContext, Packet } from 'node-av/lib'
import type { PackageFacts, PackageOrder, Rational, VideoCodec } from '#codec/transcoding.ts'
import { boxesIn, requireBox } from '#formats/mp4/read-boxes.ts'
import { readInit } from '#formats/mp4/read-init.ts'
import { startFileServer } from '../../../../test/support/file-server.ts'
import { brokenHlsRules, loadWork } from '../../../../test/support/hls-rules.ts'
import { temporaryDirectory } from '../../../../test/support/temp-directory.ts'
import { makeAudio, makeVideo, orderOf } from './chunks.fixture.ts'
import { packageWork } from './package.ts'

const run = { signal: new AbortController().signal, nowMs: () => performance.now(), onProgress: () => {} }

type Played = { readonly count: number; readonly firstSeconds: number; readonly endSeconds: number; readonly keyframes: number }

/** What libav makes of an address, by name of the codec. */
async function play(url: string): Promise<Map<string, Played>> {
  const context = new FormatContext()
  context.allocContext()
  FFmpegError.throwIfError(await context.openInput(url), url)
  FFmpegError.throwIfError(await context.findStreamInfo(), url)
  using packet = new Packet()
  packet.alloc()
  const played = new Map<string, Played>()
  while ((await context.readFrame(packet)) >= 0) {
    const stream = context.streams[packet.streamIndex]
    assert.ok(stream)
    const seconds = Number(packet.pts) * stream.timeBase.toDouble()
    const name = `${stream.codecpar.codecTagString ?? ''}`
    const before = played.get(name) ?? { count: 0, firstSeconds: Infinity, endSeconds: -Infinity, keyframes: 0 }
    played.set(name, {
      count: before.count + 1,
      firstSeconds: Math.min(before.firstSeconds, seconds),
      endSeconds: Math.max(before.endSeconds, seconds),
      keyframes: before.keyframes + (packet.isKeyframe ? 1 : 0),
    })
    packet.unref()
  }
  await context.closeInput()
  return played
}

function near(value: number | undefined, wanted: number, slack: number): void {
  assert.ok(value !== undefined && Math.abs(value - wanted) <= slack, `${value} is not ${wanted} ± ${slack}`)
}

const sampleNames = { h264: 'avc1', h265: 'hvc1', av1: 'av01', vp9: 'vp09' } as const
const codecNames: Record<VideoCodec, RegExp> = {
  h264: /^avc1\.6400/,
  h265: /^hvc1\.1\.6\.L/,
  av1: /^av01\.0\.0/,
  vp9: /^vp09\.00\./,
}

for (const codec of ['h264', 'h265', 'av1', 'vp9'] as const) {
  test(`${codec} with AAC becomes files that play over HLS and DASH with every frame`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const tracks = [
      await makeVideo(directory.path, { codec }),
      await makeAudio(directory.path, { codec: 'aac', language: 'eng' }),
    ]
    const facts = await packageWork(orderOf(tracks, output.path), run)
    assert.deepEqual(brokenHlsRules(await loadWork(output.path)), [])
    assert.equal(facts.entry, 'master.m3u8')
    assert.match(facts.tracks[0]?.codecs ?? '', codecNames[codec])
    assert.deepEqual(
      facts.files.map(({ name }) => name),
      [`${codec}.mp4`, `${codec}.m3u8`, `${codec}-iframes.m3u8`, 'aac.mp4', 'aac.m3u8', 'master.m3u8', 'manifest.mpd'],
    )
    await using server = await startFileServer(output.path)
    for (const name of [`${codec}.mp4`, `${codec}.m3u8`, 'master.m3u8', 'manifest.mpd']) {
      const video = (await play(`${server.url}/${name}`)).get(sampleNames[codec])
      assert.equal(video?.count, 150, name)
      assert.equal(video.keyframes, 6, name)
      near(video.firstSeconds, 0, 0)
      near(video.endSeconds, 5.96, 0.0001)
    }
    const sound = (await play(`${server.url}/master.m3u8`)).get('mp4a')
    assert.equal(sound?.count, facts.tracks[1]?.frameCount)
    near(sound?.firstSeconds, -1024 / 48_000, 0.0001)
  })

  test(`${codec} with Opus becomes one MP4 that begins with its index`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const tracks = [await makeVideo(directory.path, { codec }), await makeAudio(directory.path, { codec: 'opus' })]
    const facts = await packageWork(orderOf(tracks, output.path, { format: 'mp4' }), run)
    assert.deepEqual(
      facts.files.map(({ name, contentType }) => [name, contentType]),
      [['video.mp4', 'video/mp4']],
    )
    const types = [...boxesIn(await readFile(join(output.path, 'video.mp4')))].map(({ type }) => type)
    assert.ok(types.indexOf('moov') < types.indexOf('mdat'), types.join())
    await using server = await startFileServer(output.path)
    const played = await play(`${server.url}/video.mp4`)
    assert.equal(played.get(sampleNames[codec])?.count, 150)
    near(played.get(sampleNames[codec])?.firstSeconds, 0, 0)
    assert.equal(played.get('Opus')?.count, facts.tracks[1]?.frameCount)
  })
}

const oddRates: [string, Rational][] = [
  ['29.97', { num: 30_000, den: 1001 }],
  ['23.976', { num: 24_000, den: 1001 }],
  ['50', { num: 50, den: 1 }],
]
for (const [name, frameRate] of oddRates) {
  test(`frames at ${name} per second stay exactly one frame apart`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const gopFrames = Math.round(frameRate.num / frameRate.den)
    const chunkEnds = [2 * gopFrames, 4 * gopFrames + 7]
    const frameCount = 4 * gopFrames + 7
    const seconds = (frameCount * frameRate.den) / frameRate.num
    const tracks = [
      await makeVideo(directory.path, { codec: 'h264', frameRate, gopFrames, chunkEnds }),
      await makeAudio(directory.path, { codec: 'aac', seconds }),
    ]
    const timeline = { startMs: 0, frameRate, frameCount }
    const facts = await packageWork(orderOf(tracks, output.path, { timeline }), run)
    assert.deepEqual(brokenHlsRules(await loadWork(output.path)), [])
    near(facts.durationMs, seconds * 1000, 0.001)
    near(facts.tracks[0]?.durationMs, seconds * 1000, 0.001)
    await using server = await startFileServer(output.path)
    const video = (await play(`${server.url}/master.m3u8`)).get('avc1')
    near(video?.firstSeconds, 0, 0)
    near(video?.endSeconds, ((frameCount - 1) * frameRate.den) / frameRate.num, 0.0001)
    await packageWork(orderOf(tracks, output.path, { timeline, format: 'mp4' }), run)
  })
}

test('renditions of a ladder are cut at the same times, also at half the frame rate', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [
    await makeVideo(directory.path, { codec: 'h264', name: '216p', width: 384, height: 216, crf: 24 }),
    await makeVideo(directory.path, { codec: 'h264', name: '108p' }),
    await makeVideo(directory.path, { codec: 'h265', name: '108p-h265' }),
    await makeVideo(directory.path, {
      codec: 'h264',
      name: '54p',
      width: 96,
      height: 54,
      frameRate: { num: 25, den: 2 },
      gopFrames: 25,
      chunkEnds: [50, 75],
    }),
    await makeAudio(directory.path, { codec: 'aac', name: 'audio-0', language: 'eng', title: 'Main "mix"' }),
    await makeAudio(directory.path, { codec: 'aac', name: 'audio-1', language: 'deu', isDefault: false, hertz: 880 }),
  ]
  const facts = await packageWork(orderOf(tracks, output.path), run)
  const work = await loadWork(output.path)
  assert.deepEqual(brokenHlsRules(work), [])
  const [large, small] = facts.tracks
  assert.ok(large && small && large.averageBitsPerSecond > small.averageBitsPerSecond)
  const master = work.get('master.m3u8')?.toString() ?? ''
  assert.match(master, /NAME="Main {2}mix ",LANGUAGE="en",DEFAULT=YES/)
  assert.match(master, /LANGUAGE="de",DEFAULT=NO/)
  assert.match(master, /FRAME-RATE=12\.500/)
  const manifest = work.get('manifest.mpd')?.toString() ?? ''
  assert.equal(manifest.match(/<AdaptationSet/g)?.length, 4, 'H.264, H.265 and two sounds')
  assert.match(manifest, /<Label>Main &quot;mix&quot;<\/Label>/)
})

const hdr = {
  kind: 'hdr10',
  masteringDisplay: 'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)',
  contentLight: '1000,400',
} as const
for (const codec of ['h265', 'av1'] as const) {
  test(`HDR10 of ${codec} keeps colours, mastering display and light levels`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const tracks = [await makeVideo(directory.path, { codec, hdr })]
    const facts = await packageWork(orderOf(tracks, output.path), run)
    const work = await loadWork(output.path)
    assert.deepEqual(brokenHlsRules(work), [])
    assert.match(
      facts.tracks[0]?.codecs ?? '',
      codec === 'h265' ? /^hvc1\.2\.4\.L/ : /^av01\.0\.\d\dM\.10\.0\.110\.09\.16\.09\.0$/,
    )
    assert.match(work.get('master.m3u8')?.toString() ?? '', /VIDEO-RANGE=PQ/)
    assert.match(work.get('manifest.mpd')?.toString() ?? '', /TransferCharacteristics" value="16"/)
    const [entry = Buffer.alloc(86)] = readInit(work.get(`${codec}.mp4`) ?? Buffer.alloc(0)).leading.sampleEntries
    const boxes = entry.subarray(86)
    assert.equal(requireBox(boxes, 'colr').toString('latin1', 0, 4), 'nclx')
    assert.equal(requireBox(boxes, 'clli').toString('hex'), '03e80190')
    assert.equal(requireBox(boxes, 'mdcv').readUInt16BE(0), 13_250)
    assert.equal(requireBox(boxes, 'mdcv').readUInt32BE(16), 10_000_000)
  })
}

for (const codec of ['aac', 'opus'] as const) {
  test(`${codec} keeps six channels`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const tracks = [await makeVideo(directory.path, { codec: 'h264' }), await makeAudio(directory.path, { codec, layout: '5.1' })]
    await packageWork(orderOf(tracks, output.path), run)
    const work = await loadWork(output.path)
    assert.deepEqual(brokenHlsRules(work), [])
    assert.match(work.get('master.m3u8')?.toString() ?? '', /CHANNELS="6"/)
    await packageWork(orderOf(tracks, output.path, { format: 'mp4' }), run)
  })
}

test('sound alone becomes variants of sound', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [await makeAudio(directory.path, { codec: 'aac', name: 'audio-0', seconds: 6 })]
  const facts = await packageWork(orderOf(tracks, output.path), run)
  assert.deepEqual(brokenHlsRules(await loadWork(output.path)), [])
  near(facts.tracks[0]?.durationMs, 6000, 1024 / 48)
  await using server = await startFileServer(output.path)
  assert.equal((await play(`${server.url}/master.m3u8`)).get('mp4a')?.count, facts.tracks[0]?.frameCount)
})

test('the edit lists keep sound and picture together: both begin at the same moment of the work', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [await makeVideo(directory.path, { codec: 'h265' }), await makeAudio(directory.path, { codec: 'aac' })]
  await packageWork(orderOf(tracks, output.path), run)
  const edits = (await loadWork(output.path)).entries().flatMap(([name, bytes]) => {
    const elst = name.endsWith('.mp4') ? requireBox(bytes, 'moov', 'trak', 'edts', 'elst') : undefined
    return elst ? [[name, elst.readInt32BE(12)]] : []
  })
  assert.deepEqual(Object.fromEntries(edits), { 'h265.mp4': 2000, 'aac.mp4': 1024 })
})

test('a picture without sound and a work shorter than a segment are packaged', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  const tracks = [await makeVideo(directory.path, { codec: 'h264', chunkEnds: [3] })]
  const order: PackageOrder = orderOf(tracks, output.path, {
    segmentMs: 6000,
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 3 },
  })
  const facts: PackageFacts = await packageWork(order, run)
  assert.deepEqual(brokenHlsRules(await loadWork(output.path)), [])
  assert.equal(facts.tracks[0]?.frameCount, 3)
})
