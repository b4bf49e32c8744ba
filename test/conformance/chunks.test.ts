import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeVideo } from '#codec/process/transcode/video.ts'
import { decodePictures, loadChunk, sdr, testRun } from '#codec/process/transcode/transcode.fixture.ts'
import { noRolls, type VideoEncoder, type VideoOrder } from '#codec/transcoding.ts'
import { rollsOf } from '#jobs/plan/rolls.ts'
import { makeFile } from '../support/peers/make-file.ts'
import { temporaryDirectory } from '../support/temp-directory.ts'

// Large pictures with grain: what an encoder remembers of its start shows as blocks that are rounded otherwise, and small pictures have too few of them.

const size = { width: 960, height: 540 }
const frameRate = { num: 25, den: 1 }
const gopFrames = 50
/** Of the second chunk; one pass begins long enough before to be settled. */
const range = { startFrame: 350, endFrame: 400 }
const frameCount = 460

async function makeFilm(directory: string): Promise<string> {
  const path = join(directory, 'film.mp4')
  const { width, height } = size
  const zoom = `mandelbrot=size=${width}x${height}:rate=25:end_scale=0.002:end_pts=${frameCount},trim=end_frame=${frameCount}`
  const filters = `${zoom},noise=alls=7:allf=t,format=yuv420p`
  const encoderOptions = { preset: 'superfast', crf: '21', g: '50' }
  await makeFile({ path, format: 'mp4', tracks: [{ kind: 'video', filters, encoder: 'libx264', encoderOptions }] })
  return path
}

async function digests(order: VideoOrder): Promise<string[]> {
  await encodeVideo(order, testRun())
  const { stream, packets } = await loadChunk(order.outputPath)
  const own = packets.filter(({ pts }) => pts >= range.startFrame && pts < range.endFrame)
  return decodePictures({ stream, packets: own }).map(({ sha256 }) => sha256)
}

const encoders = [
  { codec: 'h264', encoder: 'libx264', preset: 'superfast', rate: { mode: 'crf', crf: 23 } },
  { codec: 'h264', encoder: 'libx264', preset: 'medium', rate: { mode: 'crf', crf: 23 } },
  { codec: 'h265', encoder: 'libx265', preset: 'ultrafast', rate: { mode: 'crf', crf: 26 } },
  { codec: 'av1', encoder: 'libsvtav1', preset: '12', rate: { mode: 'crf', crf: 40 } },
] as const

test('a chunk of large pictures is what one pass makes of them', async (t) => {
  await using directory = await temporaryDirectory()
  const sourceUrl = await makeFilm(directory.path)
  for (const each of encoders) {
    await t.test(`with ${each.encoder} ${each.preset}`, async () => {
      const video: VideoEncoder = { ...each, bitDepth: 8, gopFrames, threads: 4, color: sdr }
      const order: VideoOrder = {
        sourceUrl,
        outputPath: join(directory.path, 'some.chunk'),
        timeline: { startMs: 0, frameRate, frameCount },
        range: { startFrame: 0, endFrame: range.endFrame },
        rolls: { ...noRolls, postRollFrames: frameCount - range.endFrame },
        picture: { deinterlace: false, rotationDegrees: 0, ...size },
        video,
      }
      const whole = await digests(order)
      const chunk = await digests({ ...order, range, rolls: rollsOf(video, frameRate) })
      assert.equal(whole.length, range.endFrame - range.startFrame)
      assert.deepEqual(chunk, whole)
    })
  }
})
