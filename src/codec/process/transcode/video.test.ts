import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { VideoEncoder, VideoOrder } from '#codec/transcoding.ts'
import { makeLongGop, makeMp4, makeTransportStream, makeVariableRate } from '../../../../test/support/job-files.ts'
import { probeSource } from './probe.ts'
import {
  decodePictures,
  loadChunk,
  startWorkshop,
  testRun,
  videoEncoder,
  videoOrder,
  type LoadedChunk,
} from './transcode.fixture.ts'
import { encodeVideo } from './video.ts'

type Workshop = Awaited<ReturnType<typeof startWorkshop>>

async function encode(order: VideoOrder): Promise<LoadedChunk> {
  const facts = await encodeVideo(order, testRun())
  const chunk = await loadChunk(order.outputPath)
  assert.equal(facts.frameCount, order.range.endFrame - order.range.startFrame)
  assert.equal(facts.keyframeCount, Math.ceil(facts.frameCount / order.video.gopFrames))
  assert.equal(facts.sha256, chunk.end?.sha256)
  assert.ok(facts.peakSecondBytes > 0 && facts.peakSecondBytes <= facts.sizeBytes)
  return chunk
}

/** Three chunks in a row, as one. */
async function encodeChunks(
  workshop: Workshop,
  order: VideoOrder,
  boundaries: readonly number[],
  roll: number,
): Promise<LoadedChunk> {
  const chunks: LoadedChunk[] = []
  for (const [index, startFrame] of boundaries.slice(0, -1).entries()) {
    const range = { startFrame, endFrame: boundaries[index + 1] ?? 0 }
    const rolls = { stillFrames: 0, preRollFrames: roll, postRollFrames: roll }
    chunks.push(await encode({ ...order, rolls, range, outputPath: workshop.outputPath(`${index}.chunk`) }))
  }
  const [first] = chunks
  assert.ok(first)
  for (const { stream } of chunks) assert.deepEqual(stream, first.stream)
  return { stream: first.stream, packets: chunks.flatMap(({ packets }) => packets), end: undefined }
}

const timesOf = ({ packets }: LoadedChunk) => packets.map(({ pts, dts, isKeyframe }) => ({ pts, dts, isKeyframe }))
/** Numbers of the pictures that are not the same. */
function differences(a: LoadedChunk, b: LoadedChunk): number[] {
  const expected = decodePictures(b)
  return decodePictures(a).flatMap(({ pts, sha256 }, index) => (expected[index]?.sha256 === sha256 ? [] : [pts]))
}
const numbersOf = (chunk: LoadedChunk) => decodePictures(chunk).map(({ sourceFrame }) => sourceFrame)

describe('chunks are one pass', () => {
  const encoders: Partial<VideoEncoder>[] = [
    { encoder: 'libx264', preset: 'veryfast', threads: 2 },
    { encoder: 'libx264', preset: 'medium' },
    { codec: 'h265', encoder: 'libx265', preset: 'ultrafast', rate: { mode: 'crf', crf: 26 } },
    { codec: 'av1', encoder: 'libsvtav1', preset: '12', rate: { mode: 'crf', crf: 40 } },
  ]
  for (const more of encoders) {
    test(`with ${more.encoder} ${more.preset} all pictures are those of one pass`, async () => {
      await using workshop = await startWorkshop()
      const source = await makeMp4(workshop.path, { seconds: 12, width: 256, height: 144, gopFrames: 37 })
      const order = videoOrder(workshop.urlOf(source), workshop.outputPath('whole.chunk'), {
        frameCount: 300,
        picture: { deinterlace: false, rotationDegrees: 0, width: 192, height: 108 },
        video: videoEncoder(more),
      })
      const whole = await encode(order)
      const chunked = await encodeChunks(workshop, order, [0, 125, 225, 300], 100)
      assert.deepEqual(chunked.stream, whole.stream)
      assert.deepEqual(timesOf(chunked), timesOf(whole))
      assert.deepEqual(differences(chunked, whole), [])
      assert.equal(decodePictures(chunked).length, 300)
    })
  }
})

describe('the timeline is exact', () => {
  const even = Array.from({ length: 100 }, (_, n) => n)
  let workshop: Workshop
  before(async () => {
    workshop = await startWorkshop()
  })
  after(async () => workshop[Symbol.asyncDispose]())

  test('at 25 frames a second frame n is picture n, in each chunk', async () => {
    const source = await makeMp4(workshop.path)
    const order = videoOrder(workshop.urlOf(source), workshop.outputPath('even.chunk'))
    assert.deepEqual(numbersOf(await encodeChunks(workshop, order, [0, 25, 75, 100], 25)), even)
  })

  test('at 30000/1001 frames a second frame n is picture n, in each chunk', async () => {
    const source = await makeMp4(workshop.path, { name: 'ntsc', fps: '30000/1001' })
    const order = videoOrder(workshop.urlOf(source), workshop.outputPath('ntsc.chunk'), {
      timeline: { startMs: 0, frameRate: { num: 30_000, den: 1001 }, frameCount: 100 },
      video: videoEncoder({ gopFrames: 10 }),
    })
    const chunk = await encodeChunks(workshop, order, [0, 30, 70, 100], 13)
    assert.deepEqual(chunk.stream.timeBase, { num: 1001, den: 30_000 })
    assert.deepEqual(numbersOf(chunk), even)
  })

  test('of an uneven source frame n is the last picture that begins by then, in each chunk', async () => {
    const source = await makeVariableRate(workshop.path)
    const order = videoOrder(workshop.urlOf(source), workshop.outputPath('uneven.chunk'))
    // As the source was made: picture n at n/100 s, of which some were left out.
    const kept = Array.from({ length: 400 }, (_, n) => n).filter((n) => (n < 200 ? n % 2 === 0 && (n + 8) % 14 > 0 : n % 5 === 0))
    const expected = even.map((n) => Math.max(...kept.filter((picture) => Math.floor(picture / 4 + 0.5) <= n)))
    assert.deepEqual(numbersOf(await encodeChunks(workshop, order, [0, 25, 50, 100], 25)), expected)
  })

  test('a chunk in the middle of a GOP of B-frames has its own pictures', async () => {
    const source = await makeLongGop(workshop.path)
    const order = videoOrder(workshop.urlOf(source), workshop.outputPath('long.chunk'))
    assert.deepEqual(numbersOf(await encodeChunks(workshop, order, [50, 75], 5)), even.slice(50, 75))
  })

  test('a clip begins where it is wanted, also where the source does not begin at 0', async () => {
    const plain = await makeMp4(workshop.path, { name: 'clip' })
    const transport = await makeTransportStream(workshop.path)
    const { video } = await probeSource(workshop.urlOf(transport), testRun())
    assert.ok(video)
    const cases = [
      [plain, 0],
      [transport, video.startMs],
    ] as const
    for (const [source, sourceStartMs] of cases) {
      const order = videoOrder(workshop.urlOf(source), workshop.outputPath('clip.chunk'), {
        timeline: { startMs: sourceStartMs + 1480, frameRate: { num: 25, den: 1 }, frameCount: 50 },
      })
      assert.deepEqual(numbersOf(await encodeChunks(workshop, order, [0, 25, 50], 10)), even.slice(37, 87))
    }
  })

  test('pictures are left out or shown longer for another rate, and the last one to the end', async () => {
    const source = await makeMp4(workshop.path, { name: 'rates' })
    const at = async (num: number, frameCount: number) => {
      const timeline = { startMs: 0, frameRate: { num, den: 1 }, frameCount }
      const range = { startFrame: 0, endFrame: frameCount }
      return numbersOf(await encode(videoOrder(workshop.urlOf(source), workshop.outputPath('rate.chunk'), { timeline, range })))
    }
    assert.deepEqual(
      await at(50, 200),
      even.flatMap((n) => [n, n]),
    )
    assert.deepEqual(
      await at(5, 20),
      Array.from({ length: 20 }, (_, n) => Math.min(99, n * 5 + 2)),
    )
    assert.deepEqual((await at(25, 110)).slice(95), [95, 96, 97, 98, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99])
  })
})

test('a chunk that does not begin with a GOP is refused', async () => {
  const order = videoOrder('http://127.0.0.1:1/none.mp4', '/dev/null', { range: { startFrame: 10, endFrame: 20 } })
  await assert.rejects(encodeVideo(order, testRun()), { code: 'REQUEST_INVALID', message: /GOP of 25/ })
})

test('a ceiling and a target rate are kept to, and need no roll behind', async () => {
  await using workshop = await startWorkshop()
  const source = await makeMp4(workshop.path)
  const rates: VideoEncoder['rate'][] = [
    { mode: 'capped', crf: 18, maxBitsPerSecond: 150_000, bufferMs: 1000 },
    { mode: 'average', bitsPerSecond: 100_000, maxBitsPerSecond: 150_000, bufferMs: 1000 },
  ]
  for (const rate of rates) {
    const order = videoOrder(workshop.urlOf(source), workshop.outputPath('rate.chunk'), {
      video: videoEncoder({ rate, preset: 'veryfast' }),
    })
    const { sizeBytes, peakSecondBytes } = await encodeVideo(order, testRun())
    assert.ok(sizeBytes * 8 < 4 * 170_000, `${sizeBytes} bytes`)
    assert.ok(peakSecondBytes * 8 < 2 * 170_000, `${peakSecondBytes} bytes in one second`)
  }
})

test('an encoder that is not there, and a format that it does not take, are told', async () => {
  await using workshop = await startWorkshop()
  const source = await makeMp4(workshop.path, { seconds: 1 })
  const order = videoOrder(workshop.urlOf(source), workshop.outputPath('a.chunk'), { frameCount: 25 })
  const withEncoder = (video: Partial<VideoEncoder>) => encodeVideo({ ...order, video: videoEncoder(video) }, testRun())
  await assert.rejects(withEncoder({ encoder: 'libx299' }), { code: 'CODEC_UNSUPPORTED', message: /libx299/ })
  await assert.rejects(withEncoder({ preset: 'hurried' }), { code: 'CODEC_UNSUPPORTED' })
})

test('clips of one frame and of two are encoded by each encoder', async () => {
  await using workshop = await startWorkshop()
  const source = await makeMp4(workshop.path, { seconds: 1 })
  const encoders: Partial<VideoEncoder>[] = [
    {},
    { preset: 'medium' },
    { codec: 'h265', encoder: 'libx265' },
    { codec: 'av1', encoder: 'libsvtav1', preset: '12' },
    { codec: 'vp9', encoder: 'libvpx-vp9', preset: '8' },
  ]
  for (const more of encoders) {
    for (const frameCount of [1, 2]) {
      const options = { frameCount, video: videoEncoder(more) }
      await encode(videoOrder(workshop.urlOf(source), workshop.outputPath('short.chunk'), options))
    }
  }
})
