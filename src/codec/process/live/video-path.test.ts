import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AVMEDIA_TYPE_VIDEO } from 'node-av/constants'
import { FFmpegError, FormatContext, Packet } from 'node-av/lib'
import type { LivePicture, VideoEncoder } from '#codec/transcoding.ts'
import { makeInterlaced, makeSilentMp4 } from '../../../../test/support/job-files.ts'
import { temporaryDirectory } from '../../../../test/support/temp-directory.ts'
import type { ChunkPacket } from '../transcode/chunk-format.ts'
import { videoChunkStream } from '../transcode/chunk-stream.ts'
import { combing, decodePictures, type DecodedPicture } from '../transcode/transcode.fixture.ts'
import { VideoPath } from './video-path.ts'

const unknown = { primaries: 'unknown', transfer: 'unknown', matrix: 'unknown', range: 'unknown' } as const
const video: VideoEncoder = {
  codec: 'h264',
  encoder: 'libx264',
  rate: { mode: 'crf', crf: 12 },
  preset: 'ultrafast',
  bitDepth: 8,
  gopFrames: 50,
  threads: 1,
  color: unknown,
}
const asItIs: LivePicture = { width: 320, height: 180, deinterlace: false }

type Options = { readonly picture: LivePicture; readonly isLost?: (index: number) => boolean }

/** The pictures that a live rendition shows of the pictures of a file; some of those may be lost on their way. */
async function picturesOf(path: string, { picture, isLost = () => false }: Options): Promise<DecodedPicture[]> {
  const input = new FormatContext()
  input.allocContext()
  FFmpegError.throwIfError(await input.openInput(path), path)
  FFmpegError.throwIfError(await input.findStreamInfo(), path)
  const stream = input.streams.find(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_VIDEO) ?? assert.fail('no picture')
  using way = new VideoPath(stream, { video, picture })
  using packet = new Packet()
  packet.alloc()
  const packets: ChunkPacket[] = []
  for (let index = 0; (await input.readFrame(packet)) >= 0; packet.unref()) {
    if (packet.streamIndex !== stream.index || isLost(index++)) continue
    for (const made of way.take(packet, 0)) packets.push(copyOf(made))
  }
  await input.closeInput()
  return decodePictures({ stream: videoChunkStream(way.context, 'h264'), packets })
}

function copyOf({ pts, dts, isKeyframe, data }: Packet): ChunkPacket {
  return { pts: Number(pts), dts: Number(dts), durationTicks: 1, isKeyframe, data: Buffer.from(data ?? []) }
}

/** Distances of pictures, in ticks of 90 kHz. */
function distances(pictures: readonly DecodedPicture[]): number[] {
  return pictures.slice(1).map(({ pts }, index) => pts - (pictures[index]?.pts ?? 0))
}

for (const [fps, maxFrameRate, divisor, ticks] of [
  ['60', 30, 2, 3000],
  ['60000/1001', 30, 2, 3003],
  ['50', 30, 2, 3600],
  ['60', 25, 3, 4500],
  ['30', 30, 1, 3000],
  ['25', 60, 1, 3600],
  ['60', undefined, 1, 1500],
] as const) {
  test(`at ${fps} with at most ${maxFrameRate ?? 'any'} a second, every ${divisor}. picture is taken`, async () => {
    await using directory = await temporaryDirectory()
    // Without B-frames, as cameras send it.
    const path = await makeSilentMp4(directory.path, { fps, seconds: 2, bFrames: 0 })
    const picture = { ...asItIs, ...(maxFrameRate === undefined ? {} : { maxFrameRate }) }
    const pictures = await picturesOf(path, { picture })
    assert.ok(
      distances(pictures).every((distance) => Math.abs(distance - ticks) <= 1),
      distances(pictures).join(),
    )
    assert.ok(pictures.every(({ sourceFrame }, index) => sourceFrame === index * divisor))
    assert.ok(pictures.length >= Math.floor((2 * 90_000) / ticks) - 1, `${pictures.length} pictures`)
  })
}

test('pictures that are lost on the way leave a hole, and the others stay even', async () => {
  await using directory = await temporaryDirectory()
  const path = await makeSilentMp4(directory.path, { fps: '60', seconds: 2, bFrames: 0, gopFrames: 10 })
  // The last of a group, which no other picture needs.
  const pictures = await picturesOf(path, { picture: { ...asItIs, maxFrameRate: 30 }, isLost: (index) => index === 19 })
  assert.ok(
    distances(pictures).every((distance) => distance === 3000),
    distances(pictures).join(),
  )
  const holed = await picturesOf(path, {
    picture: { ...asItIs, maxFrameRate: 30 },
    isLost: (index) => index === 28 || index === 29,
  })
  assert.deepEqual(new Set(distances(holed)), new Set([3000, 6000]))
})

test('interlaced pictures become whole ones at their own rate; others are not touched', async () => {
  await using directory = await temporaryDirectory()
  const combed = await makeInterlaced(directory.path)
  const [before, after] = [
    await picturesOf(combed, { picture: asItIs }),
    await picturesOf(combed, { picture: { ...asItIs, deinterlace: true } }),
  ]
  // The filter looks one picture ahead.
  assert.equal(after.length, before.length - 1)
  assert.ok(distances(after).every((distance) => distance === 3600))
  const sum = (pictures: readonly DecodedPicture[]) => pictures.reduce((total, picture) => total + combing(picture), 0)
  assert.ok(sum(after) < sum(before) * 0.8, `combing ${sum(before)} became ${sum(after)}`)
  const plain = await makeSilentMp4(directory.path, { name: 'plain', seconds: 2 })
  const digests = async (deinterlace: boolean) =>
    (await picturesOf(plain, { picture: { ...asItIs, deinterlace } })).map(({ sha256 }) => sha256)
  assert.deepEqual(await digests(true), await digests(false))
})
