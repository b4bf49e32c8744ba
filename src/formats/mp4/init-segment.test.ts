import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '#bytes/reader.ts'
import type { CodecParameters, Track } from '#formats/media/track.ts'
import { codecsOf, codecString } from './codec-strings.ts'
import { writeInitSegment } from './init-segment.ts'
import { isDescribable } from './sample-entry.ts'
import { boxAt, walkBoxes } from './strict-walker.fixture.ts'

/** x264, 320 × 180, High. */
const h264: CodecParameters = {
  codec: 'h264',
  sps: Buffer.from('6764000dacd941419f9f011000000300100000030320f1429960', 'hex'),
  pps: Buffer.from('68ebe3cb22c0', 'hex'),
}
/** x265, 640 × 360, Main. */
const h265: CodecParameters = {
  codec: 'h265',
  vps: Buffer.from('40010c01ffff01600000030090000003000003003f959809', 'hex'),
  sps: Buffer.from('42010101600000030090000003000003003fa00502016965959a4932bc05a02000000300200000030321', 'hex'),
  pps: Buffer.from('4401c172b46240', 'hex'),
}
const aac: CodecParameters = { codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz: 48_000, channelCount: 2 }

function track(parameters: CodecParameters, clockRateHz: number, id = 1): Track {
  return { id, kind: parameters.codec.startsWith('h26') ? 'video' : 'audio', clockRateHz, parameters }
}

/** The one sample entry of a track, after `stsd`'s version, flags and count. */
function entryOf(parameters: CodecParameters, clockRateHz = 48_000): Reader {
  const boxes = walkBoxes(writeInitSegment([track(parameters, clockRateHz)]))
  const r = new Reader(boxAt(boxes, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd').body)
  assert.equal(r.u32(), 0)
  assert.equal(r.u32(), 1)
  assert.equal(r.u32(), r.remaining + 4, 'the entry fills the table')
  return r
}

const entries: [name: string, parameters: CodecParameters, clockRateHz: number, codecs: string, type: string, config: string][] =
  [
    [
      'H.264',
      h264,
      90_000,
      'avc1.64000d',
      'avc1',
      '00000037 61766343 01 64000d ff e1 001a 6764000dacd941419f9f011000000300100000030320f1429960 01 0006 68ebe3cb22c0 fd f8 f8 00',
    ],
    [
      'H.265',
      h265,
      90_000,
      'hvc1.1.6.L63.90',
      'hvc1',
      `00000077 68766343 01 01 60000000 900000000000 3f f000 fc fd f8 f8 0000 0f 03
     a0 0001 0018 40010c01ffff01600000030090000003000003003f959809
     a1 0001 002a 42010101600000030090000003000003003fa00502016965959a4932bc05a02000000300200000030321
     a2 0001 0007 4401c172b46240`,
    ],
    [
      'AAC',
      aac,
      48_000,
      'mp4a.40.2',
      'mp4a',
      '00000033 65736473 00000000 0380808022 0000 00 0480808014 40 15 000000 00000000 00000000 0580808002 1190 0680808001 02',
    ],
    ['Opus', { codec: 'opus', channelCount: 2 }, 48_000, 'opus', 'Opus', '00000013 644f7073 00 02 0000 0000bb80 0000 00'],
    ['A-law', { codec: 'pcma', sampleRateHz: 8000, channelCount: 1 }, 8000, 'alaw', 'alaw', ''],
    ['µ-law', { codec: 'pcmu', sampleRateHz: 8000, channelCount: 1 }, 8000, 'ulaw', 'ulaw', ''],
  ]

for (const [name, parameters, clockRateHz, codecs, type, config] of entries) {
  test(`the sample entry of ${name} has its configuration`, () => {
    const r = entryOf(parameters, clockRateHz)
    assert.equal(r.ascii(4), type)
    r.skip(6)
    assert.equal(r.u16(), 1, 'data_reference_index')
    r.skip(parameters.codec.startsWith('h26') ? 70 : 20)
    assert.equal(r.rest().toString('hex'), config.replaceAll(/\s/g, ''))
    assert.equal(codecString(parameters), codecs)
    assert.equal(isDescribable(parameters), true)
  })
}

test('video tracks have the size of their picture, in header and entry', () => {
  const boxes = walkBoxes(writeInitSegment([track(h265, 90_000)]))
  const header = boxAt(boxes, 'moov', 'trak', 'tkhd').body
  assert.deepEqual([header.readUInt32BE(76) / 65_536, header.readUInt32BE(80) / 65_536], [640, 360])
  const entry = entryOf(h265)
  entry.skip(4 + 8 + 16)
  assert.deepEqual([entry.u16(), entry.u16()], [640, 360])
})

test('audio entries have channels and sample rate, and 0 where 16 bits cannot hold the rate', () => {
  for (const [sampleRateHz, written] of [
    [48_000, 48_000],
    [96_000, 0],
  ] as const) {
    const r = entryOf({ codec: 'aac', config: Buffer.from('1190', 'hex'), sampleRateHz, channelCount: 2 })
    r.skip(4 + 8 + 8)
    assert.equal(r.u16(), 2)
    r.skip(6)
    assert.equal(r.u16(), written)
  }
})

test('each track has its number, clock and defaults', () => {
  const bytes = writeInitSegment([track(h264, 90_000, 11), track(aac, 48_000, 12)])
  const boxes = walkBoxes(bytes)
  assert.deepEqual(
    boxes.map((box) => box.type),
    ['ftyp', 'moov'],
  )
  const moov = boxAt(boxes, 'moov')
  const tracks = moov.children.filter((box) => box.type === 'trak')
  assert.deepEqual(
    tracks.map((trak) => boxAt([trak], 'trak', 'tkhd').body.readUInt32BE(12)),
    [1, 2],
  )
  assert.deepEqual(
    tracks.map((trak) => boxAt([trak], 'trak', 'mdia', 'mdhd').body.readUInt32BE(12)),
    [90_000, 48_000],
  )
  const extended = boxAt(boxes, 'moov', 'mvex').children.map((trex) => [trex.body.readUInt32BE(4), trex.body.readUInt32BE(20)])
  assert.deepEqual(extended, [
    [1, 0x0101_0000],
    [2, 0x0200_0000],
  ])
  assert.equal(boxAt(boxes, 'moov', 'mvhd').body.readUInt32BE(96), 3, 'next_track_ID')
})

test('codecs of a set of tracks are named once each', () => {
  assert.equal(codecsOf([track(h264, 90_000), track(aac, 48_000, 2), track(aac, 48_000, 3)]), 'avc1.64000d,mp4a.40.2')
})

const unusable: [string, CodecParameters][] = [
  ['an H.264 SPS cut short', { codec: 'h264', sps: Buffer.from('6764', 'hex'), pps: Buffer.from('68', 'hex') }],
  ['an H.264 PPS that is missing', { ...h264, pps: Buffer.alloc(0) }],
  ['an H.265 SPS that is none', { ...h265, sps: Buffer.from('4401c172b46240', 'hex') }],
  ['a parameter set beyond its 16-bit length', { ...h264, pps: Buffer.alloc(70_000, 1) }],
  ['an empty AudioSpecificConfig', { ...aac, config: Buffer.alloc(0) }],
]
for (const [name, parameters] of unusable) {
  test(`no sample entry for ${name}`, () => assert.equal(isDescribable(parameters), false))
}
