import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { test } from 'node:test'
import * as jobFiles from './job-files.ts'
import { countFrames, onlyTrack } from './peers/play-stream.ts'
import { temporaryDirectory } from './temp-directory.ts'

test('a plain file has the pictures and sounds that were asked for', async () => {
  await using directory = await temporaryDirectory()
  const path = await jobFiles.makeMp4(directory.path, { seconds: 3, fps: '30000/1001', gopFrames: 30 })
  const result = await countFrames(path)
  const video = onlyTrack(result, 'video')
  assert.partialDeepStrictEqual(video, { codec: 'h264', frames: 90, keyframes: 3, decodeErrors: 0, sizes: ['320x180'] })
  assert.equal(result.beepSeconds.length, 3)
})

test('frames are missing and change their rate in a file of variable rate', async () => {
  await using directory = await temporaryDirectory()
  const result = await countFrames(await jobFiles.makeVariableRate(directory.path))
  const times = onlyTrack(result, 'video').ptsSeconds.toSorted((a, b) => a - b)
  const steps = new Set(times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) * 1000)))
  assert.deepEqual(steps, new Set([20, 40, 50]))
})

const codecs = [
  [jobFiles.makeWebm, 'vp9', 'opus'],
  [jobFiles.makeHdr10, 'hevc', 'aac'],
  [jobFiles.makeTransportStream, 'h264', 'aac'],
] as const
for (const [make, video, audio] of codecs) {
  test(`${make.name} gives ${video} and ${audio}`, async () => {
    await using directory = await temporaryDirectory()
    const result = await countFrames(await make(directory.path, { seconds: 1 }))
    assert.equal(onlyTrack(result, 'video').codec, video)
    assert.equal(onlyTrack(result, 'video').frames, 25)
    assert.equal(onlyTrack(result, 'audio').codec, audio)
  })
}

test('every other kind of file can be made', async () => {
  await using directory = await temporaryDirectory()
  const { makeSilentMp4, makeLongGop, makeInterlaced, makeH265, makeOddSize, makeRotated } = jobFiles
  const { makeAnamorphic, makeSurround, makeShortAudio, makeAudioOnly, makeTruncated } = jobFiles
  const kinds = [makeSilentMp4, makeLongGop, makeInterlaced, makeH265, makeOddSize, makeRotated]
  for (const make of [...kinds, makeAnamorphic, makeSurround, makeAudioOnly, makeTruncated]) {
    assert((await stat(await make(directory.path, { seconds: 1 }))).size > 1000, make.name)
  }
  assert((await stat(await makeShortAudio(directory.path, { seconds: 3 }))).size > 1000)
  assert((await readFile(await jobFiles.makeWatermark(directory.path))).toString('latin1').startsWith('\x89PNG'))
  assert.match(await readFile(await jobFiles.makePlaylist(directory.path, 'http://x/y.ts'), 'utf8'), /^#EXTM3U/)
})
