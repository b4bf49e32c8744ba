import assert from 'node:assert/strict'
import { readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AppError, type ErrorCode } from '#lib/errors.ts'
import { createLog } from '#lib/log.ts'
import { startFileServer } from '../../test/support/file-server.ts'
import { startHttpServer } from '../../test/support/http-server.ts'
import { makeInterlaced, makeLongGop, makeMp4, makeSilentMp4 } from '../../test/support/job-files.ts'
import { temporaryDirectory } from '../../test/support/temp-directory.ts'
import { badInputsOf } from './bad-inputs.ts'
import { makeAudio, makeVideo, orderOf, writeChunk, type OrderTrack } from './process/packaging/chunks.fixture.ts'
import { loadChunk } from './process/transcode/transcode.fixture.ts'
import { TranscodeProcess } from './transcoder.ts'
import type { PicturesOrder, TranscodeProgress } from './transcoding.ts'

const log = createLog({ level: 'silent', pretty: false })
/** One process for order after order, also after those that failed. */
const packaging = new TranscodeProcess({ log })
after(() => packaging[Symbol.asyncDispose]())

/** The picture with something changed in its inputs. */
type Damage = (track: OrderTrack) => Promise<OrderTrack>

const damages: [string, ErrorCode, inputs: readonly number[], RegExp, Damage][] = [
  ['a chunk that is missing', 'INPUT_DAMAGED', [1], /missing/, async (track) => (await unlink(urlOf(track, 1)), track)],
  [
    'a chunk that is cut off',
    'INPUT_DAMAGED',
    [2],
    /ends \d+ bytes early/,
    async (track) => (await truncate(urlOf(track, 2), 3000), track),
  ],
  ['a chunk with a changed byte', 'INPUT_DAMAGED', [0], /digest/, async (track) => (await flipByte(urlOf(track, 0)), track)],
  ['a chunk of nothing', 'INPUT_DAMAGED', [0], /early/, async (track) => (await writeFile(urlOf(track, 0), ''), track)],
  [
    'another chunk than the ordered one',
    'INPUT_DAMAGED',
    [1],
    /not the one in the order/,
    async (track) => withInput(track, 1, { sha256: '00' }),
  ],
  ['a frame too few', 'ENCODE_DAMAGED', [2], /ends with 150 frames/, async (track) => withInput(track, 2, { frameCount: 26 })],
  [
    'a frame too many',
    'ENCODE_DAMAGED',
    [2],
    /outside its group 125 to 149/,
    async (track) => withInput(track, 2, { frameCount: 24 }),
  ],
  [
    'chunks in the wrong order',
    'ENCODE_DAMAGED',
    [0, 1, 2],
    /keyframe.*; at fault is also input 1 of "h264", input 2 of "h264"$/,
    async (track) => ({ ...track, inputs: track.inputs.toReversed() }),
  ],
  ['a chunk of another size', 'ENCODE_DAMAGED', [1], /extradata/, (track) => withForeign(track, { width: 96 })],
  ['a chunk of another quality', 'ENCODE_DAMAGED', [1], /extradata/, (track) => withForeign(track, { crf: 45 })],
  [
    'a work that is longer than its chunks',
    'ENCODE_DAMAGED',
    [1],
    /ends at/,
    async (track) => ({ ...track, inputs: track.inputs.slice(0, 2) }),
  ],
  [
    'a changed byte in one chunk, and two that are missing',
    'INPUT_DAMAGED',
    [0, 1, 2],
    /digest.*; at fault is also input 1 of "h264", input 2 of "h264"$/,
    async (track) => {
      await flipByte(urlOf(track, 0))
      await Promise.all([unlink(urlOf(track, 1)), unlink(urlOf(track, 2))])
      return track
    },
  ],
  [
    'a chunk that is missing behind one of another size',
    'ENCODE_DAMAGED',
    [1, 2],
    /extradata.*; at fault is also input 2 of "h264"$/,
    async (track) => (await unlink(urlOf(track, 2)), await withForeign(track, { width: 96 })),
  ],
]

for (const [what, code, inputs, message, damage] of damages) {
  test(`${what} is ${code} and named, and nothing is published`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const track = await damage(await makeVideo(directory.path, { codec: 'h264' }))
    const order = orderOf([await makeAudio(directory.path, { codec: 'aac' }), track], output.path)
    await assert.rejects(packaging.package(order), (error) => {
      assert.ok(error instanceof AppError)
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      assert.deepEqual(
        badInputsOf(error),
        inputs.map((input) => ({ track: 'h264', input })),
      )
      return true
    })
    assert.ok(!(await readdir(output.path)).includes('master.m3u8'))
  })
}

test('chunks are read over HTTP, progress grows, and one process does order after order', async () => {
  await using directory = await temporaryDirectory()
  await using output = await temporaryDirectory()
  await using server = await startFileServer(directory.path)
  const made = [await makeVideo(directory.path, { codec: 'h264' }), await makeAudio(directory.path, { codec: 'aac' })]
  const tracks = made.map((track) => ({
    ...track,
    inputs: track.inputs.map((each) => ({ ...each, url: each.url.replace(directory.path, server.url) })),
  }))
  const told: TranscodeProgress[] = []
  const first = await packaging.package(orderOf(tracks, output.path), { onProgress: (progress) => told.push(progress) })
  assert.ok(told.every(({ frames, totalFrames }, index) => frames >= (told[index - 1]?.frames ?? 0) && frames <= totalFrames))
  assert.ok(told.length > 0)
  const again = await packaging.package(orderOf(tracks, output.path))
  assert.deepEqual(again, first)
})

test('a source of chunks that is away is SOURCE_UNREACHABLE', async () => {
  await using directory = await temporaryDirectory()
  await using server = await startHttpServer((_, response) => response.writeHead(503).end())
  const track = await makeVideo(directory.path, { codec: 'h264' })
  const order = orderOf([withInput(track, 1, { url: `${server.url}/chunk` })], directory.path)
  await assert.rejects(packaging.package(order), { code: 'SOURCE_UNREACHABLE' })
})

const impossible: [string, (tracks: OrderTrack[]) => OrderTrack[], 'cmaf' | 'mp4'][] = [
  ['no tracks', () => [], 'cmaf'],
  ['two tracks of one name', ([track]) => (track ? [track, track] : []), 'cmaf'],
  ['a name that leaves the directory', ([track]) => (track ? [{ ...track, name: '../x' }] : []), 'cmaf'],
  ['two pictures in one MP4', ([track]) => (track ? [track, { ...track, name: 'other' }] : []), 'mp4'],
]
for (const [what, change, format] of impossible) {
  test(`an order with ${what} is refused`, async () => {
    await using directory = await temporaryDirectory()
    const tracks = change([await makeVideo(directory.path, { codec: 'h264' })])
    await assert.rejects(packaging.package(orderOf(tracks, directory.path, { format })), { code: 'REQUEST_INVALID' })
  })
}

test('an order is cancelled, and one that is silent ends its process', async () => {
  await using directory = await temporaryDirectory()
  await using server = await startHttpServer(() => {})
  const track = await makeVideo(directory.path, { codec: 'h264' })
  const order = orderOf([withInput(track, 0, { url: `${server.url}/never` })], directory.path)
  const reason = new Error('not wanted any more')
  {
    await using cancelled = new TranscodeProcess({ log })
    const cancel = new AbortController()
    const packaged = cancelled.package(order, { signal: cancel.signal })
    cancel.abort(reason)
    await assert.rejects(packaged, reason)
  }
  await using silent = new TranscodeProcess({ log, silenceMs: 300 })
  await assert.rejects(silent.package(order), { code: 'TIMEOUT' })
  await silent.ended
})

function picturesOrder(sourceUrl: string, outputDirectory: string, change: Partial<PicturesOrder> = {}): PicturesOrder {
  return {
    sourceUrl,
    timeline: { startMs: 0, frameRate: { num: 25, den: 1 }, frameCount: 100 },
    picture: { deinterlace: false, rotationDegrees: 0, width: 320, height: 180 },
    posterAtMs: 1000,
    tiles: { everyMs: 500, width: 80, columns: 3, rows: 2 },
    outputDirectory,
    ...change,
  }
}

for (const [what, make] of [
  ['keyframes each second', makeMp4],
  ['one keyframe', makeLongGop],
  ['interlaced pictures', makeInterlaced],
] as const) {
  test(`poster, tiles and storyboard are made of a source with ${what}`, async () => {
    await using directory = await temporaryDirectory()
    await using output = await temporaryDirectory()
    const path = await make(directory.path, { seconds: 4 })
    await using server = await startFileServer(directory.path)
    const { files } = await packaging.pictures(picturesOrder(path.replace(directory.path, server.url), output.path))
    assert.deepEqual(
      files.map(({ name, contentType }) => [name, contentType]),
      [
        ['thumbnails-000.jpg', 'image/jpeg'],
        ['thumbnails-001.jpg', 'image/jpeg'],
        ['storyboard.vtt', 'text/vtt'],
        ['poster.jpg', 'image/jpeg'],
      ],
    )
    assert.deepEqual(await jpegSize(join(output.path, 'poster.jpg')), [320, 180])
    // Tiles of 80 × 46, as heights are even: two rows of three, then one row of two.
    assert.deepEqual(await jpegSize(join(output.path, 'thumbnails-000.jpg')), [240, 92])
    assert.deepEqual(await jpegSize(join(output.path, 'thumbnails-001.jpg')), [240, 46])
    const cues = (await readFile(join(output.path, 'storyboard.vtt'), 'utf8')).match(/#xywh=\S+/g)
    assert.equal(cues?.length, 8)
    assert.equal(cues.at(-1), '#xywh=80,0,80,46')
  })
}

test('a poster behind the end is the last picture; tiles without end are refused', async () => {
  await using directory = await temporaryDirectory()
  await using server = await startFileServer(directory.path)
  const sourceUrl = (await makeSilentMp4(directory.path, { seconds: 1 })).replace(directory.path, server.url)
  const { files } = await packaging.pictures(picturesOrder(sourceUrl, directory.path, { posterAtMs: 60_000, tiles: undefined }))
  assert.deepEqual(
    files.map(({ name }) => name),
    ['poster.jpg'],
  )
  const endless = picturesOrder(sourceUrl, directory.path, { tiles: { everyMs: 1, width: 80, columns: 1, rows: 1 } })
  await assert.rejects(packaging.pictures(endless), { code: 'REQUEST_INVALID' })
  const notMedia = picturesOrder(new URL('/transcode-packaging.test.ts', server.url).href, directory.path)
  await writeFile(join(directory.path, 'transcode-packaging.test.ts'), await readFile(fileURLToPath(import.meta.url)))
  await assert.rejects(packaging.pictures(notMedia), AppError)
})

function urlOf(track: OrderTrack, index: number): string {
  return track.inputs[index]?.url ?? ''
}

function withInput(track: OrderTrack, index: number, change: Partial<OrderTrack['inputs'][number]>): OrderTrack {
  return { ...track, inputs: track.inputs.map((input, at) => (at === index ? { ...input, ...change } : input)) }
}

/** The second chunk comes from an encoder with other settings. */
async function withForeign(track: OrderTrack, change: { width?: number; crf?: number }): Promise<OrderTrack> {
  await using directory = await temporaryDirectory()
  const foreign = await makeVideo(directory.path, { codec: 'h264', ...change })
  const path = urlOf(track, 1)
  const { stream, packets } = await loadChunk(urlOf(foreign, 1))
  return withInput(track, 1, await writeChunk(path, stream, packets))
}

async function flipByte(path: string): Promise<void> {
  const bytes = await readFile(path)
  const at = bytes.length - 200
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

/** Width and height of a JPEG, from its frame header. */
async function jpegSize(path: string): Promise<[number, number]> {
  const bytes = await readFile(path)
  const at = bytes.indexOf(Buffer.of(0xff, 0xc0))
  return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)]
}
