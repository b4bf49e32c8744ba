import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { averageBitsPerSecond, peakBitsPerSecond } from './bit-rates.ts'
import { cutTicks, planCuts, secondsOf, times } from './cuts.ts'
import { FrameOrder, type OrderedFrame } from './frame-order.ts'
import { pureExtradata, toSampleData } from './media-data.ts'
import { renderStoryboard, tilePlace } from './storyboard.ts'

const cutCases: [
  what: string,
  gops: [number, number][],
  segmentMs: number,
  duration: [number, number],
  step: number,
  count: number,
][] = [
  ['three GOPs of two seconds', [[2, 1]], 6000, [60, 1], 6, 10],
  ['the nearest number of GOPs', [[2, 1]], 5000, [60, 1], 6, 10],
  ['one GOP at least', [[10, 1]], 6000, [25, 1], 10, 3],
  ['GOPs at 29.97', [[60_060, 30_000]], 6000, [60_060, 1000], 6.006, 10],
  ['a work shorter than a segment', [[2, 1]], 6000, [1, 25], 6, 1],
  ['a last segment of one frame', [[2, 1]], 6000, [301, 25], 6, 3],
  [
    'GOPs of two lengths',
    [
      [2, 1],
      [3, 1],
    ],
    6000,
    [60, 1],
    6,
    10,
  ],
  ['sound alone', [], 6000, [61, 1], 6, 11],
]
for (const [what, gops, segmentMs, [num, den], step, count] of cutCases) {
  test(`cuts: ${what}`, () => {
    const rationals = gops.map(([gopNum, gopDen]) => ({ num: gopNum, den: gopDen }))
    const cuts = planCuts({ duration: { num, den }, segmentMs, gops: rationals })
    assert.equal(secondsOf(cuts.step), step)
    assert.equal(cuts.segmentCount, count)
  })
}

test('renditions that hardly ever have keyframes together are refused', () => {
  const gops = [
    { num: 1001, den: 500 },
    { num: 2, den: 1 },
  ]
  assert.throws(() => planCuts({ duration: { num: 600, den: 1 }, segmentMs: 6000, gops }), { code: 'UNSUPPORTED' })
})

test('every cut is a whole number of GOPs of every rendition, and segments cover the work', () => {
  const rate = fc.constantFrom({ num: 24_000, den: 1001 }, { num: 25, den: 1 }, { num: 30_000, den: 1001 }, { num: 60, den: 1 })
  fc.assert(
    fc.property(rate, fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 }), (frameRate, gopFrames, frames) => {
      const frame = { num: frameRate.den, den: frameRate.num }
      const duration = times(frame, frames)
      // A rung at half the rate with the same GOP in seconds.
      const gops = [times(frame, gopFrames * 2), times({ num: frame.num * 2, den: frame.den }, gopFrames)]
      const cuts = planCuts({ duration, segmentMs: 6000, gops })
      for (const index of [1, 2, 1000]) assert.equal(cutTicks(cuts, index, frame) % (gopFrames * 2), 0)
      const covered = cutTicks(cuts, cuts.segmentCount, frame)
      assert.ok(covered >= frames && cutTicks(cuts, cuts.segmentCount - 1, frame) < frames)
    }),
  )
})

test('a short last segment counts together with the one before', () => {
  const segments = [
    { sizeBytes: 6000, durationSeconds: 6 },
    { sizeBytes: 9000, durationSeconds: 6 },
    { sizeBytes: 1000, durationSeconds: 0.1 },
  ]
  assert.equal(averageBitsPerSecond(segments), Math.ceil((16_000 * 8) / 12.1))
  assert.equal(peakBitsPerSecond(segments, 6), Math.ceil((10_000 * 8) / 6.1), 'not 80,000 of the last alone')
  assert.equal(peakBitsPerSecond([{ sizeBytes: 1000, durationSeconds: 1 }], 6), 8000, 'too short for a run: the average')
  assert.equal(averageBitsPerSecond([]), 0)
})

/** Shown order of a GOP of four with two B-frames. */
const gop = (start: number): OrderedFrame[] => [0, 3, 1, 2].map((pts) => ({ pts: start + pts, isKeyframe: pts === 0 }))

const orderCases: [string, chunks: OrderedFrame[][], counts: number[], RegExp | undefined][] = [
  [
    'two chunks of two GOPs',
    [
      [...gop(0), ...gop(4)],
      [...gop(8), ...gop(12)],
    ],
    [8, 8],
    undefined,
  ],
  ['a last GOP that is cut short', [gop(0), gop(4).filter(({ pts }) => pts < 6)], [4, 2], undefined],
  ['a frame that comes twice', [[...gop(0).slice(0, 3), { pts: 1, isKeyframe: false }]], [4], /two frames are shown at 1/],
  ['a keyframe shown later', [[{ pts: 1, isKeyframe: true }]], [4], /shown at 1/],
  ['a GOP without keyframe', [[...gop(0), { pts: 4, isKeyframe: false }]], [8], /frame 4 should be a keyframe/],
  [
    'an open GOP',
    [[...gop(0), { pts: 4, isKeyframe: true }, { pts: 3, isKeyframe: false }]],
    [8],
    /shown at 3, outside its group 4 to 8/,
  ],
  ['a frame of the next chunk', [[...gop(0), { pts: 4, isKeyframe: true }]], [4], /more frames/],
  ['a frame too few', [gop(0).slice(0, 3)], [4], /ends with 3 frames/],
  ['a chunk that begins within a GOP', [gop(0).slice(0, 3), gop(4)], [3, 4], /inside a group/],
]
for (const [what, chunks, counts, wanted] of orderCases) {
  test(`the order of frames: ${what}`, () => {
    const order = new FrameOrder(4)
    const found = chunks.flatMap((frames, index) => [
      order.begin(counts[index] ?? 0),
      ...frames.map((frame) => order.take(frame)),
      order.end(),
    ])
    const said = found.filter((each) => each !== undefined).join('; ')
    if (wanted) assert.match(said, wanted)
    else assert.equal(said, '')
  })
}

test('samples have lengths for start codes, and neither parameter sets nor delimiters', () => {
  const annexB = Buffer.from('0000000109f0' + '0000000167640c' + '0000000168eb' + '00000165aabb' + '000001410c', 'hex')
  assert.equal(toSampleData('h264', annexB).toString('hex'), '0000000365aabb' + '00000002410c')
  const hevc = Buffer.from('00000001460150' + '0000000140010c' + '0000000126010b', 'hex')
  assert.equal(toSampleData('h265', hevc).toString('hex'), '0000000326010b')
  assert.equal(toSampleData('av1', Buffer.from('12000a0b', 'hex')).toString('hex'), '0a0b')
  assert.equal(toSampleData('vp9', Buffer.from('1200', 'hex')).toString('hex'), '1200')
})

test('what an encoder says of itself is left out of the extradata', () => {
  const sets = Buffer.from('0000000140010c' + '0000000142010d' + '0000000144010e', 'hex')
  const options = Buffer.from('000000014e010510aabb', 'hex')
  const display = Buffer.from('000000014e018918aabb', 'hex')
  assert.deepEqual(pureExtradata('h265', Buffer.concat([sets, options, display])), Buffer.concat([sets, display]))
  assert.deepEqual(pureExtradata('av1', sets), sets)
})

test('tiles fill their sheets row by row, and cues end with the work', () => {
  const grid = { columns: 2, rows: 2, tileWidth: 160, tileHeight: 90 }
  const places = [0, 1, 2, 3, 4].map((tile) => Object.values(tilePlace(grid, tile)))
  assert.deepEqual(places, [
    [0, 0, 0],
    [0, 160, 0],
    [0, 0, 90],
    [0, 160, 90],
    [1, 0, 0],
  ])
  const text = renderStoryboard(grid, { tileCount: 2, everyMs: 3_600_000, durationMs: 3_661_500 })
  assert.equal(
    text,
    'WEBVTT\n\n00:00:00.000 --> 01:00:00.000\nthumbnails-000.jpg#xywh=0,0,160,90\n\n01:00:00.000 --> 01:01:01.500\nthumbnails-000.jpg#xywh=160,0,160,90\n',
  )
})
