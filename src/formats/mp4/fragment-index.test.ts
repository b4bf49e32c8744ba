import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audioTrack, videoTrack } from '../../../test/support/media.ts'
import { fuzzBytes } from '../../../test/support/fuzz.ts'
import { BoxWriter } from './box-writer.ts'
import { writeFragment } from './fragment.ts'
import { type Fragment, fragmentSamples, readFragment, scanFragments } from './fragment-index.ts'
import { trackIdAt, writeInitSegment } from './init-segment.ts'
import { type ByteSource, readBoxHeader } from './read-boxes.ts'
import { readInit } from './read-init.ts'

const initBytes = writeInitSegment([videoTrack, audioTrack])
const init = readInit(initBytes)

function fragment(sequence: number, { isKeyframe = true, fromTicks = 900_000 } = {}): Buffer {
  const video = [0, 1, 2].map((i) => ({
    data: Buffer.alloc(50 + i, 7 + i),
    durationTicks: 3600 + i,
    compositionOffsetTicks: [0, 7200, -3600][i] ?? 0,
    isKeyframe: isKeyframe && i === 0,
  }))
  const audio = [0, 1].map((i) => ({
    data: Buffer.alloc(10, 40 + i),
    durationTicks: 1024,
    compositionOffsetTicks: 0,
    isKeyframe: true,
  }))
  const { chunks } = writeFragment(sequence, [
    { trackId: trackIdAt(0), kind: 'video', decodeTicks: fromTicks, samples: video },
    { trackId: trackIdAt(1), kind: 'audio', decodeTicks: 2 ** 33 + 5, samples: audio },
  ])
  return Buffer.concat(chunks)
}

function sourceOf(bytes: Buffer): ByteSource {
  return { sizeBytes: bytes.length, read: async (position, length) => bytes.subarray(position, position + length) }
}

async function scan(bytes: Buffer, from = 0): Promise<Fragment[]> {
  return await Array.fromAsync(scanFragments(sourceOf(bytes), init, from))
}

function moofOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, readBoxHeader(bytes, 0).sizeBytes)
}

test('the init segment of the packager is read: ids, kinds, clocks, picture, sample entries', () => {
  const tracks = init.tracks.map(({ id, kind, timescaleHz, width, height }) => ({ id, kind, timescaleHz, width, height }))
  assert.deepEqual(tracks, [
    { id: 1, kind: 'video', timescaleHz: 90_000, width: 320, height: 180 },
    { id: 2, kind: 'audio', timescaleHz: 48_000, width: 0, height: 0 },
  ])
  assert.deepEqual(
    init.tracks.map(({ sampleEntries }) => sampleEntries.map((entry) => entry.toString('latin1', 4, 8))),
    [['avc1'], ['mp4a']],
  )
  assert.equal(init.leading, init.tracks[0])
})

test('samples come back as they were written, each with the place of its bytes', () => {
  const bytes = fragment(1)
  const at = 5000
  const [video, audio] = fragmentSamples(moofOf(bytes), at, init)
  assert.ok(video && audio)
  assert.deepEqual(
    video.samples.map((s) => [s.dtsTicks, s.ctoTicks, s.durationTicks, s.isKeyframe]),
    [
      [900_000, 0, 3600, true],
      [903_600, 7200, 3601, false],
      [907_201, -3600, 3602, false],
    ],
  )
  assert.deepEqual(
    audio.samples.map((s) => [s.dtsTicks, s.durationTicks, s.isKeyframe]),
    [
      [2 ** 33 + 5, 1024, true],
      [2 ** 33 + 1029, 1024, true],
    ],
  )
  const data = [...video.samples, ...audio.samples].map(({ offset, sizeBytes }) =>
    bytes.subarray(offset - at, offset - at + sizeBytes),
  )
  assert.deepEqual(data, [
    Buffer.alloc(50, 7),
    Buffer.alloc(51, 8),
    Buffer.alloc(52, 9),
    Buffer.alloc(10, 40),
    Buffer.alloc(10, 41),
  ])
})

test('a file is scanned fragment by fragment', async () => {
  const parts = [fragment(1), fragment(2, { isKeyframe: false, fromTicks: 910_803 })]
  const found = await scan(Buffer.concat([initBytes, ...parts]), initBytes.length)
  assert.deepEqual(
    found.map(({ offset, sizeBytes, startMs, isIndependent }) => ({ offset, sizeBytes, startMs, isIndependent })),
    [
      { offset: initBytes.length, sizeBytes: parts[0]?.length, startMs: 10_000, isIndependent: true },
      {
        offset: initBytes.length + (parts[0]?.length ?? 0),
        sizeBytes: parts[1]?.length,
        startMs: 910_803 / 90,
        isIndependent: false,
      },
    ],
  )
  assert.equal(found[0]?.endMs, found[1]?.startMs)
})

test('a scan ends at the first thing that is not a whole fragment, wherever it is torn', async () => {
  const [one, two] = [fragment(1), fragment(2)]
  for (let cut = 0; cut <= two.length; cut++) {
    for (const tail of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(3, 0xee)]) {
      const isWhole = cut === two.length || cut + tail.length >= two.length
      const found = await scan(Buffer.concat([one, two.subarray(0, cut), tail]))
      assert.equal(found.length, isWhole ? 2 : 1, `cut at ${cut} with ${tail.length} bytes behind`)
    }
  }
  assert.equal((await scan(Buffer.concat([one, Buffer.alloc(20_000)]))).length, 1)
})

test('defaults of tfhd and trex count, and the first sample may have flags of its own', () => {
  const w = new BoxWriter()
  w.box('moof', () => {
    w.fullBox('mfhd', 0, 0, () => w.u32(1))
    w.box('traf', () => {
      w.fullBox('tfhd', 0, 0x02_0018, () => w.u32(1).u32(3000).u32(11))
      w.fullBox('tfdt', 0, 0, () => w.u32(90_000))
      w.fullBox('trun', 0, 0x5, () => w.u32(2).i32(200).u32(0x0200_0000))
    })
  })
  const [track] = fragmentSamples(w.finish(), 1000, init)
  assert.ok(track)
  assert.deepEqual(track.samples, [
    { dtsTicks: 90_000, ctoTicks: 0, durationTicks: 3000, sizeBytes: 11, isKeyframe: true, offset: 1200 },
    { dtsTicks: 93_000, ctoTicks: 0, durationTicks: 3000, sizeBytes: 11, isKeyframe: false, offset: 1211 },
  ])
})

test('samples outside their media data, unknown tracks and absurd counts are refused', () => {
  const bytes = fragment(1)
  const moof = moofOf(bytes)
  assert.throws(() => readFragment(moof, { offset: 0, mdatBytes: 100, init }), { code: 'MALFORMED' })
  assert.throws(() => fragmentSamples(moof, 0, readInit(writeInitSegment([videoTrack]))), { code: 'MALFORMED' })
  const w = new BoxWriter()
  w.box('moof', () => {
    w.box('traf', () => {
      w.fullBox('tfhd', 0, 0x02_0000, () => w.u32(1))
      w.fullBox('tfdt', 0, 0, () => w.u32(0))
      w.fullBox('trun', 0, 0, () => w.u32(0xffff_ffff))
    })
  })
  assert.throws(() => fragmentSamples(w.finish(), 0, init), { code: 'LIMIT_EXCEEDED' })
})

fuzzBytes('init segment', [initBytes, writeInitSegment([audioTrack])], readInit)
fuzzBytes('movie fragment', [moofOf(fragment(1)), moofOf(fragment(2, { isKeyframe: false }))], (input) =>
  readFragment(input, { offset: 0, mdatBytes: 200, init }),
)

test('a scan of hostile bytes ends', async () => {
  const whole = Buffer.concat([fragment(1), fragment(2), fragment(3)])
  for (let at = 0; at < whole.length; at += 3) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const bytes = Buffer.from(whole)
      bytes[at] = value
      assert.ok((await scan(bytes)).length <= 3)
    }
  }
})
