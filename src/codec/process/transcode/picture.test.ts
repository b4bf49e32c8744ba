import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Picture, VideoOrder } from '#codec/transcoding.ts'
import { hdr10, makeHdr10, makeInterlaced, makeMp4, makeOddSize, makeWatermark } from '../../../../test/support/job-files.ts'
import type { Color } from './color-names.ts'
import { contentLightText, masteringDisplayText } from './hdr-metadata.ts'
import { probeSource } from './probe.ts'
import {
  combing,
  decodePictures,
  loadChunk,
  startWorkshop,
  testRun,
  videoEncoder,
  videoOrder,
  type DecodedPicture,
} from './transcode.fixture.ts'
import { encodeVideo } from './video.ts'

const plain: Picture = { deinterlace: false, rotationDegrees: 0, width: 320, height: 180 }

async function picturesOf(order: VideoOrder): Promise<DecodedPicture[]> {
  await encodeVideo(order, testRun())
  return decodePictures(await loadChunk(order.outputPath))
}

test('interlaced pictures become whole ones, the same in chunks as in one pass', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeInterlaced(workshop.path))
  const order = videoOrder(source, workshop.outputPath('a.chunk'), { video: videoEncoder({ preset: 'veryfast' }) })
  const combed = await picturesOf(order)
  const whole = await picturesOf({ ...order, picture: { ...plain, deinterlace: true } })
  assert.equal(whole.length, 100)
  const [before, after] = [combed, whole].map((pictures) => pictures.reduce((sum, picture) => sum + combing(picture), 0))
  assert.ok(after !== undefined && before !== undefined && after < before * 0.8, `combing ${before} became ${after}`)
  const range = { startFrame: 50, endFrame: 75 }
  const rolls = { stillFrames: 0, preRollFrames: 50, postRollFrames: 25 }
  const chunk = await picturesOf({ ...order, rolls, range, picture: { ...plain, deinterlace: true } })
  assert.deepEqual(
    chunk.map(({ sha256 }) => sha256),
    whole.slice(50, 75).map(({ sha256 }) => sha256),
  )
})

test('a picture is turned upright before it is cropped and scaled', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeMp4(workshop.path, { seconds: 1 }))
  const base = videoOrder(source, workshop.outputPath('a.chunk'), {
    frameCount: 25,
    video: videoEncoder({ rate: { mode: 'crf', crf: 10 } }),
  })
  // Bit 0 of the number is the block in the corner: white in picture 1, black in picture 2.
  const isWhite = (pictures: DecodedPicture[], x: number, y: number) => [1, 2].map((n) => (pictures[n]?.lumaAt(x, y) ?? 0) > 128)
  const cases: [Picture, number, number][] = [
    [{ ...plain, rotationDegrees: 90, width: 180, height: 320 }, 171, 8],
    [{ ...plain, rotationDegrees: 180 }, 311, 171],
    [{ ...plain, rotationDegrees: 270, width: 180, height: 320 }, 8, 311],
    [{ ...plain, crop: { x: 0, y: 0, width: 160, height: 90 } }, 16, 16],
    [{ ...plain, rotationDegrees: 90, crop: { x: 90, y: 0, width: 90, height: 160 }, width: 180, height: 320 }, 163, 16],
    [{ ...plain, width: 160, height: 90 }, 4, 4],
  ]
  for (const [picture, x, y] of cases) {
    assert.deepEqual(isWhite(await picturesOf({ ...base, picture }), x, y), [true, false], JSON.stringify(picture))
  }
})

test('odd sizes and other formats become what the encoder takes', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeOddSize(workshop.path, { seconds: 1 }))
  const pictures = await picturesOf(videoOrder(source, workshop.outputPath('a.chunk'), { frameCount: 25 }))
  assert.equal(pictures.length, 25)
})

test('colours that are not said stay so, others become what is wanted', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeMp4(workshop.path, { seconds: 1 }))
  const unknown = { primaries: 'unknown', transfer: 'unknown', matrix: 'unknown', range: 'unknown' } as const
  const colors: [Color, number[]][] = [
    [unknown, [2, 2, 2, 1]],
    [{ primaries: 'bt470bg', transfer: 'gamma28', matrix: 'bt470bg', range: 'tv' }, [5, 5, 5, 1]],
    [{ primaries: 'smpte170m', transfer: 'smpte170m', matrix: 'smpte170m', range: 'pc' }, [6, 6, 6, 2]],
    [{ primaries: 'film', transfer: 'linear', matrix: 'ycgco', range: 'tv' }, [8, 8, 8, 1]],
    [{ primaries: 'bt2020', transfer: 'bt2020-10', matrix: 'bt2020nc', range: 'tv' }, [9, 14, 9, 1]],
  ]
  for (const [color, numbers] of colors) {
    const order = videoOrder(source, workshop.outputPath('a.chunk'), { frameCount: 25, video: videoEncoder({ color }) })
    await encodeVideo(order, testRun())
    const { stream } = await loadChunk(order.outputPath)
    assert.ok(stream.kind === 'video')
    assert.deepEqual([stream.colorPrimaries, stream.colorTransfer, stream.colorMatrix, stream.colorRange], numbers)
  }
})

test('a watermark lies in its corner, as faint as wanted', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeMp4(workshop.path, { seconds: 1 }))
  const watermarkUrl = workshop.urlOf(await makeWatermark(workshop.path))
  const video = videoEncoder({ rate: { mode: 'crf', crf: 5 } })
  const order = videoOrder(source, workshop.outputPath('a.chunk'), { frameCount: 25, video })
  const marked = async (opacity: number) =>
    picturesOf({
      ...order,
      watermarkUrl,
      picture: { ...plain, watermark: { corner: 'bottom-right', widthPercent: 20, marginPercent: 5, opacity } },
    })
  const [bare, full, faint] = [await picturesOf(order), await marked(1), await marked(0.5)]
  // 64 pixels wide, 16 from the edges.
  const lumaOf = (pictures: DecodedPicture[], x: number, y: number) => pictures[20]?.lumaAt(x, y) ?? -1
  const inside = [320 - 16 - 32, 180 - 16 - 32] as const
  assert.ok(lumaOf(full, ...inside) > 220)
  assert.ok(Math.abs(lumaOf(faint, ...inside) - (lumaOf(bare, ...inside) + lumaOf(full, ...inside)) / 2) < 6)
  for (const [x, y] of [
    [160, 100],
    [310, 170],
    [242, 102],
  ] as const) {
    assert.ok(Math.abs(lumaOf(full, x, y) - lumaOf(bare, x, y)) < 6, `at ${x},${y}`)
  }
})

test('HDR10 stays HDR10, with its light levels in stream and container', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeHdr10(workshop.path, { seconds: 1 }))
  const probe = await probeSource(source, testRun())
  assert.ok(probe.video?.hdr)
  const { hdr, color } = probe.video
  const encoders = [
    videoEncoder({ codec: 'h265', encoder: 'libx265', bitDepth: 10, hdr, color }),
    videoEncoder({ codec: 'av1', encoder: 'libsvtav1', preset: '12', bitDepth: 10, hdr, color }),
  ]
  for (const video of encoders) {
    const order = videoOrder(source, workshop.outputPath('a.chunk'), { frameCount: 25, video })
    await encodeVideo(order, testRun())
    const { stream } = await loadChunk(order.outputPath)
    assert.ok(stream.kind === 'video')
    assert.deepEqual([stream.colorPrimaries, stream.colorTransfer, stream.colorMatrix, stream.colorRange], [9, 16, 9, 1])
    assert.equal(stream.pixelFormat, 'yuv420p10le')
    const texts = stream.sideData.flatMap(({ data }) => {
      const struct = Buffer.from(data, 'base64')
      return struct.length === 88 ? [masteringDisplayText(struct)] : struct.length === 8 ? [contentLightText(struct)] : []
    })
    assert.deepEqual(texts, [hdr10.masteringDisplay, hdr10.contentLight])
  }
})

test('HDR becomes SDR where that is wanted', async () => {
  await using workshop = await startWorkshop()
  const source = workshop.urlOf(await makeHdr10(workshop.path, { seconds: 1 }))
  const order = videoOrder(source, workshop.outputPath('a.chunk'), { frameCount: 25 })
  const pictures = await picturesOf(order)
  assert.equal(pictures.length, 25)
  const { stream } = await loadChunk(order.outputPath)
  assert.ok(stream.kind === 'video' && stream.colorTransfer === 1 && stream.pixelFormat === 'yuv420p')
})
