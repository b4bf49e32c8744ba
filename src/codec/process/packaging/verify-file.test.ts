import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { boxesIn } from '#formats/mp4/read-boxes.ts'
import { temporaryDirectory } from '../../../../test/support/temp-directory.ts'
import { makeVideo, orderOf } from './chunks.fixture.ts'
import { Meter } from './meter.ts'
import { packageWork } from './package.ts'
import { verifyFile, type Expected } from './verify-file.ts'

const { signal } = new AbortController()
const meter = new Meter({ passes: [], durationSeconds: 6, framesPerSecond: 25, nowMs: () => 0, onProgress: () => {} })
const sound: Omit<Expected, 'crc32'> = {
  name: 'h264',
  kind: 'video',
  sampleCount: 150,
  frames: { seconds: 0.04, gopFrames: 25 },
  decoded: [{ first: 0, end: 150 }],
  pass: 'verify',
}

test('a finished file is found damaged when frames, times or bytes are not those that were meant', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'h264.mp4')
  const order = orderOf([await makeVideo(directory.path, { codec: 'h264' })], directory.path)
  await packageWork(order, { signal, nowMs: () => 0, onProgress: () => {} })
  const bytes = await readFile(path)
  const written = { ...sound, crc32: crcOf(bytes) }
  const verify = (change: Partial<Expected> = {}) => verifyFile(path, [{ ...written, ...change }], { meter, signal })
  const isDamaged = (message: RegExp) => ({ code: 'ENCODE_DAMAGED', message })
  await verify()
  await assert.rejects(verify({ sampleCount: 151 }), isDamaged(/150 samples of 151/))
  await assert.rejects(verify({ crc32: 0 }), isDamaged(/other bytes/))
  await assert.rejects(verify({ kind: 'audio' }), isDamaged(/another kind/))
  await assert.rejects(verify({ frames: { seconds: 0.04, gopFrames: 24 } }), isDamaged(/keyframe/))
  await assert.rejects(verify({ frames: { seconds: 1 / 30, gopFrames: 25 } }), isDamaged(/out of order|frames/))
  const second = [...boxesIn(bytes)].filter(({ type }) => type === 'mdat')[1]
  assert.ok(second)
  // The slice data of a keyframe in the middle: length and header of its NAL unit stay.
  const hurt = Buffer.from(bytes).fill(0xff, second.offset + 200, second.offset + 1200)
  await writeFile(path, hurt)
  await assert.rejects(verify(), isDamaged(/decoded/))
  await verify({ crc32: crcOf(hurt), decoded: [{ first: 50, end: 150 }] })
  await writeFile(path, bytes.subarray(0, second.offset))
  await assert.rejects(verify({ decoded: [] }), isDamaged(/samples of 150/))
})

/** Of all samples. */
function crcOf(file: Buffer): number {
  return [...boxesIn(file)].filter(({ type }) => type === 'mdat').reduce((crc, { body }) => crc32(body, crc), 0)
}
